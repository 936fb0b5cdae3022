//! How fast bytes are moved while nobody waits for them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Work that clients wait for is under way for this long after each sign of it.
const BUSY: Duration = Duration::from_millis(100);

/// How many times slower it goes while clients wait.
const YIELD: u32 = 4;

/// How long a piece waits at least while clients wait, whatever the rate.
const REST: Duration = Duration::from_millis(20);

/// When a client last wanted something. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    epoch: Instant,
    /// Milliseconds after the epoch; 0 for never.
    last: Arc<AtomicU64>,
}

impl Demand {
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), last: Arc::default() }
    }

    /// A client wants something.
    pub(super) fn note(&self) {
        self.last.store(self.milliseconds(), Ordering::Relaxed);
    }

    /// Whether clients wait now, as far as can be told.
    fn is_there(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && self.milliseconds().saturating_sub(last) < BUSY.as_millis() as u64
    }

    /// Never 0.
    fn milliseconds(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64 + 1
    }
}

/// A rate that yields to demand.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    demand: Demand,
    /// Bytes per second.
    rate: u64,
}

impl Pace {
    pub(super) const fn new(rate: u64, demand: Demand) -> Self {
        Self { demand, rate }
    }

    /// Whether anything is moved at all.
    pub(super) const fn moves(&self) -> bool {
        self.rate > 0
    }

    /// A client wants something.
    pub(super) fn note_demand(&self) {
        self.demand.note();
    }

    /// How long moving `bytes` has to take.
    pub(super) fn price(&self, bytes: u64) -> Duration {
        let alone = Duration::from_secs_f64(bytes as f64 / self.rate.max(1) as f64);
        if self.demand.is_there() { (alone * YIELD).max(REST) } else { alone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_takes_its_time_and_more_while_clients_wait() {
        let mut pace = Pace::new(1 << 20, Demand::new());
        assert_eq!(pace.price(1 << 20), Duration::from_secs(1));
        pace.note_demand();
        assert_eq!(pace.price(1 << 20), Duration::from_secs(4));
        let unbounded = Pace::new(u64::MAX, pace.demand.clone());
        assert_eq!(unbounded.price(1 << 20), REST, "who goes as fast as it can rests all the same");
        pace.demand.epoch -= Duration::from_secs(1);
        assert_eq!(pace.price(1 << 20), Duration::from_secs(1));
        assert!(Pace::new(u64::MAX, pace.demand.clone()).price(1 << 20) < Duration::from_micros(1));
        assert!(!Pace::new(0, Demand::new()).moves() && pace.moves());
    }
}
