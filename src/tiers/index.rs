//! The entries of a disk tier: what there is, how much it is wanted, and what leaves first.
//!
//! An entry costs some 110 bytes of memory, and choosing a victim a few microseconds, some 20 among a million.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashTable;

use super::{
    owners::{Holding, Owner, Owners},
    value::{Latency, Rates, Worth},
    wanted::Wanted,
};
use crate::{oci::Digest, telemetry::TierName};

/// After this long without a request, a content is worth half.
const HALF_LIFE: Duration = Duration::from_secs(12 * 3600);

/// How many entries compete to be the next victim. With this many, the choice is close to that of a full ordering, at a
/// constant price.
const SAMPLE: usize = 32;

/// A content is not moved between tiers again for this long.
const REST: Duration = Duration::from_secs(600);

/// What is left of the rate of a content that only a superseded version used, as a binary logarithm: it leaves before
/// everything that anybody wants.
const SUPERSEDED: f32 = -1e4;

/// The entries of a tier, without their bytes. The heat of an entry is the weight of the requests for it, each halved every twelve
/// hours: recency and frequency in one number (LRFU).
#[derive(Debug)]
pub struct Index {
    places: HashTable<u32>,
    entries: Vec<Entry>,
    hasher: RandomState,
    bytes: u64,
    clock: Clock,
    worth: Worth,
    rates: Arc<dyn Rates>,
    owners: Owners,
    /// Where the search for what nobody uses any more goes on.
    cursor: usize,
}

/// What tells the time since the epoch.
#[derive(Debug, Clone, Copy)]
enum Clock {
    Running(Instant),
    Standing(Duration),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    digest: Digest,
    owner: Owner,
    size: u64,
    /// Binary logarithm of the heat at the epoch: comparable without looking at the clock.
    heat: f32,
    /// Seconds after the epoch at which it was moved here; 0 if it was not.
    moved: u32,
    /// Seconds after the epoch after which nobody needs it, unless it is asked for again; 0 when nobody has asked yet.
    expires: u32,
    /// Which state of the file has been verified; 0 for none.
    verified: u32,
}

/// An entry that competes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// What it is worth here, as a binary logarithm.
    pub(super) value: f32,
}

/// An entry as it is told to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Decayed count of the requests for it.
    pub heat: f64,
    /// What it is worth, as a binary logarithm; the lowest leaves first.
    pub value: f32,
    /// Who wanted it last.
    pub customer: Arc<str>,
    /// Whether its bytes have been verified by this process.
    pub verified: bool,
}

impl Index {
    /// Of a tier of `kind`, beside where its contents would have to come from otherwise: a slower tier, or upstreams.
    pub fn new(kind: TierName, elsewhere: Option<TierName>, size_exponent: f32, rates: Arc<dyn Rates>) -> Self {
        let here = Latency::of(kind);
        let elsewhere = match elsewhere {
            Some(slower) => Latency::of(slower),
            None if rates.fetches_ahead() => Latency::UPSTREAM.as_soon_as(here),
            None => Latency::UPSTREAM,
        };
        Self::with(Worth::new(here, elsewhere, size_exponent), rates, Clock::Running(Instant::now()))
    }

    /// As [`Self::new`], with a clock that stands still until it is [set](Self::set_clock): for replaying what happened.
    pub fn replaying(kind: TierName, elsewhere: Option<TierName>, size_exponent: f32, rates: Arc<dyn Rates>) -> Self {
        Self { clock: Clock::Standing(Duration::ZERO), ..Self::new(kind, elsewhere, size_exponent, rates) }
    }

    /// Sets the clock of a replay, in time since its beginning.
    pub fn set_clock(&mut self, now: Duration) {
        self.clock = Clock::Standing(now);
    }

    fn with(worth: Worth, rates: Arc<dyn Rates>, clock: Clock) -> Self {
        Self {
            places: HashTable::new(),
            entries: Vec::new(),
            hasher: RandomState::new(),
            bytes: 0,
            clock,
            worth,
            rates,
            owners: Owners::new(),
            cursor: 0,
        }
    }

