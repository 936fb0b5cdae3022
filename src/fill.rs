//! One upstream transfer per digest, followed by everyone who wants it.
//!
//! ```text
//! bucket ───┐
//! upstream ─┴> transfer ──> spool file ──> (verified) ──> disk tier
//!                 │             ▲
//!                 └─ watermark ─┼── follower (whole)
//!                               ├── follower (bytes=8388608-)
//!                               └── follower (suffix)
//! ```
//!
//! The first who asks starts a task that belongs to nobody; everyone, the first one too, reads the spool up to the watermark
//! at a pace of their own. A slow reader slows nobody and one who leaves takes nothing along.
//!
//! The watermark stays [`HOLD_BACK`] short of the end until the digest is right, so that nobody ever gets a complete wrong
//! content. When the spool cannot be written, each follower goes on alone with what is there: see `alone`.
//!
//! Where there is leave to read the content, a bucket that edges share is asked before the upstream: see `supply`.
//!
//! What nobody waits for yet can be brought here as well, in less of a hurry, and is written by threads that give way: see `haste`
//! and `idle`.
//!
//! A file that is here already but may have changed where it lay is followed in the same way while it is hashed: see
//! `verification`. No upstream is asked for it, so that it waits for no slot.

mod alone;
mod breaks;
mod coming;
mod course;
mod error;
mod flight;
mod follower;
mod haste;
mod idle;
mod supply;
mod transfer;
mod verification;

pub use coming::Coming;
pub use error::{FillError, FillErrorKind};
pub use follower::{Follower, Opened};
pub use haste::Haste;

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::{runtime::Handle, sync::Semaphore};

use crate::{
    oci::{Digest, RepositoryName},
    telemetry::Metrics,
    tiers::{Found, Tiers},
    upstream::Origin,
};
use flight::{Cargo, Flight};
use haste::Traffic;
use idle::IdleThreads;

/// Bytes at the end of a blob that nobody gets before the digest is right.
pub const HOLD_BACK: u64 = 64 << 10;

/// A blob up to this size is verified before its head is sent: a failure is then a clear status, not a cut connection.
pub const VERIFY_FIRST: u64 = 1 << 20;

/// A blob up to this size is fetched to its end, or any blob once half of it is here, even when everyone has left.
const WORTH_FINISHING: u64 = 64 << 20;

/// Where a blob comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The upstream.
    pub origin: Arc<dyn Origin>,
    /// The route's name: with `repository`, who paid for the transfer's permission.
    pub route: Arc<str>,
    /// The repository to ask for.
    pub repository: RepositoryName,
    /// Whether the content may be read there.
    pub leave: Leave,
}

/// Whether a content may be read in the repository that it is fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// There is a link: whoever has the bytes may be asked for them.
    Given {
        /// The content's length in bytes, where the link says it.
        size: Option<u64>,
    },
    /// The upstream is asked first, and its answer is the leave.
    ToBeAsked,
}

/// Who keeps account of what the upstreams have given leave for. Called by the transfer, and not allowed to block.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The upstream has the content in the source's repository: it may be read there, before it is seen anywhere else.
    fn granted(&self, source: &Source, digest: &Digest);

    /// The content is verified and has `size` bytes.
    fn verified(&self, source: &Source, digest: &Digest, size: u64);

    /// The tiers have taken a content of `size` bytes.
    fn kept(&self, _digest: &Digest, _size: u64) {}
}

/// All transfers under way. Cheap to clone; clones are the same table.
#[derive(Debug, Clone)]
pub struct Fills {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    tiers: Arc<Tiers>,
    metrics: Arc<Metrics>,
    ledger: Arc<dyn Ledger>,
    slots: Semaphore,
    traffic: Traffic,
    idle: IdleThreads,
    flights: Mutex<Flights>,
}

type Flights = HashMap<Digest, Arc<Flight>>;

