//! Fetching what is expected before it is asked for: within a budget, and never in the way of a client.
//!
//! ```text
//! predictor ──offer──> queue ──plan──> worker ──Warm──> registry ──> fill, in less of a hurry than clients
//!                                                                      │
//! events ────────────> ledger <──────── what it has cost ──────────────┘
//! ```
//!
//! What happens to an offer, in the order in which it is decided: it is here (nothing to do); it waits ([`queue`]); it may be begun
//! ([`plan`], within the [`budget`]); it is fetched ([`warm`]); it is used, late or wasted ([`ledger`]). All decisions are made
//! without a clock and without waiting; `worker` carries them out.

pub mod budget;
pub mod ledger;
pub mod plan;
pub mod queue;
pub mod warm;

mod asked;
mod listener;
mod metrics;
mod moves;
mod platforms;
mod rest;
mod settings;
mod state;
mod worker;

pub use asked::{Delivered, Order};
pub use ledger::{Decision, Naming, Savings, Tally, Verdict};
pub use warm::{Warm, WarmError, WarmErrorKind, Warmed, WarmedManifest};

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    task::AbortHandle,
};

use crate::{
    config::Config,
    events::{self, Bus, Event, What},
    oci::Digest,
    predict::Expected,
    telemetry::Metrics,
};
use ledger::{LedgerFile, Resolved};
use metrics::PrefetchMetrics;
use settings::Settings;
use state::State;

/// Offers that wait to be looked at.
const OFFERS: usize = 256;

/// Contents of one offer that are looked at.
const OFFERED: usize = 2048;

/// Events that may wait to be heard.
const EVENTS: usize = 16_384;

/// Prefetching of one server.
pub struct Prefetch {
    shared: Arc<Shared>,
    offers: mpsc::Sender<Vec<Expected>>,
    /// Those that clients are about to ask for do not wait behind the others.
    urgent: mpsc::Sender<Vec<Expected>>,
    worker: AbortHandle,
    listener: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    state: Mutex<State>,
    warm: Arc<dyn Warm>,
    bus: Arc<dyn Bus>,
    /// Rung when something that waits may be begun.
    wake: Notify,
    is_stopping: AtomicBool,
    metrics: PrefetchMetrics,
    file: LedgerFile,
    naming: Naming,
}

impl Prefetch {
    /// Begins to take offers, on `handle`, and to hear from `bus` what becomes of them. Accounts go on where earlier runs have left
    /// them; they name customers as `naming` says. Where the configuration says that nothing is fetched before it is asked for, only
    /// orders are carried out, and accounts are neither read nor written.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        handle: Handle,
        config: &Config,
        warm: Arc<dyn Warm>,
        bus: Arc<dyn Bus>,
        naming: Naming,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let counted = PrefetchMetrics::default();
        counted.register(metrics);
        let settings = Settings::new(config);
        warm.set_rate(settings.prefetch.rate.as_u64());
        let enabled = settings.prefetch.enabled;
        let mut state = State::new(settings, counted.clone(), events::now());
        let file = LedgerFile::in_folder(&config.storage.data, state.settings.region.clone());
        if let Some(kept) = enabled.then(|| file.read()).flatten() {
            state.ledger.go_on_with(kept, &naming, events::now());
        }
        let shared = Arc::new(Shared {
            handle: handle.clone(),
            state: Mutex::new(state),
            warm,
            bus: bus.clone(),
            wake: Notify::new(),
            is_stopping: AtomicBool::new(!enabled),
            metrics: counted,
            file,
            naming,
        });
        let listener = if enabled { Some(listener::start(bus.subscribe("prefetch", EVENTS), shared.clone())?) } else { None };
        let (offers, waiting) = mpsc::channel(OFFERS);
        let (urgent, first) = mpsc::channel(OFFERS);
        let worker = handle.spawn(worker::run(shared.clone(), first, waiting)).abort_handle();
        Ok(Self { shared, offers, urgent, worker, listener: Mutex::new(listener) })
    }

    /// Offers what is expected to be asked for. Never blocks: what there is no time to look at is dropped and counted.
    pub fn offer(&self, mut expected: Vec<Expected>) {
        if self.shared.is_stopping.load(Ordering::Relaxed) || expected.is_empty() {
            return;
        }
        let surplus = expected.len().saturating_sub(OFFERED);
        expected.truncate(OFFERED);
        let count = expected.len();
        let way = if expected.iter().any(|expected| expected.reason.is_urgent()) { &self.urgent } else { &self.offers };
        let dropped = surplus + if way.try_send(expected).is_ok() { 0 } else { count };
        self.shared.metrics.dropped.inc_by(dropped as u64);
    }

    /// Takes over new limits. Whether anything is fetched at all stays as it was.
    pub fn reconfigure(&self, config: &Config) {
        let settings = Settings::new(config);
        self.shared.warm.set_rate(settings.prefetch.rate.as_u64());
        self.shared.state.lock().reconfigure(settings);
        self.shared.wake.notify_one();
    }

    /// Of the bytes whose fate was seen in the last 24 hours, the share that was asked for. `None` when none was.
    pub fn precision(&self) -> Option<f64> {
        self.shared.state.lock().ledger.precision(events::now())
    }

    /// What it has cost and saved, earlier runs included.
    pub fn savings(&self) -> Savings {
        self.shared.state.lock().ledger.snapshot(events::now())
    }

    /// What was decided about a content, the newest first, as far as it is remembered.
    pub fn decisions_about(&self, digest: &Digest) -> Vec<Decision> {
        self.shared.state.lock().ledger.decisions_about(digest)
    }

    /// The last decisions, the newest first.
    pub fn newest_decisions(&self, most: usize) -> Vec<Decision> {
        self.shared.state.lock().ledger.newest_decisions(most)
    }

    /// Begins nothing more. Transfers under way go on. Blocks until what has been told so far is heard, and the accounts are kept.
    pub fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.worker.abort();
        if let Some(listener) = self.listener.lock().take()
            && listener.join().is_err()
        {
            tracing::error!("what becomes of prefetched contents was not heard to the end");
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.worker.abort();
    }
}

impl Shared {
    /// Writes down what it has come to. Blocks.
    fn keep(&self) {
        let kept = self.state.lock().ledger.kept().named(&self.naming);
        if let Err(error) = self.file.write(&kept) {
            tracing::warn!(%error, "what prefetching has saved could not be written down");
        }
    }

    /// Tells what has become known.
    fn publish(&self, resolved: impl IntoIterator<Item = Resolved>) {
        for Resolved { digest, size, outcome } in resolved {
            self.bus.publish(Event::now(What::Prefetched { digest, size, outcome }));
        }
    }
}

impl fmt::Debug for Prefetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefetch").field("shared", &self.shared).finish_non_exhaustive()
    }
}
