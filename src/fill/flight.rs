//! A transfer as its followers see it.

use std::{
    fs::File,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

use super::{FillError, HOLD_BACK, Haste, Shared, Source, haste::Traffic, supply::Suppliers};
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
    /// How much in a hurry it is: never less than before.
    pub(super) haste: watch::Sender<Haste>,
    /// Whether it is to be finished although nobody follows it.
    is_expected: AtomicBool,
    /// Bytes that it may have as long as nobody follows it.
    pub(super) most: u64,
    /// Whether the tiers have it; `None` until that is known.
    pub(super) kept: watch::Sender<Option<bool>>,
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
    /// One that nobody waits for yet.
    pub(super) fn new(digest: Digest, source: Source, cargo: Cargo, most: u64, shared: &Shared) -> Self {
        let start = Progress { size: None, watermark: 0, from_bucket: false, phase: Phase::Waiting };
        Self {
            digest,
            source,
            cargo,
            bucket: shared.tiers.object().cloned(),
            handle: shared.handle.clone(),
            file: OnceLock::new(),
            progress: watch::Sender::new(start),
            haste: watch::Sender::new(Haste::Later),
            is_expected: AtomicBool::new(false),
            most,
            kept: watch::Sender::new(None),
            followers: AtomicUsize::new(0),
            deserted: Notify::new(),
        }
    }

    /// It is more in a hurry than it was, perhaps. Called with the table locked, so that none that has landed is.
    pub(super) fn hurry(&self, haste: Haste, traffic: &Traffic) {
        let hurried = self.haste.send_if_modified(|known| {
            let is_slower = *known < haste;
            *known = haste.max(*known);
            is_slower
        });
        if hurried && self.counts_as_demand() {
            traffic.demanded();
        }
    }

    /// Whether a client waits for it to come from elsewhere.
    pub(super) fn counts_as_demand(&self) -> bool {
        *self.haste.borrow() == Haste::Now && matches!(self.cargo, Cargo::Fetched)
    }

    /// It is finished although nobody follows it.
    pub(super) fn expect(&self) {
        self.is_expected.store(true, Ordering::Release);
    }

    pub(super) fn is_expected(&self) -> bool {
        self.is_expected.load(Ordering::Acquire)
    }

    /// Whether it asks the upstream in the name of the same repository.
    pub(super) fn is_of(&self, source: &Source) -> bool {
        let same = self.source.route == source.route && self.source.repository == source.repository;
        same && matches!(self.cargo, Cargo::Fetched)
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

    /// The length of the whole, once that is verified.
    pub(super) fn verified_size(&self) -> Option<u64> {
        let progress = self.progress.borrow();
        progress.size.filter(|_| matches!(progress.phase, Phase::Complete))
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

    /// Whether whoever comes now may still have the content of it.
    pub(super) fn is_worth_joining(&self) -> bool {
        !matches!(self.progress.borrow().phase, Phase::Failed(_) | Phase::Spilled(_))
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
