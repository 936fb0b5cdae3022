//! A transfer as its followers see it.

use std::{
    fs::File,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

use super::{FillError, HOLD_BACK, Source};
use crate::oci::{Digest, Hasher};

/// One transfer under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) digest: Digest,
    pub(super) source: Source,
    pub(super) handle: Handle,
    /// The spool; set before any byte of it is visible.
    pub(super) file: OnceLock<Arc<File>>,
    pub(super) progress: watch::Sender<Progress>,
    followers: AtomicUsize,
    /// Rung when the last follower leaves.
    pub(super) deserted: Notify,
}

/// How far a transfer is.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// Length of the whole, once the upstream said it or sent it all.
    pub(super) size: Option<u64>,
    /// Bytes at the start of the spool that followers may send.
    pub(super) watermark: u64,
    pub(super) phase: Phase,
}

#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Nothing is known yet.
    Waiting,
    /// The upstream is sending.
    Flowing,
    /// All bytes are in the spool and verified.
    Complete,
    /// The spool cannot be written any more: followers go on alone.
    Spilled(Arc<Spill>),
    /// It failed for everyone.
    Failed(FillError),
}

/// Where the spool ends, and the hash up to there.
#[derive(Debug)]
pub(super) struct Spill {
    pub(super) at: u64,
    pub(super) hasher: Hasher,
}

impl Flight {
    pub(super) fn new(digest: Digest, source: Source, handle: Handle) -> Self {
        let start = Progress { size: None, watermark: 0, phase: Phase::Waiting };
        Self {
            digest,
            source,
            handle,
            file: OnceLock::new(),
            progress: watch::Sender::new(start),
            followers: AtomicUsize::new(0),
            deserted: Notify::new(),
        }
    }

    /// The upstream has answered.
    pub(super) fn open(&self, size: Option<u64>) {
        self.progress.send_modify(|progress| {
            progress.size = size;
            progress.phase = Phase::Flowing;
        });
    }

    /// The first `received` bytes are in the spool, not yet verified.
    pub(super) fn advance(&self, received: u64) {
        self.progress.send_modify(|progress| {
            progress.watermark = match progress.size {
                Some(size) => received.min(size.saturating_sub(HOLD_BACK)),
                None => received.saturating_sub(HOLD_BACK),
            };
        });
    }

    /// All `size` bytes are in the spool and verified.
    pub(super) fn complete(&self, size: u64) {
        self.progress.send_replace(Progress { size: Some(size), watermark: size, phase: Phase::Complete });
    }

    /// The spool ends at `spill.at`: all of that may be sent, since whoever goes on verifies the rest.
    pub(super) fn spill(&self, spill: Spill) {
        self.progress.send_modify(|progress| {
            progress.watermark = spill.at;
            progress.phase = Phase::Spilled(Arc::new(spill));
        });
    }

    pub(super) fn fail(&self, error: FillError) {
        self.progress.send_modify(|progress| progress.phase = Phase::Failed(error));
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.followers.load(Ordering::Acquire) == 0
    }
}

/// One follower's presence.
#[derive(Debug)]
pub(super) struct Seat(pub(super) Arc<Flight>);

impl Seat {
    pub(super) fn take(flight: &Arc<Flight>) -> Self {
        flight.followers.fetch_add(1, Ordering::AcqRel);
        Self(flight.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.0.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.deserted.notify_one();
        }
    }
}
