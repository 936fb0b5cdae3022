//! How long writes wait after the bucket has refused one.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// Longest pause, unless the first one is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// A pause for all writers, doubling with each failure in a row. A bucket that is full, or may not be written, can still be read:
/// that is why this is not the breaker.
#[derive(Debug)]
pub(super) struct Pause {
    first: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    until: Instant,
    next: Duration,
}

impl Pause {
    pub(super) fn new(first: Duration) -> Self {
        Self { first, state: Mutex::new(State { until: Instant::now(), next: first }) }
    }

    /// A write was refused. True when this began a pause: failures of writes that were under way do not lengthen it.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let now = Instant::now();
        if state.until > now {
            return false;
        }
        state.until = now + state.next;
        state.next = (state.next * 2).min(LONGEST.max(self.first));
        true
    }

    /// A write succeeded.
    pub(super) fn end(&self) {
        *self.state.lock() = State { until: Instant::now(), next: self.first };
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.lock().until <= Instant::now()
    }

    /// Waits until it is over.
    pub(super) async fn over(&self) {
        loop {
            let until = self.state.lock().until;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_doubles_and_a_success_ends_it() {
        let second = Duration::from_secs(1);
        let pause = Pause::new(5 * second);
        let start = Instant::now();
        pause.over().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        for seconds in [5, 10, 20, 40, 60, 60] {
            assert!(pause.begin());
            assert!(!pause.begin(), "one failure counts");
            let start = Instant::now();
            pause.over().await;
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
        pause.begin();
        pause.end();
        let start = Instant::now();
        pause.over().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        pause.begin();
        pause.over().await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
