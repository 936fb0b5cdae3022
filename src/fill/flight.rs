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

use super::{FillError, HOLD_BACK, Shared, Source, supply::Suppliers};
use crate::{
    oci::{Digest, Hasher},
    tiers::{Found, ObjectTier},
};

/// One transfer under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) digest: Digest,
    pub(super) source: Source,
    pub(super) cargo: Cargo,
    pub(super) bucket: Option<ObjectTier>,
    pub(super) handle: Handle,
    /// The spool, or the file that is here already; set before any byte of it is visible.
    pub(super) file: OnceLock<Arc<File>>,
    pub(super) progress: watch::Sender<Progress>,
    followers: AtomicUsize,
    /// Rung when the last follower leaves.
    pub(super) deserted: Notify,
}

/// Where the bytes of a flight are when it takes off.
#[derive(Debug)]
pub(super) enum Cargo {
    /// At its source.
    Fetched,
    /// In a file of the cache, which may have changed there: it is hashed.
    Here(Found),
}

/// How far a transfer is.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// Length of the whole, once the upstream said it or sent it all.
    pub(super) size: Option<u64>,
    /// Bytes at the start of the spool that followers may send.
    pub(super) watermark: u64,
    /// Whether a bucket sends it and not the upstream; of no meaning while waiting.
    pub(super) from_bucket: bool,
    pub(super) phase: Phase,
}

#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// Nothing is known yet.
    Waiting,
    /// The bytes are coming.
    Flowing,
    /// All bytes are in the spool and verified.
    Complete,
    /// The spool cannot be written any more, or the file not read: followers go on alone.
    Spilled(Arc<Spill>),
    /// It failed for everyone.
    Failed(FillError),
}

/// Where the spool, or the readable part of the file, ends, and the hash up to there.
#[derive(Debug)]
pub(super) struct Spill {
    pub(super) at: u64,
    pub(super) hasher: Hasher,
    /// Who delivers the rest.
    pub(super) suppliers: Suppliers,
}

impl Flight {
    pub(super) fn new(digest: Digest, source: Source, cargo: Cargo, shared: &Shared) -> Self {
        let start = Progress { size: None, watermark: 0, from_bucket: false, phase: Phase::Waiting };
        Self {
            digest,
            source,
            cargo,
            bucket: shared.tiers.object().cloned(),
            handle: shared.handle.clone(),
            file: OnceLock::new(),
            progress: watch::Sender::new(start),
            followers: AtomicUsize::new(0),
            deserted: Notify::new(),
        }
    }

    /// It is known that bytes will come. Called again, it starts over; only before anybody could read.
    pub(super) fn open(&self, size: Option<u64>, from_bucket: bool) {
        self.progress.send_replace(Progress { size, watermark: 0, from_bucket, phase: Phase::Flowing });
    }

    /// Who delivers the content.
    pub(super) fn suppliers(&self) -> Suppliers {
        Suppliers::new(self.source.clone(), self.digest, self.bucket.clone())
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
        self.progress.send_modify(|progress| {
            progress.size = Some(size);
            progress.watermark = size;
            progress.phase = Phase::Complete;
        });
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
