//! Who decides what is fetched: the model, the rule, or nobody.

use std::collections::VecDeque;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decider {
    /// What has been learned.
    Model,
    /// What needs no learning: the fixed rule.
    Rule,
    /// Nobody: nothing is fetched that nobody has asked for.
    Nobody,
}

/// Watches how many of the bytes that were predicted are asked for, and lets those decide who can.
///
/// Both the model and the rule are judged by all that they predict, whether it is fetched or not: who does not decide can show that it
/// would do well again. To come back takes a little more than to stay.
#[derive(Debug, Clone)]
pub struct Guard {
    hour: u64,
    fewest: u64,
    decider: Decider,
    /// By hour, of the model and of the rule.
    hours: VecDeque<(u64, [Bytes; 2])>,
}

/// Bytes that were predicted.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes {
    useful: u64,
    all: u64,
}

/// The hours that count.
const HOURS: u64 = 24;
/// Below this share of useful bytes, the model does not decide.
const MODEL: f64 = 0.4;
/// Below this one, neither does the rule.
const RULE: f64 = 0.2;
/// How much better than that one must be to come back.
const MARGIN: f64 = 0.05;

impl Guard {
    /// The model decides at first. `hour` is the length of an hour in the caller's unit of time; there is no verdict on fewer than
    /// `fewest` bytes.
    pub const fn new(hour: u64, fewest: u64) -> Self {
        Self { hour, fewest, decider: Decider::Model, hours: VecDeque::new() }
    }

    /// Takes in, at `now`, what came of `bytes` that the model or the rule had predicted: whether they were asked for in time.
    /// What nobody predicted is no business of the guard.
    pub fn learn(&mut self, now: u64, whose: Decider, bytes: u64, useful: bool) {
        let index = match whose {
            Decider::Model => 0,
            Decider::Rule => 1,
            Decider::Nobody => return,
        };
        let hour = now / self.hour;
        if self.hours.back().is_none_or(|(last, _)| *last < hour) {
            self.hours.push_back((hour, Default::default()));
        }
        if let Some((_, tally)) = self.hours.back_mut() {
            tally[index].all += bytes;
            tally[index].useful += if useful { bytes } else { 0 };
        }
        self.forget(hour);
    }

    /// Who decides at `now`.
    pub fn decide(&mut self, now: u64) -> Decider {
        self.forget(now / self.hour);
        let (model, rule) = (self.precision(Decider::Model), self.precision(Decider::Rule));
        let falls = |precision: Option<f64>, floor| precision.is_some_and(|precision| precision < floor);
        let recovers = |precision: Option<f64>, floor| precision.is_some_and(|precision| precision >= floor + MARGIN);
        if self.decider == Decider::Model && falls(model, MODEL) {
            self.decider = Decider::Rule;
        }
        if self.decider == Decider::Rule && falls(rule, RULE) {
            self.decider = Decider::Nobody;
        }
        if self.decider == Decider::Nobody && recovers(rule, RULE) {
            self.decider = Decider::Rule;
        }
        if recovers(model, MODEL) {
            self.decider = Decider::Model;
        }
        self.decider
    }

    /// The share of predicted bytes of the last day that were asked for; none if there were too few.
    pub fn precision(&self, whose: Decider) -> Option<f64> {
        let index = match whose {
            Decider::Model => 0,
            Decider::Rule => 1,
            Decider::Nobody => return None,
        };
        let (useful, all) =
            self.hours.iter().fold((0, 0), |(useful, all), (_, tally)| (useful + tally[index].useful, all + tally[index].all));
        (all >= self.fewest.max(1)).then(|| useful as f64 / all as f64)
    }

    fn forget(&mut self, hour: u64) {
        while self.hours.front().is_some_and(|(first, _)| first + HOURS <= hour) {
            self.hours.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use Decider::{Model, Nobody, Rule};

    use super::*;

    /// A day in which a share of all bytes is useful.
    fn day(guard: &mut Guard, begin: u64, whose: Decider, percent: u64) {
        for hour in begin..begin + HOURS {
            guard.learn(hour, whose, percent, true);
            guard.learn(hour, whose, 100 - percent, false);
        }
    }

    #[test]
    fn the_model_gives_way_to_the_rule_and_the_rule_to_nobody() {
        let mut guard = Guard::new(1, 1_000);
        day(&mut guard, 0, Model, 70);
        day(&mut guard, 0, Rule, 60);
        assert_eq!(guard.decide(23), Model);
        day(&mut guard, 24, Model, 39);
        day(&mut guard, 24, Rule, 60);
        assert_eq!(guard.decide(47), Rule);
        day(&mut guard, 48, Model, 39);
        day(&mut guard, 48, Rule, 19);
        assert_eq!(guard.decide(71), Nobody);
    }

    #[test]
    fn who_does_well_in_the_shadow_comes_back_but_not_at_the_edge() {
        let mut guard = Guard::new(1, 1_000);
        day(&mut guard, 0, Model, 10);
        day(&mut guard, 0, Rule, 10);
        assert_eq!(guard.decide(23), Nobody);
        day(&mut guard, 24, Rule, 22);
        assert_eq!(guard.decide(47), Nobody, "more than the floor, less than the margin");
        day(&mut guard, 48, Rule, 26);
        assert_eq!(guard.decide(71), Rule);
        day(&mut guard, 72, Model, 42);
        assert_eq!(guard.decide(95), Rule);
        day(&mut guard, 96, Model, 46);
        assert_eq!(guard.decide(119), Model);
        day(&mut guard, 120, Model, 42);
        assert_eq!(guard.decide(143), Model, "it stays where it would not have come back");
    }

    #[test]
    fn a_model_that_recovers_does_not_wait_for_the_rule() {
        let mut guard = Guard::new(1, 1_000);
        day(&mut guard, 0, Model, 10);
        day(&mut guard, 0, Rule, 10);
        assert_eq!(guard.decide(23), Nobody);
        day(&mut guard, 24, Model, 80);
        assert_eq!(guard.decide(47), Model);
    }

    #[test]
    fn there_is_no_verdict_on_little_evidence_or_old() {
        let mut guard = Guard::new(1, 1_000);
        guard.learn(0, Model, 999, false);
        assert_eq!((guard.decide(0), guard.precision(Model)), (Model, None));
        guard.learn(0, Model, 1, false);
        guard.learn(0, Nobody, 1_000, false);
        assert_eq!((guard.precision(Model), guard.precision(Nobody)), (Some(0.0), None));
        assert_eq!((guard.decide(24), guard.precision(Model)), (Model, None), "it is a day ago");
    }
}
