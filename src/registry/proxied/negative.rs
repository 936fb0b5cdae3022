//! What is not there: remembered for seconds, so that a storm of requests for nothing stays here.

use std::time::{Duration, Instant};

use moka::sync::Cache;

use crate::{catalog::Repository, oci::Reference};

/// Entries of each kind.
const CAPACITY: u64 = 50_000;

/// How long a digest that was announced is never taken for absent.
const ANNOUNCED_FOR: Duration = Duration::from_secs(600);

/// No absence is remembered longer than this, whatever the configuration says.
const LONGEST: Duration = Duration::from_secs(3600);

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    Manifest(Reference),
    Blob(crate::oci::Digest),
}

/// Absences, and digests whose absence is not to be believed: what a manifest that is served names may only be late at one
/// of the upstream's replicas.
#[derive(Debug)]
pub(super) struct Negative {
    absent: Cache<(Repository, Wanted), Instant>,
    announced: Cache<(Repository, Wanted), ()>,
}

impl Negative {
    pub(super) fn new() -> Self {
        Self {
            absent: Cache::builder().max_capacity(CAPACITY).time_to_live(LONGEST).build(),
            announced: Cache::builder().max_capacity(CAPACITY).time_to_live(ANNOUNCED_FOR).build(),
        }
    }

    /// Whether it was found absent at most `ttl` ago.
    pub(super) fn knows(&self, repository: &Repository, wanted: Wanted, ttl: Duration) -> bool {
        self.absent.get(&(repository.clone(), wanted)).is_some_and(|since| since.elapsed() < ttl)
    }

    pub(super) fn add(&self, repository: &Repository, wanted: Wanted) {
        let key = (repository.clone(), wanted);
        if !self.announced.contains_key(&key) {
            self.absent.insert(key, Instant::now());
        }
    }

    /// Forgets all absences that `meant` says yes to: the upstream is asked anew.
    pub(super) fn forget(&self, meant: impl Fn(&Repository, &Wanted) -> bool) {
        let keys: Vec<_> = self.absent.iter().filter(|(key, _)| meant(&key.0, &key.1)).map(|(key, _)| key).collect();
        keys.iter().for_each(|key| self.absent.invalidate(&**key));
    }

    /// Notes that a manifest or a tag names it.
    pub(super) fn announce(&self, repository: &Repository, wanted: Wanted) {
        let key = (repository.clone(), wanted);
        self.absent.invalidate(&key);
        self.announced.insert(key, ());
    }
}
