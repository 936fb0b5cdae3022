//! Whether and when a failed request is tried again.

use std::{sync::LazyLock, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{UpstreamError, UpstreamErrorKind};

/// Further tries that are allowed per request, on average.
const PER_REQUEST: f64 = 0.1;
/// Tries that are always there after a quiet time, and how many of them come back per second.
const FLOOR: f64 = 10.0;
const FLOOR_PER_SECOND: f64 = 0.5;
/// What can be saved up.
const CEILING: f64 = 100.0;
/// The first pause is up to this long; it doubles from try to try.
const BASE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What may be spent on further tries: 10 % of the requests and a small floor, so that an outage is not answered by a
/// multiple of the load.
#[derive(Debug)]
pub(super) struct RetryBudget(Mutex<Balance>);

#[derive(Debug)]
struct Balance {
    tries: f64,
    as_of: Instant,
}

/// The budget that all upstreams of this process share.
pub(super) static PROCESS: LazyLock<std::sync::Arc<RetryBudget>> = LazyLock::new(std::sync::Arc::default);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(Balance { tries: FLOOR, as_of: Instant::now() }))
    }
}

impl RetryBudget {
    /// Counts a request.
    pub(super) fn earn(&self) {
        let mut balance = self.0.lock();
        balance.tries = (balance.tries + PER_REQUEST).min(CEILING);
    }

    /// Takes a further try out, if one is left.
    pub(super) fn spend(&self) -> bool {
        let mut balance = self.0.lock();
        let now = Instant::now();
        if balance.tries < FLOOR {
            let grown = now.duration_since(balance.as_of).as_secs_f64() * FLOOR_PER_SECOND;
            balance.tries = (balance.tries + grown).min(FLOOR);
        }
        balance.as_of = now;
        if balance.tries < 1.0 {
            return false;
        }
        balance.tries -= 1.0;
        true
    }
}

/// Whether a failure before the first byte may pass by itself.
pub(super) fn may_pass(error: &UpstreamError) -> bool {
    matches!(error.kind, UpstreamErrorKind::Unavailable | UpstreamErrorKind::Timeout)
}

/// The pause before try `number` (the first further try is 1): anything up to a limit that doubles each time. `None` when
/// the upstream asks for more patience than a waiting client has.
pub(super) fn pause(number: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let limit = BASE.saturating_mul(1 << number.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    match retry_after {
        Some(wait) if wait > LONGEST_PAUSE => None,
        Some(wait) => Some(wait),
        None => Some(limit.mul_f64(fastrand::f64())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_spends_the_floor_and_a_tenth_of_the_requests() {
        let budget = RetryBudget::default();
        let spent = (0..1000)
            .filter(|_| {
                budget.earn();
                budget.spend()
            })
            .count();
        assert!((105..=111).contains(&spent), "{spent}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_floor_comes_back_and_no_more_than_it() {
        let budget = RetryBudget::default();
        while budget.spend() {}
        tokio::time::advance(Duration::from_secs(3600)).await;
        let spent = (0..100).filter(|_| budget.spend()).count();
        assert_eq!(spent, 10);
    }

    #[test]
    fn pauses_grow_up_to_a_limit_and_obey_the_upstream() {
        for number in [1, 2, 3, 40, u32::MAX] {
            let limit = BASE.saturating_mul(1 << (number - 1).min(16)).min(LONGEST_PAUSE);
            for _ in 0..100 {
                assert!(pause(number, None).unwrap() <= limit);
            }
        }
        assert_eq!(pause(1, Some(Duration::from_secs(1))), Some(Duration::from_secs(1)));
        assert_eq!(pause(1, Some(Duration::from_secs(60))), None);
    }
}
