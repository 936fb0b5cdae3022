//! A bucket that fails is left alone, and looked at in the background: no client ever pays for a try.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep},
};

/// Longest pause between two looks, unless the first one is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// A look at the bucket; the error says what is wrong.
pub(super) type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The circuit breaker of the bucket.
///
/// One failure opens it. Then a task looks after a pause, one look at a time, with pauses that double; a look that succeeds
/// closes it. An answer to a request from before does not.
pub(super) struct Breaker {
    shared: Arc<Shared>,
    probe: Probe,
    runtime: Handle,
    prober: Mutex<Option<AbortHandle>>,
}

struct Shared {
    pause: Duration,
    open: watch::Sender<bool>,
    gauge: Gauge,
    /// When it was closed last, and the pause that would have come next.
    closed: Mutex<Option<(Instant, Duration)>>,
}

impl Breaker {
    /// `gauge` is 1 while it is open. The looks run on `runtime` until this is dropped.
    pub(super) fn new(pause: Duration, gauge: Gauge, runtime: Handle, probe: Probe) -> Self {
        gauge.set(0);
        let shared = Shared { pause, open: watch::Sender::new(false), gauge, closed: Mutex::new(None) };
        Self { shared: Arc::new(shared), probe, runtime, prober: Mutex::new(None) }
    }

    pub(super) fn is_open(&self) -> bool {
        *self.shared.open.borrow()
    }

    /// Waits until it is closed.
    pub(super) async fn closed(&self) {
        // Fails only when the sender is gone, which is ours.
        let _ = self.shared.open.subscribe().wait_for(|open| !open).await;
    }

    /// Opens it, if it is not open, because of `why`.
    pub(super) fn trip(&self, why: &str) {
        if !self.shared.open.send_if_modified(|open| !std::mem::replace(open, true)) {
            return;
        }
        self.shared.gauge.set(1);
        tracing::warn!(why, "the bucket fails and is left alone for now; pulls go on without it");
        let prober = self.runtime.spawn(look(self.shared.clone(), self.probe.clone()));
        *self.prober.lock() = Some(prober.abort_handle());
    }
}

/// Looks until a look succeeds.
async fn look(shared: Arc<Shared>, probe: Probe) {
    let mut pause = shared.first_pause();
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST.max(shared.pause));
        match probe().await {
            Ok(()) => break,
            Err(why) => tracing::debug!(why, "the bucket still fails"),
        }
    }
    *shared.closed.lock() = Some((Instant::now(), pause));
    shared.gauge.set(0);
    shared.open.send_replace(false);
    tracing::info!("the bucket answers again");
}

impl Shared {
    /// One that looked well and failed again at once is not looked at as often.
    fn first_pause(&self) -> Duration {
        match *self.closed.lock() {
            Some((at, next)) if at.elapsed() < LONGEST => next,
            _ => self.pause,
        }
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        if let Some(prober) = self.prober.lock().take() {
            prober.abort();
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    struct Bucket {
        breaker: Breaker,
        well: Arc<AtomicBool>,
        looks: Arc<AtomicUsize>,
        gauge: Gauge,
    }

    fn bucket() -> Bucket {
        let (well, looks, gauge) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Gauge::default());
        let (is_well, counted) = (well.clone(), looks.clone());
        let probe: Probe = Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let outcome = if is_well.load(Ordering::Relaxed) { Ok(()) } else { Err("down".to_owned()) };
            Box::pin(std::future::ready(outcome))
        });
        Bucket { breaker: Breaker::new(PAUSE, gauge.clone(), Handle::current(), probe), well, looks, gauge }
    }

    /// Lets time pass, and the prober run in between.
    async fn pass(seconds: u64) {
        for _ in 0..seconds * 10 {
            sleep(Duration::from_millis(100)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_opens_it_and_only_a_look_closes_it() {
        let bucket = bucket();
        assert!(!bucket.breaker.is_open());
        bucket.breaker.trip("timeout");
        bucket.well.store(true, Ordering::Relaxed);
        pass(4).await;
        assert!(bucket.breaker.is_open());
        assert_eq!((bucket.looks.load(Ordering::Relaxed), bucket.gauge.get()), (0, 1));
        pass(2).await;
        assert!(!bucket.breaker.is_open());
        assert_eq!((bucket.looks.load(Ordering::Relaxed), bucket.gauge.get()), (1, 0));
        pass(600).await;
        assert_eq!(bucket.looks.load(Ordering::Relaxed), 1, "nobody looks at a bucket that is well");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_minute_and_failures_meanwhile_add_no_looks() {
        let bucket = bucket();
        for (seconds, looks) in [(6, 1), (10, 2), (20, 3), (40, 4), (60, 5), (60, 6)] {
            bucket.breaker.trip("503");
            pass(seconds).await;
            assert_eq!(bucket.looks.load(Ordering::Relaxed), looks);
        }
        assert!(bucket.breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_again_at_once_is_looked_at_less_often() {
        let bucket = bucket();
        bucket.well.store(true, Ordering::Relaxed);
        bucket.breaker.trip("timeout");
        pass(6).await;
        assert!(!bucket.breaker.is_open());
        bucket.breaker.trip("timeout");
        pass(6).await;
        assert!(bucket.breaker.is_open(), "the second pause is twice the first");
        pass(5).await;
        assert!(!bucket.breaker.is_open());
        pass(120).await;
        bucket.breaker.trip("timeout");
        pass(6).await;
        assert!(!bucket.breaker.is_open(), "after a good while the first pause counts again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_it_to_close_goes_on_then() {
        let bucket = bucket();
        bucket.breaker.trip("reset");
        bucket.well.store(true, Ordering::Relaxed);
        bucket.breaker.closed().await;
        assert_eq!(bucket.looks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_it_looks_no_more() {
        let bucket = bucket();
        bucket.breaker.trip("reset");
        drop(bucket.breaker);
        pass(60).await;
        assert_eq!(bucket.looks.load(Ordering::Relaxed), 0);
    }
}