    /// Bytes of all entries.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The length of an entry in bytes.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.entry(digest).map(|entry| entry.size)
    }

    /// Adds an entry that was wanted `ago`, or corrects its size: another length is another file.
    pub fn insert(&mut self, digest: Digest, size: u64, ago: Duration) {
        if let Some(place) = self.place(&digest) {
            let entry = &mut self.entries[place];
            self.bytes = self.bytes - entry.size + size;
            self.owners.take(entry.owner, entry.size);
            self.owners.add(entry.owner, size);
            if entry.size != size {
                entry.verified = 0;
            }
            entry.size = size;
            return;
        }
        if self.entries.len() == self.entries.capacity() {
            // Doubling would hold twice what is needed for as long as the tier lives.
            self.entries.reserve_exact(self.entries.len() / 8 + 64);
        }
        let heat = self.now() - (ago.as_secs_f64() / HALF_LIFE.as_secs_f64()) as f32;
        let place = self.entries.len() as u32;
        self.entries.push(Entry { digest, owner: Owner::UNKNOWN, size, heat, moved: 0, expires: 0, verified: 0 });
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |place: &u32| hasher.hash_one(entries[*place as usize].digest);
        self.places.insert_unique(hasher.hash_one(digest), place, hash_of);
        self.bytes += size;
        self.owners.add(Owner::UNKNOWN, size);
    }

    /// Notes that an entry was wanted.
    pub fn touch(&mut self, digest: &Digest, wanted: &Wanted) {
        let (now, seconds) = (self.now(), self.seconds());
        let Some(place) = self.place(digest) else { return };
        let owner = self.owners.number(wanted.customer.as_ref());
        let entry = &mut self.entries[place];
        if wanted.customer.is_some() && owner != entry.owner {
            self.owners.take(entry.owner, entry.size);
            self.owners.add(owner, entry.size);
            entry.owner = owner;
        }
        let request = now + wanted.weight.max(f32::MIN_POSITIVE).log2();
        // log2(2^old + 2^request), without leaving the range of a float.
        let (high, low) = if entry.heat > request { (entry.heat, request) } else { (request, entry.heat) };
        entry.heat = high + (low - high).exp2().ln_1p() / std::f32::consts::LN_2;
        // Whoever may keep it longest decides.
        let until =
            wanted.unused_ttl.map_or(u32::MAX, |ttl| seconds.saturating_add(u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)));
        entry.expires = entry.expires.max(until);
    }

    /// Notes who has waited for an entry that has just been added: as if they had asked for it now, and nobody else before.
    pub fn welcome(&mut self, digest: &Digest, wanted: &Wanted) {
        if let Some(place) = self.place(digest) {
            self.entries[place].heat = f32::MIN;
            self.touch(digest, wanted);
        }
    }

    /// Removes an entry; false when there was none.
    pub fn remove(&mut self, digest: &Digest) -> bool {
        let hash = self.hasher.hash_one(digest);
        let entries = &self.entries;
        let Ok(found) = self.places.find_entry(hash, |place| entries[*place as usize].digest == *digest) else {
            return false;
        };
        let place = found.remove().0 as usize;
        let entry = self.entries.swap_remove(place);
        self.bytes -= entry.size;
        self.owners.take(entry.owner, entry.size);
        if let Some(moved) = self.entries.get(place) {
            let (hash, last) = (self.hasher.hash_one(moved.digest), self.entries.len() as u32);
            if let Some(its_place) = self.places.find_mut(hash, |place| *place == last) {
                *its_place = place as u32;
            }
        }
        true
    }

    /// Removes the least valuable entries of a sample until at most `limit` bytes are left; returns what was removed.
    pub fn shrink(&mut self, limit: u64) -> Vec<Digest> {
        let mut victims = Vec::new();
        while self.bytes > limit {
            let Some(victim) = self.least() else { break };
            self.remove(&victim.digest);
            victims.push(victim.digest);
        }
        victims
    }

    /// The least valuable entry of a sample.
    pub(super) fn least(&self) -> Option<Candidate> {
        self.least_of(|_| true)
    }

    /// The least valuable entry of a sample that has rested since it was last moved.
    pub(super) fn least_rested(&self) -> Option<Candidate> {
        let seconds = self.seconds();
        self.least_of(|entry| has_rested(entry, seconds))
    }

    fn least_of(&self, competes: impl Fn(&Entry) -> bool) -> Option<Candidate> {
        let now = self.now();
        let candidate = |entry: &Entry| self.candidate(entry, now);
        let lesser = |one: &Candidate, other: &Candidate| one.value.total_cmp(&other.value);
        if self.entries.len() <= SAMPLE {
            return self.entries.iter().filter(|entry| competes(entry)).map(candidate).min_by(lesser);
        }
        let sample = (0..SAMPLE).map(|_| &self.entries[fastrand::usize(..self.entries.len())]);
        sample.filter(|entry| competes(entry)).map(candidate).min_by(lesser)
    }

    /// What an entry is worth here; `None` when it is not here or has not rested since it was last moved.
    pub(super) fn rested(&self, digest: &Digest) -> Option<Candidate> {
        let entry = self.entry(digest).filter(|entry| has_rested(entry, self.seconds()))?;
        Some(self.candidate(entry, self.now()))
    }

    /// What a content of this size and heat would be worth here.
    pub(super) fn value_of(&self, digest: &Digest, size: u64, heat: f32) -> f32 {
        self.rates.log_rate(digest, heat) + self.worth.log_worth(size)
    }

    /// How much an entry is wanted now, as a binary logarithm.
    pub(super) fn heat(&self, digest: &Digest) -> Option<f32> {
        self.entry(digest).map(|entry| entry.heat - self.now())
    }

    /// Notes that an entry has been moved here, with the heat that it had.
    pub(super) fn settle(&mut self, digest: &Digest, heat: f32) {
        let (now, seconds) = (self.now(), self.seconds());
        if let Some(place) = self.place(digest) {
            self.entries[place].heat = now + heat;
            self.entries[place].moved = seconds;
        }
    }

    /// Only a superseded version used it.
    pub(super) fn supersede(&mut self, digest: &Digest) {
        let now = self.now();
        if let Some(place) = self.place(digest) {
            self.entries[place].heat = now + SUPERSEDED;
        }
    }

    /// Which state of an entry's file has been verified; 0 for none.
    pub(super) fn verified(&self, digest: &Digest) -> u32 {
        self.entry(digest).map_or(0, |entry| entry.verified)
    }

    pub(super) fn set_verified(&mut self, digest: &Digest, stamp: u32) {
        if let Some(place) = self.place(digest) {
            self.entries[place].verified = stamp;
        }
    }

    /// Looks through the next `look_at` entries for those that nobody has used for as long as they may be unused.
    pub(super) fn unused(&mut self, look_at: usize) -> Vec<Digest> {
        let seconds = self.seconds();
        let count = self.entries.len();
        let mut found = Vec::new();
        for _ in 0..look_at.min(count) {
            self.cursor = (self.cursor + 1) % count;
            let entry = &self.entries[self.cursor];
            if entry.expires != 0 && entry.expires < seconds {
                found.push(entry.digest);
            }
        }
        found
    }

    /// The digests of all entries, in no order.
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.entries.iter().map(|entry| entry.digest).collect()
    }

    /// Entries as they are told to people, in no order: at most `count`, from a position on.
    pub(super) fn listed(&self, from: usize, count: usize) -> Vec<Listed> {
        self.entries.iter().skip(from).take(count).map(|entry| self.tell(entry)).collect()
    }

    /// One entry as it is told to people.
    pub(super) fn listed_one(&self, digest: &Digest) -> Option<Listed> {
        self.entry(digest).map(|entry| self.tell(entry))
    }

    /// What is held for whom.
    pub(super) fn holdings(&self) -> Vec<Holding> {
        self.owners.holdings()
    }

    fn tell(&self, entry: &Entry) -> Listed {
        let now = self.now();
        Listed {
            digest: entry.digest,
            size: entry.size,
            heat: f64::from(entry.heat - now).exp2(),
            value: self.candidate(entry, now).value,
            customer: self.owners.name(entry.owner),
            verified: entry.verified != 0,
        }
    }

    fn candidate(&self, entry: &Entry, now: f32) -> Candidate {
        let value = self.value_of(&entry.digest, entry.size, entry.heat - now);
        Candidate { digest: entry.digest, size: entry.size, value }
    }

    fn entry(&self, digest: &Digest) -> Option<&Entry> {
        self.place(digest).map(|place| &self.entries[place])
    }

    fn place(&self, digest: &Digest) -> Option<usize> {
        let same = |place: &u32| self.entries[*place as usize].digest == *digest;
        self.places.find(self.hasher.hash_one(digest), same).map(|place| *place as usize)
    }

    /// Half-lives since the epoch.
    fn now(&self) -> f32 {
        (self.elapsed().as_secs_f64() / HALF_LIFE.as_secs_f64()) as f32
    }

    /// Seconds since the epoch, never 0.
    fn seconds(&self) -> u32 {
        u32::try_from(self.elapsed().as_secs() + 1).unwrap_or(u32::MAX)
    }

    fn elapsed(&self) -> Duration {
        match self.clock {
            Clock::Running(epoch) => epoch.elapsed(),
            Clock::Standing(elapsed) => elapsed,
        }
    }
}

