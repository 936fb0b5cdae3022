//! How much may still be fetched before it is asked for. Without a clock: whoever asks says what time it is.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{events::Millis, upstream::PullBudget};

const HOUR: Millis = 3_600_000;

/// Hours that are looked back.
const HOURS: usize = 24;

/// Customers whose spending is remembered one by one; the rest share one account.
const CUSTOMERS: usize = 10_000;

/// A sum over the last 24 hours, to the hour: what is older than that is forgotten an hour at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    slots: [u64; HOURS],
    /// The hour that is written to, counted from 1970.
    hour: u64,
}

impl Day {
    /// Adds what happened at `at`. Times are expected in order; what comes late counts as of now.
    pub fn add(&mut self, amount: u64, at: Millis) {
        self.turn(at);
        let slot = &mut self.slots[self.hour as usize % HOURS];
        *slot = slot.saturating_add(amount);
    }

    /// Takes back what was added in vain, the newest first.
    pub fn take_back(&mut self, mut amount: u64, at: Millis) {
        self.turn(at);
        for age in 0..HOURS as u64 {
            let slot = &mut self.slots[(self.hour + HOURS as u64 - age) as usize % HOURS];
            let taken = amount.min(*slot);
            *slot -= taken;
            amount -= taken;
        }
    }

    /// The same, unless it is of a time after `now`: a clock was set back, and nothing is known.
    #[must_use]
    pub(super) fn until(self, now: Millis) -> Self {
        if self.hour > now / HOUR { Self::default() } else { self }
    }

    /// The sum as of `at`.
    pub fn total(&self, at: Millis) -> u64 {
        self.last(HOURS as u64, at)
    }

    /// The sum of the last `hours`, at most 24, the one that has begun included.
    pub fn last(&self, hours: u64, at: Millis) -> u64 {
        let now = (at / HOUR).max(self.hour);
        let ages = (0..hours.min(HOURS as u64)).filter(|age| {
            let hour = now.saturating_sub(*age);
            hour <= self.hour && self.hour - hour < HOURS as u64
        });
        ages.map(|age| self.slots[(now - age) as usize % HOURS]).fold(0, u64::saturating_add)
    }

    fn turn(&mut self, at: Millis) {
        let now = (at / HOUR).max(self.hour);
        for hour in (self.hour + 1..=now).rev().take(HOURS) {
            self.slots[hour as usize % HOURS] = 0;
        }
        self.hour = now;
    }
}

/// Bytes that may be fetched in 24 hours: a share of what clients were sent in them, and never less than a floor.
#[derive(Debug, Clone, Default)]
pub struct ByteBudget {
    share: f64,
    floor: u64,
    sent: Day,
    spent: Day,
}

impl ByteBudget {
    /// A budget of `share` of what clients are sent, and never less than `floor`.
    pub fn new(share: f64, floor: u64) -> Self {
        Self { share, floor, ..Self::default() }
    }

    /// Other limits from now on; what was sent and spent counts on.
    pub const fn set(&mut self, share: f64, floor: u64) {
        (self.share, self.floor) = (share, floor);
    }

    /// Clients were sent so many bytes.
    pub fn sent(&mut self, bytes: u64, at: Millis) {
        self.sent.add(bytes, at);
    }

    /// So many bytes are fetched.
    pub fn spend(&mut self, bytes: u64, at: Millis) {
        self.spent.add(bytes, at);
    }

    /// So many of the bytes that were said to be fetched were not.
    pub fn give_back(&mut self, bytes: u64, at: Millis) {
        self.spent.take_back(bytes, at);
    }

    /// Bytes that may be fetched now.
    pub fn left(&self, at: Millis) -> u64 {
        self.allowed(at).saturating_sub(self.spent.total(at))
    }

    /// Whether so much was spent in vain that nothing at all is fetched before it is asked for: twice of what is allowed.
    pub fn is_overdrawn(&self, at: Millis) -> bool {
        self.spent.total(at) > self.allowed(at).saturating_mul(2)
    }

    fn allowed(&self, at: Millis) -> u64 {
        ((self.sent.total(at) as f64 * self.share) as u64).max(self.floor)
    }
}

/// What a customer has had of the budget, and what the pulls of each upstream are at.
#[derive(Debug, Clone, Default)]
pub struct Spending {
    customers: HashMap<Option<Arc<str>>, Day>,
    pulls: HashMap<Arc<str>, Day>,
    /// The hour in which accounts without anything in them were last dropped.
    swept: u64,
}

impl Spending {
    /// A customer has had bytes.
    pub fn had(&mut self, customer: Option<&Arc<str>>, bytes: u64, at: Millis) {
        let known = customer.filter(|_| self.customers.len() < CUSTOMERS).cloned();
        let key = if self.customers.contains_key(&customer.cloned()) { customer.cloned() } else { known };
        self.customers.entry(key).or_default().add(bytes, at);
        if self.customers.len() >= CUSTOMERS && self.swept < at / HOUR {
            self.swept = at / HOUR;
            self.customers.retain(|_, day| day.total(at) > 0);
        }
    }

