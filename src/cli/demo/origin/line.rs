//! The emulated long-distance line between the origin and whoever asks it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

/// A lull shorter than this is made up for: timers wake late by up to a millisecond, and a real line would not have idled.
const CREDIT: Duration = Duration::from_millis(10);

/// A line with a round-trip time and a bandwidth that all connections share.
#[derive(Debug)]
pub(in super::super) struct Line {
    round_trip: Duration,
    /// Bytes per second; never 0.
    bandwidth: u64,
    /// When the last byte that was handed over will have left.
    free_at: Mutex<Instant>,
}

impl Line {
    /// A line that is idle now.
    pub(in super::super) fn new(round_trip: Duration, bandwidth: u64) -> Self {
        Self { round_trip, bandwidth: bandwidth.max(1), free_at: Mutex::new(Instant::now()) }
    }

    /// Waits as long as a request and the head of its answer travel.
    pub(super) async fn round_trip(&self) {
        sleep(self.round_trip).await;
    }

    /// Waits until `bytes` have left, after everything that was handed over before. Cancelled, it still has used the line.
    pub(super) async fn carry(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bandwidth as f64);
        let gone = {
            let mut free_at = self.free_at.lock();
            let now = Instant::now();
            let start = (*free_at).max(now.checked_sub(CREDIT).unwrap_or(now));
            *free_at = start + takes;
            *free_at
        };
        sleep_until(gone).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_bodies_share_the_bandwidth() {
        let line = Line::new(Duration::ZERO, 100_000);
        let start = Instant::now();
        let body = || async {
            for _ in 0..10 {
                line.carry(10_000).await;
            }
        };
        join(body(), body()).await;
        let took = start.elapsed();
        // Virtual time: 200,000 bytes at 100,000 a second, less the credit of an idle line.
        assert!(took >= Duration::from_millis(1985) && took <= Duration::from_millis(2005), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_lull_gives_no_more_than_the_credit() {
        let line = Line::new(Duration::ZERO, 100_000);
        sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        line.carry(100_000).await;
        assert!(start.elapsed() >= Duration::from_millis(985), "{:?}", start.elapsed());
    }
}
