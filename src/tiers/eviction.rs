//! What the disk tier gives up first: an index that knows how often and how lately each content was wanted.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::oci::Digest;

/// After this long without a request, a content is worth half.
const HALF_LIFE: Duration = Duration::from_secs(6 * 3600);

/// How many entries compete to be the next victim. With this many, the choice is close to that of a full ordering, at a
/// constant price.
const SAMPLE: usize = 32;

/// The entries of a tier with their sizes and heats. The heat of an entry is the number of requests for it, each halved in
/// weight every [`HALF_LIFE`]: recency and frequency in one number (LRFU).
#[derive(Debug)]
pub(super) struct Index {
    places: HashMap<Digest, usize>,
    entries: Vec<Entry>,
    bytes: u64,
    epoch: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    digest: Digest,
    size: u64,
    /// Binary logarithm of the heat at the epoch: comparable without looking at the clock.
    log_heat: f64,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), entries: Vec::new(), bytes: 0, epoch: Instant::now() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        self.places.get(digest).map(|&place| self.entries[place].size)
    }

    /// Adds an entry that was wanted `ago`, or corrects its size.
    pub(super) fn insert(&mut self, digest: Digest, size: u64, ago: Duration) {
        if let Some(&place) = self.places.get(&digest) {
            self.bytes = self.bytes - self.entries[place].size + size;
            self.entries[place].size = size;
            return;
        }
        self.places.insert(digest, self.entries.len());
        let log_heat = self.now() - ago.as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.entries.push(Entry { digest, size, log_heat });
        self.bytes += size;
    }

    /// Notes that an entry was wanted.
    pub(super) fn touch(&mut self, digest: &Digest) {
        let now = self.now();
        if let Some(&place) = self.places.get(digest) {
            let entry = &mut self.entries[place];
            // log2(2^old + 2^now), without leaving the range of a float.
            let (high, low) = if entry.log_heat > now { (entry.log_heat, now) } else { (now, entry.log_heat) };
            entry.log_heat = high + (low - high).exp2().ln_1p() / std::f64::consts::LN_2;
        }
    }

    pub(super) fn remove(&mut self, digest: &Digest) -> bool {
        let Some(place) = self.places.remove(digest) else {
            return false;
        };
        let entry = self.entries.swap_remove(place);
        self.bytes -= entry.size;
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.digest, place);
        }
        true
    }

    /// Removes the coldest entries of a sample until at most `limit` bytes are left; returns what was removed.
    pub(super) fn shrink(&mut self, limit: u64) -> Vec<Digest> {
        let mut victims = Vec::new();
        while self.bytes > limit {
            let Some(victim) = self.coldest() else { break };
            self.remove(&victim);
            victims.push(victim);
        }
        victims
    }

    fn coldest(&self) -> Option<Digest> {
        let colder = |a: &&Entry, b: &&Entry| a.log_heat.total_cmp(&b.log_heat);
        let coldest = if self.entries.len() <= SAMPLE {
            self.entries.iter().min_by(colder)
        } else {
            (0..SAMPLE).map(|_| &self.entries[fastrand::usize(..self.entries.len())]).min_by(colder)
        };
        coldest.map(|entry| entry.digest)
    }

    fn now(&self) -> f64 {
        self.epoch.elapsed().as_secs_f64() / HALF_LIFE.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    fn digest(n: u32) -> Digest {
        Digest::of(Algorithm::Sha256, &n.to_be_bytes())
    }

    #[test]
    fn what_is_wanted_often_outlives_what_is_wanted_once() {
        let mut index = Index::new();
        for n in 0..10 {
            index.insert(digest(n), 10, Duration::ZERO);
        }
        for _ in 0..5 {
            index.touch(&digest(3));
        }
        let victims = index.shrink(10);
        assert_eq!(victims.len(), 9);
        assert_eq!(index.size(&digest(3)), Some(10));
        assert_eq!(index.bytes(), 10);
    }

    #[test]
    fn what_was_wanted_long_ago_goes_before_what_is_new() {
        let mut index = Index::new();
        index.insert(digest(1), 10, Duration::from_secs(30 * 24 * 3600));
        index.insert(digest(2), 10, Duration::ZERO);
        assert_eq!(index.shrink(15), [digest(1)]);
    }

    #[test]
    fn the_books_balance() {
        let mut index = Index::new();
        for n in 0..1000 {
            index.insert(digest(n), u64::from(n), Duration::ZERO);
        }
        index.insert(digest(5), 7, Duration::ZERO);
        assert!(index.remove(&digest(9)));
        assert!(!index.remove(&digest(9)));
        let gone = index.shrink(100_000);
        assert!(index.bytes() <= 100_000);
        assert_eq!(index.len() + gone.len(), 999);
        let left: u64 = (0..1000).filter_map(|n| index.size(&digest(n))).sum();
        assert_eq!(left, index.bytes());
        assert_eq!(index.shrink(0).len(), 999 - gone.len());
        assert_eq!(index.bytes(), 0);
    }
}
