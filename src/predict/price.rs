//! What a byte that may be fetched in vain costs.
//!
//! A hit saves the time of a round trip and of the transfer. Fetching costs the transfer, paid now whether it is asked for or not. So a
//! content of `s` bytes that is asked for with probability `p` is worth fetching when `p (s + B) > price s`, where `B` is what the line
//! carries during a round trip: the larger it is, the surer one must be. The price rises when more is spent than the budget allows
//! (a dual price of the budget).

use super::{prophet::Budget, share::Decayed};
use crate::events::Millis;

/// The price while the budget is not exhausted.
const BASE: f64 = 0.7;

/// Bytes that a line carries during a round trip: 60 MB a second and 80 milliseconds.
const ROUND_TRIP_BYTES: f64 = 4.8e6;

/// Spent and sent are compared over a day.
const HALF_LIFE: Millis = 86_400_000;

#[derive(Debug)]
pub(super) struct Price {
    pub(super) budget: Budget,
    served: Decayed,
    spent: Decayed,
}

impl Price {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, served: Decayed::default(), spent: Decayed::default() }
    }

    /// A client was sent this many bytes.
    pub(super) fn served(&mut self, now: Millis, bytes: u64) {
        self.served.add(now, HALF_LIFE, bytes as f32);
    }

    /// This many bytes were fetched for nobody yet.
    pub(super) fn spent(&mut self, now: Millis, bytes: u64) {
        self.spent.add(now, HALF_LIFE, bytes as f32);
    }

    /// How likely it must be that a content is asked for, to be worth fetching.
    pub(super) fn least_probability(&self, now: Millis, size: u64) -> f64 {
        self.price(now) * at_price_one(size)
    }

    /// The same, if there were no limit to what may be spent.
    pub(super) fn least_probability_within_budget(size: u64) -> f64 {
        BASE * at_price_one(size)
    }

    fn price(&self, now: Millis) -> f64 {
        let allowed = (self.budget.share * f64::from(self.served.get(now, HALF_LIFE))).max(self.budget.floor as f64);
        BASE * (f64::from(self.spent.get(now, HALF_LIFE)) / allowed).max(1.0)
    }
}

fn at_price_one(size: u64) -> f64 {
    let size = size as f64;
    size / (size + ROUND_TRIP_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    #[test]
    fn the_larger_the_surer_and_the_more_is_spent_the_surer() {
        let mut price = Price::new(Budget { share: 0.1, floor: 100 * MB });
        let least = |price: &Price, size| price.least_probability(0, size);
        assert!(least(&price, MB / 10) < 0.05 && least(&price, 100 * MB) > 0.6);
        price.spent(0, 100 * MB);
        assert!(least(&price, 100 * MB) < 0.7, "that was allowed");
        price.spent(0, 100 * MB);
        assert!(least(&price, 100 * MB) > 1.0, "nothing is sure enough");
        price.served(0, 2_000 * MB);
        assert!(least(&price, 100 * MB) < 0.7, "clients were sent more");
        assert!(price.least_probability(10 * HALF_LIFE, 100 * MB) < 0.7, "that was long ago");
    }
}