impl Fills {
    /// A table whose transfers run on `handle`, at most `limit` of those at once that clients wait for.
    pub fn new(handle: Handle, tiers: Arc<Tiers>, metrics: Arc<Metrics>, ledger: Arc<dyn Ledger>, limit: usize) -> Self {
        let slots = Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            shared: Arc::new(Shared {
                handle,
                tiers,
                metrics,
                ledger,
                slots,
                traffic: Traffic::new(),
                idle: IdleThreads::new(),
                flights: Mutex::default(),
            }),
        }
    }

    /// Follows the transfer of `digest`, which is started from `source` if there is none. The caller has made sure that
    /// whoever it acts for may read the content, or acts for the very repository that `source` names.
    pub fn join(&self, digest: &Digest, source: Source) -> Follower {
        let flights = self.shared.flights.lock();
        match flights.get(digest).and_then(|flight| self.board(flight)) {
            Some(follower) => follower,
            None => self.start(flights, digest, source, Cargo::Fetched),
        }
    }

    /// Follows a content that was found in a file but may have changed there: it is hashed, once for everyone, and followers read
    /// behind. One that is right is marked as verified; one that is not is taken away, and whoever has begun to read it is cut.
    /// When the file cannot be read on, each follower goes on alone from `source`, a repository in whose name it may be read;
    /// a small one fails instead, before anything is sent. A transfer that is under way is followed instead.
    pub fn verify(&self, digest: &Digest, found: Found, source: Source) -> Follower {
        let flights = self.shared.flights.lock();
        match flights.get(digest).and_then(|flight| self.board(flight)) {
            Some(follower) => follower,
            None => self.start(flights, digest, source, Cargo::Here(found)),
        }
    }

    fn start(&self, flights: MutexGuard<'_, Flights>, digest: &Digest, source: Source, cargo: Cargo) -> Follower {
        let flight = Arc::new(Flight::new(*digest, source, cargo, u64::MAX, &self.shared));
        let follower = Follower::start(&flight);
        self.take_off(flights, flight, Haste::Now);
        follower
    }

    fn take_off(&self, mut flights: MutexGuard<'_, Flights>, flight: Arc<Flight>, haste: Haste) {
        flight.hurry(haste, &self.shared.traffic);
        flights.insert(flight.digest, flight.clone());
        drop(flights);
        self.shared.handle.spawn(course::run(self.shared.clone(), flight));
    }

    /// Follows a flight, if that is worth while. A client waits for it from now on. Called with the table locked.
    fn board(&self, flight: &Arc<Flight>) -> Option<Follower> {
        let follower = Follower::join(flight)?;
        flight.hurry(Haste::Now, &self.shared.traffic);
        Some(follower)
    }

    /// Has a content brought here that no client waits for, in the name of a repository as in [`Self::join`]. A transfer that is
    /// under way is hurried instead. It is finished although nobody follows it; when the disk cannot take it, or it has more
    /// than `most` bytes, it ends. How many there are at once is the caller's business: they take none of the slots of those that clients wait for. A client that
    /// joins makes it one of these.
    pub fn bring(&self, digest: &Digest, source: Source, haste: Haste, most: u64) -> Coming {
        let flights = self.shared.flights.lock();
        match flights.get(digest).filter(|flight| flight.is_worth_joining()) {
            Some(flight) => self.hasten(flight, haste),
            None => self.send_for(flights, digest, source, haste, most),
        }
    }

    /// The same for a repository whose leave is still to be had: the transfer asks for it. `None` while another repository's
    /// transfer is under way, whose leave is not this one's.
    pub fn bring_own(&self, digest: &Digest, source: Source, haste: Haste, most: u64) -> Option<Coming> {
        let flights = self.shared.flights.lock();
        match flights.get(digest).filter(|flight| flight.is_worth_joining()) {
            Some(flight) => flight.is_of(&source).then(|| self.hasten(flight, haste)),
            None => Some(self.send_for(flights, digest, source, haste, most)),
        }
    }

    fn hasten(&self, flight: &Arc<Flight>, haste: Haste) -> Coming {
        flight.expect();
        flight.hurry(haste, &self.shared.traffic);
        Coming { flight: flight.clone(), joined: true }
    }

    fn send_for(&self, flights: MutexGuard<'_, Flights>, digest: &Digest, source: Source, haste: Haste, most: u64) -> Coming {
        let flight = Arc::new(Flight::new(*digest, source, Cargo::Fetched, most, &self.shared));
        flight.expect();
        self.take_off(flights, flight.clone(), haste);
        Coming { flight, joined: false }
    }

    /// Bytes per second that all transfers together may take that are expected to be asked for some time; 0 for no limit.
    pub fn set_rate(&self, rate: u64) {
        self.shared.traffic.set_rate(rate);
    }

    /// Number of transfers that clients wait for.
    pub fn demand(&self) -> usize {
        self.shared.traffic.demand()
    }

    /// Follows the transfer of `digest` for the repository that `source` names, whose leave is still to be had: the transfer
    /// asks for it. `None` while another repository's transfer is under way, whose leave is not this one's.
    pub fn join_own(&self, digest: &Digest, source: Source) -> Option<Follower> {
        let flights = self.shared.flights.lock();
        if let Some(flight) = flights.get(digest)
            && flight.is_worth_joining()
        {
            return if flight.is_of(&source) { self.board(flight) } else { None };
        }
        Some(self.start(flights, digest, source, Cargo::Fetched))
    }

    /// Follows the transfer of `digest` if one is under way. For whom, see [`Self::join`].
    pub fn join_under_way(&self, digest: &Digest) -> Option<Follower> {
        self.shared.flights.lock().get(digest).and_then(|flight| self.board(flight))
    }

    /// Whether a transfer of `digest` is under way.
    pub fn is_under_way(&self, digest: &Digest) -> bool {
        self.shared.flights.lock().contains_key(digest)
    }

    /// The length in bytes of a content whose transfer is under way still although all of it is here and verified: the tiers do
    /// not have it yet, and its link may not say it yet.
    pub fn verified_size(&self, digest: &Digest) -> Option<u64> {
        self.shared.flights.lock().get(digest)?.verified_size()
    }

    /// Number of transfers under way.
    pub fn len(&self) -> usize {
        self.shared.flights.lock().len()
    }

    /// Whether no transfer is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shared {
    /// Takes a flight off the table if nobody follows it. Joining takes the same lock, so nobody can board it after that.
    fn land_deserted(&self, flight: &Arc<Flight>) -> bool {
        let mut flights = self.flights.lock();
        let deserted = flight.is_deserted();
        if deserted {
            flights.remove(&flight.digest);
        }
        deserted
    }

    /// Takes a flight off the table: who comes later starts anew.
    fn land(&self, flight: &Arc<Flight>) {
        let mut flights = self.flights.lock();
        if flights.get(&flight.digest).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            flights.remove(&flight.digest);
        }
    }
}

#[cfg(test)]
mod tests;
