//! An upstream that fails again and again is left alone for a while.

use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

/// The circuit breaker of one upstream.
///
/// Closed, every try passes. After `failures` failed tries in a row it is open for `pause` and nothing passes. Then one try
/// at a time passes as a probe: its success closes the breaker, its failure opens it for another pause.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    pause: Duration,
    state: Mutex<State>,
    open: Gauge,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, probing: bool },
}

/// Leave to try. Dropped without a word (the caller went away), it changes nothing, and a probe's place is free again.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

/// The breaker is open, for this much longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open(pub(super) Duration);

impl Breaker {
    /// `open` is 1 while the breaker is not closed.
    pub(super) fn new(failures: u32, pause: Duration, open: Gauge) -> Self {
        open.set(0);
        Self { failures: failures.max(1), pause, state: Mutex::new(State::Closed { failures: 0 }), open }
    }

    /// Whether a try would pass now. Takes no place.
    pub(super) fn check(&self) -> Result<(), Open> {
        match *self.state.lock() {
            State::Closed { .. } => Ok(()),
            State::Open { until, probing } => self.probe_allowed(until, probing),
        }
    }

    /// Lets a try pass, or tells for how long not.
    pub(super) fn admit(&self) -> Result<Pass<'_>, Open> {
        let mut state = self.state.lock();
        match &mut *state {
            State::Closed { .. } => Ok(Pass { breaker: self, probe: false }),
            State::Open { until, probing } => {
                self.probe_allowed(*until, *probing)?;
                *probing = true;
                Ok(Pass { breaker: self, probe: true })
            }
        }
    }

    fn probe_allowed(&self, until: Instant, probing: bool) -> Result<(), Open> {
        let left = until.saturating_duration_since(Instant::now());
        if probing {
            return Err(Open(self.pause));
        }
        if left.is_zero() { Ok(()) } else { Err(Open(left)) }
    }
}

impl Pass<'_> {
    /// The upstream answered, whatever it said.
    pub(super) fn answered(self) {
        let mut state = self.breaker.state.lock();
        // A try from before the breaker opened says nothing about now.
        if self.probe || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
            self.breaker.open.set(0);
        }
    }

    /// The upstream did not answer, or answered that it cannot.
    pub(super) fn failed(self) {
        let mut state = self.breaker.state.lock();
        let opens = match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                *failures >= self.breaker.failures
            }
            State::Open { .. } => self.probe,
        };
        if opens {
            *state = State::Open { until: Instant::now() + self.breaker.pause, probing: false };
            self.breaker.open.set(1);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe
            && let State::Open { probing, .. } = &mut *self.breaker.state.lock()
        {
            *probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(2);

    fn breaker() -> Breaker {
        Breaker::new(3, PAUSE, Gauge::default())
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.admit().unwrap().failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker = breaker();
        fail(&breaker, 2);
        breaker.admit().unwrap().answered();
        fail(&breaker, 2);
        assert_eq!(breaker.check(), Ok(()));
        fail(&breaker, 1);
        assert_eq!(breaker.check(), Err(Open(PAUSE)));
        assert_eq!(breaker.admit().unwrap_err(), Open(PAUSE));
        assert_eq!(breaker.open.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_one_probe_at_a_time_decides() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(PAUSE).await;
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        probe.failed();
        assert_eq!(breaker.check(), Err(Open(PAUSE)));
        tokio::time::advance(PAUSE).await;
        breaker.admit().unwrap().answered();
        assert_eq!(breaker.check(), Ok(()));
        assert_eq!(breaker.open.get(), 0);
        fail(&breaker, 2);
        assert_eq!(breaker.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_given_up_frees_its_place() {
        let breaker = breaker();
        fail(&breaker, 3);
        tokio::time::advance(PAUSE).await;
        drop(breaker.admit().unwrap());
        assert!(breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_from_before_does_not_close_it() {
        let breaker = breaker();
        let late = breaker.admit().unwrap();
        fail(&breaker, 3);
        late.answered();
        assert!(breaker.check().is_err());
    }
}
