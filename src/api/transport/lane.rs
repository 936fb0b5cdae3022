//! What the bodies of a connection and the connection itself tell each other. One thread owns both.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    rc::Rc,
    sync::Arc,
};

use crate::oci::ByteRange;

/// Told once how an answer ended.
pub(in crate::api) trait Receipt {
    /// `sent` bytes of the body have left; `complete` when that was all of it.
    fn settle(self: Box<Self>, sent: u64, complete: bool);
}

/// The meeting point of a connection and its bodies. Clones are the same lane.
#[derive(Clone, Default)]
pub(in crate::api) struct Lane(Rc<Shared>);

#[derive(Default)]
struct Shared {
    job: RefCell<Option<Job>>,
    /// Bytes of files that have left for the body at work.
    file_bytes: Cell<u64>,
    /// Bytes the kernel has taken from the dispatcher's write buffer since it was last empty.
    written: Cell<u64>,
    /// Answers whose last bytes lie in the write buffer.
    ended: RefCell<Vec<Ended>>,
    /// Whether a body has ended since the write buffer was last empty.
    has_ended: Cell<bool>,
}

/// A part of a file that waits to be sent.
pub(super) struct Job {
    pub(super) file: Arc<File>,
    pub(super) rest: ByteRange,
    pub(super) reader: super::file_reads::Warmer,
}

struct Ended {
    receipt: Box<dyn Receipt>,
    file_bytes: u64,
    /// Bytes that were put into the write buffer after the last file part.
    buffered: u64,
    /// Bytes that were put into the write buffer before, and have left.
    flushed: u64,
    complete: bool,
}

impl Lane {
    /// Asks the connection to send a part of a file once all that is buffered has left.
    pub(super) fn post(&self, file: Arc<File>, range: ByteRange) {
        *self.0.job.borrow_mut() = Some(Job { file, rest: range, reader: super::file_reads::Warmer::default() });
    }

    /// Whether the connection still has a part of a file to send.
    pub(super) fn is_busy(&self) -> bool {
        self.0.job.borrow().is_some()
    }

    /// The job, for the connection.
    pub(super) fn job(&self) -> std::cell::RefMut<'_, Option<Job>> {
        self.0.job.borrow_mut()
    }

    /// Counts bytes of files that have left.
    pub(super) fn count_file_bytes(&self, bytes: u64) {
        self.0.file_bytes.set(self.0.file_bytes.get() + bytes);
    }

    /// Counts bytes that have left the write buffer.
    pub(super) fn count_written(&self, bytes: u64) {
        self.0.written.set(self.0.written.get() + bytes);
    }

    /// A body that nobody waits for has ended.
    pub(super) fn forget(&self) {
        self.0.job.borrow_mut().take();
        self.0.file_bytes.set(0);
        self.0.has_ended.set(true);
    }

    /// A body has no more to give: its receipt is settled when the write buffer is empty, or the connection ends.
    pub(super) fn end(&self, receipt: Box<dyn Receipt>, buffered: u64, flushed: u64, complete: bool) {
        self.0.job.borrow_mut().take();
        let file_bytes = self.0.file_bytes.take();
        self.0.ended.borrow_mut().push(Ended { receipt, file_bytes, buffered, flushed, complete });
        self.0.has_ended.set(true);
    }

    /// The write buffer is empty: everything that ended before has left. Returns whether there was such an answer.
    pub(super) fn settle_flushed(&self) -> bool {
        self.0.written.set(0);
        if !self.0.has_ended.take() {
            return false;
        }
        for ended in self.0.ended.take() {
            ended.receipt.settle(ended.flushed + ended.buffered + ended.file_bytes, ended.complete);
        }
        true
    }

    /// The connection is gone. What of the buffered bytes had left is known but for the length of the heads between them.
    pub(super) fn settle_cut(&self) {
        let mut written = self.0.written.take();
        for ended in self.0.ended.take() {
            let left = ended.buffered.min(written);
            written -= left;
            let sent = ended.flushed + left + ended.file_bytes;
            // Of an answer without a body it is not known whether its head had left.
            ended.receipt.settle(sent, ended.complete && left == ended.buffered && sent > 0);
        }
    }
}