fn has_rested(entry: &Entry, seconds: u32) -> bool {
    entry.moved == 0 || u64::from(seconds - entry.moved) >= REST.as_secs()
}

#[cfg(test)]
mod tests {
    use super::{super::value::DecayedCounts, *};
    use crate::oci::Algorithm;

    fn digest(n: u32) -> Digest {
        Digest::of(Algorithm::Sha256, &n.to_be_bytes())
    }

    fn index() -> Index {
        Index::replaying(TierName::Ssd, None, 1.0, Arc::new(DecayedCounts))
    }

    fn weighing(weight: f32) -> Wanted {
        Wanted { weight, ..Wanted::default() }
    }

    #[test]
    fn what_is_wanted_often_outlives_what_is_wanted_once() {
        let mut index = index();
        for n in 0..10 {
            index.insert(digest(n), 10, Duration::ZERO);
        }
        for _ in 0..5 {
            index.touch(&digest(3), &Wanted::default());
        }
        let victims = index.shrink(10);
        assert_eq!(victims.len(), 9);
        assert_eq!(index.size(&digest(3)), Some(10));
        assert_eq!(index.bytes(), 10);
    }

    #[test]
    fn what_was_wanted_long_ago_goes_before_what_is_new() {
        let mut index = index();
        index.insert(digest(1), 10, Duration::from_secs(30 * 24 * 3600));
        index.insert(digest(2), 10, Duration::ZERO);
        assert_eq!(index.shrink(15), [digest(1)]);
    }

