//! How much in a hurry a transfer is. What clients wait for goes first; what nobody waits for gives way.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::select;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::flight::Flight;

/// How long a transfer that gives way stands still before it takes another piece: an upstream that nothing is read from for long
/// closes the connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much in a hurry a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Haste {
    /// It is expected to be asked for some time. Takes no slot, keeps to a rate, and gives way to transfers that clients wait for.
    Later,
    /// A client is about to ask for it. Takes no slot.
    Soon,
    /// A client waits for it.
    Now,
}

/// All transfers together.
#[derive(Debug)]
pub(super) struct Traffic {
    /// Transfers that clients wait for.
    demand: watch::Sender<usize>,
    /// Bytes per second of those that are expected later; 0 for no limit.
    rate: AtomicU64,
    /// When the next of their pieces may come.
    next: Mutex<Option<Instant>>,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self { demand: watch::Sender::new(0), rate: AtomicU64::new(0), next: Mutex::new(None) }
    }

    pub(super) fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Transfers that clients wait for.
    pub(super) fn demand(&self) -> usize {
        *self.demand.borrow()
    }

    /// A client waits for one more.
    pub(super) fn demanded(&self) {
        self.demand.send_modify(|count| *count += 1);
    }

    /// One that a client waited for has ended.
    pub(super) fn ended(&self) {
        self.demand.send_modify(|count| *count -= 1);
    }

    /// Waits, if it is not in a hurry, until the next piece of a transfer may come, after one of `bytes`.
    pub(super) async fn give_way(&self, flight: &Flight, bytes: u64) {
        let mut haste = flight.haste.subscribe();
        if *haste.borrow() != Haste::Later {
            return;
        }
        let promotion = std::pin::pin!(haste.wait_for(|haste| *haste > Haste::Later));
        let turn = std::pin::pin!(async {
            if let Some(time) = self.reserve(bytes) {
                sleep_until(time).await;
            }
            // A refusal to wait for longer is no failure.
            let _ = timeout(PATIENCE, self.demand.subscribe().wait_for(|count| *count == 0)).await;
        });
        select(promotion, turn).await;
    }

    /// When `bytes` have had their time at the rate that all share.
    fn reserve(&self, bytes: u64) -> Option<Instant> {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return None;
        }
        let (mut next, now) = (self.next.lock(), Instant::now());
        let time = next.map_or(now, |next| next.max(now)) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        *next = Some(time);
        Some(time)
    }
}