    /// Bytes that a customer has had in 24 hours.
    pub fn of(&self, customer: Option<&Arc<str>>, at: Millis) -> u64 {
        self.customers.get(&customer.cloned()).map_or(0, |day| day.total(at))
    }

    /// A pull that `route` counts was spent.
    pub fn pulled(&mut self, route: &Arc<str>, at: Millis) {
        self.pulls.entry(route.clone()).or_default().add(1, at);
    }

    /// Pulls that may still be spent at `route`, which has told of its limit as `told`: of what was left before the first of
    /// them, `share`. Any number where nothing is counted.
    pub fn pulls_left(&self, route: &str, told: Option<PullBudget>, share: f64, at: Millis) -> u64 {
        let Some(told) = told else { return u64::MAX };
        let hours = told.window.map_or(HOURS as u64, |window| window.as_secs().div_ceil(3600));
        let own = self.pulls.get(route).map_or(0, |day| day.last(hours, at));
        (((told.remaining + own) as f64 * share) as u64).saturating_sub(own)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const START: Millis = 1_700_000_000_000;

    #[test]
    fn what_is_older_than_a_day_is_forgotten() {
        let mut day = Day::default();
        day.add(5, START);
        day.add(7, START + 2 * HOUR);
        assert_eq!((day.total(START + 2 * HOUR), day.last(1, START + 2 * HOUR), day.last(2, START + 2 * HOUR)), (12, 7, 7));
        assert_eq!(day.total(START + 23 * HOUR), 12);
        assert_eq!(day.total(START + 24 * HOUR), 7);
        assert_eq!(day.total(START + 100 * HOUR), 0);
        day.take_back(8, START + 2 * HOUR);
        assert_eq!(day.total(START + 2 * HOUR), 4);
    }

    proptest! {
        /// Against all events one by one.
        #[test]
        fn a_day_is_the_sum_of_its_hours(events in prop::collection::vec((0..3 * HOUR, 0..1000_u64), 0..60), later in 0..40 * HOUR) {
            let (mut day, mut now, mut all) = (Day::default(), START, Vec::new());
            for (pause, amount) in events {
                now += pause;
                day.add(amount, now);
                all.push((now, amount));
            }
            now += later;
            let expected: u64 = all.iter().filter(|(at, _)| now / HOUR - at / HOUR < 24).map(|(_, amount)| amount).sum();
            prop_assert_eq!(day.total(now), expected);
        }
    }

    #[test]
    fn the_budget_is_a_share_of_what_is_sent_and_never_less_than_the_floor() {
        let mut budget = ByteBudget::new(0.1, 100);
        assert_eq!(budget.left(START), 100);
        budget.sent(5000, START);
        assert_eq!(budget.left(START), 500);
        budget.spend(450, START);
        assert_eq!(budget.left(START), 50);
        budget.give_back(50, START);
        assert_eq!(budget.left(START), 100);
        budget.spend(700, START);
        assert_eq!((budget.left(START), budget.is_overdrawn(START)), (0, true));
        assert_eq!(budget.left(START + 24 * HOUR), 100, "a day later");
        budget.set(1.0, 0);
        assert_eq!((budget.left(START), budget.is_overdrawn(START)), (3900, false));
    }

    #[test]
    fn a_share_of_the_pulls_that_are_left_may_be_spent() {
        let (mut spending, route) = (Spending::default(), Arc::<str>::from("docker.io"));
        let told = |remaining| Some(PullBudget { limit: 100, remaining, window: Some(Duration::from_secs(6 * 3600)) });
        assert_eq!(spending.pulls_left(&route, None, 0.1, START), u64::MAX);
        for left in (0..10).rev() {
            spending.pulled(&route, START);
            assert_eq!(spending.pulls_left(&route, told(90 + left), 0.1, START), left, "the upstream has counted it too");
        }
        assert_eq!(spending.pulls_left(&route, told(40), 0.1, START), 0, "clients have pulled");
        assert_eq!(spending.pulls_left(&route, told(100), 0.1, START + 7 * HOUR), 10, "another window");
        assert_eq!(spending.pulls_left("ghcr.io", told(100), 0.1, START), 10);
    }

    #[test]
    fn customers_are_told_apart_up_to_a_number_of_them() {
        let mut spending = Spending::default();
        let name = |n: usize| Arc::<str>::from(n.to_string());
        for n in 0..CUSTOMERS + 5 {
            spending.had(Some(&name(n)), 1, START);
        }
        assert_eq!((spending.of(Some(&name(3)), START), spending.of(None, START)), (1, 5));
        spending.had(Some(&name(1)), 1, START + 30 * HOUR);
        assert_eq!(spending.customers.len(), 1);
    }
}
