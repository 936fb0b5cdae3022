//! Decayed rates, shrunk towards those of a wider group.

use std::collections::BTreeMap;

/// How often something came true of late: both counts are halved every so often.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DecayedRate {
    at: u64,
    positives: f32,
    all: f32,
}

impl DecayedRate {
    /// One more answer, at `now`.
    pub fn add(&mut self, now: u64, half_life: f32, came_true: bool) {
        *self = self.as_of(now, half_life);
        self.positives += f32::from(u8::from(came_true));
        self.all += 1.0;
    }

    /// The rate as of `now`, with a prior that counts as much as `strength` answers.
    pub fn rate(&self, now: u64, half_life: f32, prior: f32, strength: f32) -> f32 {
        let Self { positives, all, .. } = self.as_of(now, half_life);
        (positives + prior * strength) / (all + strength)
    }

    /// The number of answers as of `now`.
    pub fn count(&self, now: u64, half_life: f32) -> f32 {
        self.as_of(now, half_life).all
    }

    fn as_of(&self, now: u64, half_life: f32) -> Self {
        let factor = (-(now.saturating_sub(self.at) as f32) / half_life).exp2();
        Self { at: self.at.max(now), positives: self.positives * factor, all: self.all * factor }
    }
}

/// A rate for each of many things. Bounded: when there are too many, those that have been forgotten most go first.
#[derive(Debug, Clone)]
pub struct RateTable<K> {
    half_life: f32,
    strength: f32,
    capacity: usize,
    /// In order, so that the same things are forgotten in every run.
    rates: BTreeMap<K, DecayedRate>,
}

impl<K: Ord> RateTable<K> {
    /// Counts are halved every `half_life`; a prior counts as much as `strength` answers; at most `capacity` things are kept.
    pub fn new(half_life: f32, strength: f32, capacity: usize) -> Self {
        Self { half_life, strength, capacity: capacity.max(1), rates: BTreeMap::new() }
    }

    /// One more answer about `key`, at `now`.
    pub fn add(&mut self, key: K, now: u64, came_true: bool) {
        if self.rates.len() >= self.capacity && !self.rates.contains_key(&key) {
            self.shrink(now);
        }
        self.rates.entry(key).or_default().add(now, self.half_life, came_true);
    }

    /// The rate of `key` as of `now`; the prior if nothing is known of it.
    pub fn rate(&self, key: &K, now: u64, prior: f32) -> f32 {
        self.rates.get(key).map_or(prior, |rate| rate.rate(now, self.half_life, prior, self.strength))
    }

    /// How many answers about `key` count as of `now`.
    pub fn count(&self, key: &K, now: u64) -> f32 {
        self.rates.get(key).map_or(0.0, |rate| rate.count(now, self.half_life))
    }

    /// Makes room for a quarter of the capacity, so that this is seldom done.
    fn shrink(&mut self, now: u64) {
        let mut counts: Vec<f32> = self.rates.values().map(|rate| rate.count(now, self.half_life)).collect();
        let middle = counts.len() / 4;
        let (_, &mut floor, _) = counts.select_nth_unstable_by(middle, f32::total_cmp);
        let mut spare = middle + 1;
        self.rates.retain(|_, rate| {
            let goes = spare > 0 && rate.count(now, self.half_life) <= floor;
            spare -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_lean_on_the_prior_until_there_is_evidence_and_again_when_it_is_old() {
        let mut table = RateTable::new(100.0, 2.0, 10);
        assert_eq!(table.rate(&"a", 0, 0.3), 0.3);
        (0..6).for_each(|_| table.add("a", 0, true));
        assert_eq!(table.rate(&"a", 0, 0.3), (6.0 + 0.6) / 8.0);
        assert_eq!(table.count(&"a", 100), 3.0);
        assert_eq!(table.rate(&"a", 100, 0.3), (3.0 + 0.6) / 5.0);
        assert!((table.rate(&"a", 10_000, 0.3) - 0.3).abs() < 1e-6);
    }

    #[test]
    fn the_most_forgotten_go_first() {
        let mut table = RateTable::new(10.0, 1.0, 8);
        (0..8).for_each(|key| table.add(key, key * 10, true));
        table.add(99, 80, true);
        assert!(table.rates.len() <= 8 && table.count(&99, 80) == 1.0);
        assert_eq!((table.count(&0, 80), table.count(&1, 80)), (0.0, 0.0));
        assert!(table.count(&7, 80) > 0.0);
    }
}