    #[test]
    fn a_heavy_customer_outweighs_several_light_ones() {
        let mut index = index();
        for n in [1, 2] {
            index.insert(digest(n), 10, Duration::from_secs(24 * 3600));
        }
        for _ in 0..3 {
            index.touch(&digest(1), &weighing(1.0));
        }
        index.touch(&digest(2), &weighing(8.0));
        assert_eq!(index.shrink(10), [digest(1)]);
    }

    #[test]
    fn what_arrives_is_worth_what_those_who_waited_for_it_are() {
        let mut index = index();
        for n in [1, 2] {
            index.insert(digest(n), 10, Duration::ZERO);
        }
        index.welcome(&digest(2), &weighing(0.5));
        assert_eq!(index.heat(&digest(2)), Some(-1.0));
        assert_eq!(index.least().unwrap().digest, digest(2));
        index.welcome(&digest(3), &weighing(1.0));
    }

    #[test]
    fn of_two_that_are_wanted_alike_the_larger_goes() {
        let mut index = index();
        index.insert(digest(1), 100_000, Duration::ZERO);
        index.insert(digest(2), 1_000, Duration::ZERO);
        assert_eq!(index.least().unwrap().digest, digest(1));
    }

    #[test]
    fn what_is_superseded_goes_first_unless_it_is_wanted_again() {
        let mut index = index();
        index.insert(digest(1), 10, Duration::from_secs(90 * 24 * 3600));
        index.insert(digest(2), 10, Duration::ZERO);
        index.supersede(&digest(2));
        assert_eq!(index.least().unwrap().digest, digest(2));
        index.touch(&digest(2), &Wanted::default());
        assert_eq!(index.least().unwrap().digest, digest(1));
    }

