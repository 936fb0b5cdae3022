//! What reached the origin.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::oci::Digest;

/// A running count of what the origin was asked and what it sent.
#[derive(Debug, Default)]
pub(in super::super) struct Traffic(Mutex<Seen>);

/// What the origin was asked and what it sent, over some time.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Seen {
    /// Requests, of any kind.
    pub(in super::super) requests: u64,
    /// Bytes of bodies.
    pub(in super::super) bytes: u64,
    /// GET requests by blob.
    pub(in super::super) blobs: HashMap<Digest, u64>,
}

impl Traffic {
    /// What was counted since the last call.
    pub(in super::super) fn take(&self) -> Seen {
        std::mem::take(&mut *self.0.lock())
    }

    pub(super) fn request(&self) {
        self.0.lock().requests += 1;
    }

    pub(super) fn blob(&self, digest: Digest) {
        *self.0.lock().blobs.entry(digest).or_default() += 1;
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.0.lock().bytes += bytes as u64;
    }
}
