//! One file that is being hashed, from the device.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::super::file_state;
use crate::oci::{Algorithm, Digest, Hasher};

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// A file and how far it has been hashed. Everything here blocks.
///
/// Its pages are let go before it is read: what is in memory may be right while the device has lost it. They are let go again
/// when they have been read, unless they were in memory before, so that a scrub does not displace what clients want.
pub(super) struct Reading {
    file: File,
    /// The state of the file when it was opened.
    pub(super) stamp: u32,
    offset: u64,
    hasher: Hasher,
    buffer: Vec<u8>,
    was_cached: bool,
}

impl Reading {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened, or is none: to open something else could take for ever.
    pub(super) fn open(path: &Path, algorithm: Algorithm) -> io::Result<Self> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let was_cached = file_state::is_resident(&file, metadata.len());
        file_state::let_go(&file);
        // One byte more than there should be shows that there are more.
        let buffer = vec![0; PIECE.min(metadata.len() as usize + 1)];
        let (stamp, hasher) = (file_state::stamp(&metadata), algorithm.hasher());
        Ok(Self { file, stamp, offset: 0, hasher, buffer, was_cached })
    }

    /// Hashes the next piece; the number of its bytes, 0 at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn advance(&mut self) -> io::Result<u64> {
        let read = loop {
            match self.file.read_at(&mut self.buffer, self.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.hasher.update(&self.buffer[..read]);
        self.offset += read as u64;
        Ok(read as u64)
    }

    /// The digest of what was read, and its length.
    pub(super) fn finish(self) -> (Digest, u64) {
        if !self.was_cached {
            file_state::let_go(&self.file);
        }
        (self.hasher.finish(), self.offset)
    }
}