    #[test]
    fn a_forecast_decides_over_the_past() {
        #[derive(Debug)]
        struct Prophet(Digest);
        impl Rates for Prophet {
            fn log_rate(&self, digest: &Digest, counted: f32) -> f32 {
                if *digest == self.0 { 20.0 } else { counted }
            }
        }
        let mut index = Index::new(TierName::Ssd, None, 1.0, Arc::new(Prophet(digest(1))));
        index.insert(digest(1), 10, Duration::from_secs(30 * 24 * 3600));
        index.insert(digest(2), 10, Duration::ZERO);
        assert_eq!(index.least().unwrap().digest, digest(2));
    }

    #[test]
    fn what_was_moved_rests() {
        let mut index = index();
        index.insert(digest(1), 10, Duration::ZERO);
        assert!(index.rested(&digest(1)).is_some());
        index.settle(&digest(1), 3.0);
        assert_eq!((index.rested(&digest(1)), index.least_rested()), (None, None));
        assert!(index.least().is_some(), "on a full disk it has to go all the same");
        assert!((index.heat(&digest(1)).unwrap() - 3.0).abs() < 0.01);
    }

    #[test]
    fn unused_entries_are_found_and_used_ones_are_not() {
        let mut index = index();
        for n in 0..100 {
            index.insert(digest(n), 10, Duration::ZERO);
            let ttl = match n % 3 {
                0 => Some(Duration::ZERO),
                1 => Some(Duration::from_secs(3600)),
                _ => None,
            };
            index.touch(&digest(n), &Wanted { unused_ttl: ttl, ..Wanted::default() });
        }
        index.set_clock(Duration::from_secs(60));
        let found: std::collections::BTreeSet<_> = (0..10).flat_map(|_| index.unused(10)).collect();
        assert_eq!(found, (0..100).step_by(3).map(digest).collect());
        index.touch(&digest(0), &Wanted { unused_ttl: Some(Duration::from_secs(60)), ..Wanted::default() });
        index.touch(&digest(3), &Wanted::default());
        index.touch(&digest(3), &Wanted { unused_ttl: Some(Duration::ZERO), ..Wanted::default() });
        assert_eq!(index.unused(100).len(), found.len() - 2, "asked for again, or kept by somebody without a limit");
    }

    #[test]
    fn the_accounts_follow_who_asks() {
        let mut index = index();
        index.insert(digest(1), 10, Duration::ZERO);
        index.insert(digest(2), 20, Duration::ZERO);
        let acme = Wanted { customer: Some("acme".into()), ..Wanted::default() };
        index.touch(&digest(1), &acme);
        index.touch(&digest(2), &acme);
        index.touch(&digest(2), &Wanted { customer: Some("umbrella".into()), ..Wanted::default() });
        index.touch(&digest(2), &Wanted::default());
        index.insert(digest(2), 25, Duration::ZERO);
        let holding = |customer: &str, bytes| Holding { customer: customer.into(), entries: 1, bytes };
        assert_eq!(index.holdings(), [holding("acme", 10), holding("umbrella", 25)]);
        index.remove(&digest(1));
        assert_eq!(index.holdings(), [holding("umbrella", 25)]);
    }

    #[test]
    fn the_books_balance() {
        let mut index = index();
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
