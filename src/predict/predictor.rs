//! The thread that hears what happens at an edge, and offers what is expected.

use std::{
    fmt, io,
    ops::{ControlFlow, RangeInclusive},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    aliases::Aliases,
    expected::Expected,
    forecast::Forecast,
    foresight::{Explanation, Foresight},
    learn::{Model, Store},
    prophet::Budget,
};
use crate::{
    events::{
        self, Closed, Event, Subscription, Waker,
        log::{self, Pseudonyms},
    },
    oci::{Digest, Tag},
};

/// How long nothing happens before it is looked whether to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often what has been learned is written down.
const SAVE: Duration = Duration::from_secs(900);

/// Things that are remembered at most, some 300 bytes each. With more, what was heard longest ago is forgotten: it begins anew with
/// the last day.
const MOST: usize = 4_000_000;

/// What is heard again when there was too much to remember.
const LAST_DAY: events::Millis = 86_400_000;

/// What a predictor is made of.
#[derive(Debug)]
pub struct PredictorSettings {
    /// The region of this edge.
    pub region: Arc<str>,
    /// Where the demand log is kept: what it tells of the past is heard first.
    pub log: Option<PathBuf>,
    /// By what names the log calls customers, if not by their own.
    pub pseudonyms: Option<Pseudonyms>,
    /// Where what has been learned is kept.
    pub models: PathBuf,
    /// What may be fetched, until it is told otherwise.
    pub budget: Budget,
    /// Who says what is likely, instead of what is learned.
    pub model: Option<Arc<dyn Model>>,
}

/// Hears what happens, and offers what is expected to be asked for.
pub struct Predictor {
    shared: Arc<Shared>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    settings: PredictorSettings,
    forecast: Arc<Forecast>,
    foresight: Mutex<Foresight>,
    is_stopping: AtomicBool,
}

impl Predictor {
    /// Begins to hear `events` once the demand log of earlier runs has been heard, and to `offer` what is expected; `forecast` learns
    /// what will be asked for again.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        settings: PredictorSettings,
        forecast: Arc<Forecast>,
        events: Subscription,
        offer: impl Fn(Vec<Expected>) + Send + 'static,
    ) -> io::Result<Self> {
        let mut foresight = Foresight::new(settings.region.clone(), settings.budget, forecast.clone());
        settings.model.iter().for_each(|model| foresight.give(model.clone()));
        let foresight = Mutex::new(foresight);
        let shared = Arc::new(Shared { settings, forecast, foresight, is_stopping: AtomicBool::new(false) });
        let (waker, own) = (events.waker(), shared.clone());
        let thread = std::thread::Builder::new().name("predictor".to_owned());
        let thread = thread.spawn(move || own.run(&events, &offer))?;
        Ok(Self { shared, waker, thread: Mutex::new(Some(thread)) })
    }

    /// What may be fetched from now on.
    pub fn set_budget(&self, budget: Budget) {
        self.shared.foresight.lock().set_budget(budget);
    }

    /// The region that it predicts for.
    pub fn region(&self) -> &Arc<str> {
        &self.shared.settings.region
    }

    /// What a tag of a repository, or a digest in it, is thought to be asked for, and why; `None` when it was never heard of.
    pub fn explain(
        &self,
        repository: Option<&events::Repository>,
        tag: Option<&Tag>,
        digest: Option<&Digest>,
    ) -> Option<Explanation> {
        self.shared.foresight.lock().explain(repository, tag, digest, events::now())
    }

    /// Writes down what has been learned, and ends. Blocks until then.
    pub fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.waker.wake();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("what was learned last could not be written down");
        }
    }
}

impl Drop for Predictor {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        self.waker.wake();
    }
}

impl Shared {
    fn run(&self, events: &Subscription, offer: &dyn Fn(Vec<Expected>)) {
        let mut aliases = Aliases::new(self.settings.pseudonyms.clone());
        self.recall(0..=events::now());
        let store =
            Store::open(&self.settings.models).inspect_err(|error| tracing::warn!(%error, "what is learned is not kept")).ok();
        if let Some(store) = &store
            && let Err(error) = self.foresight.lock().load(store)
        {
            tracing::warn!(%error, "what was learned before cannot be read: it is learned again");
        }
        let mut saved = Instant::now();
        while !self.is_stopping() {
            match events.next(PATIENCE) {
                Ok(Some(event)) => self.hear(&event, &mut aliases, offer),
                Ok(None) => {}
                Err(Closed) => break,
            }
            if saved.elapsed() >= SAVE {
                saved = Instant::now();
                self.save(store.as_ref());
            }
        }
        while let Ok(Some(event)) = events.try_next() {
            self.hear(&event, &mut aliases, &|_| ());
        }
        self.save(store.as_ref());
    }

    fn hear(&self, event: &Event, aliases: &mut Aliases, offer: &dyn Fn(Vec<Expected>)) {
        let mut foresight = self.foresight.lock();
        let mut expected = foresight.hear(&aliases.hidden(event));
        let is_full = foresight.len() > MOST;
        drop(foresight);
        if !expected.is_empty() {
            aliases.reveal(&mut expected);
            offer(expected);
        }
        if is_full {
            self.begin_anew(event.at);
        }
    }

    /// Forgets what was heard longest ago, and keeps what was learned from it. What happened after `until` is still to be heard.
    fn begin_anew(&self, until: events::Millis) {
        tracing::info!("there is too much to remember: only what has happened within a day is");
        let PredictorSettings { region, budget, .. } = &self.settings;
        let mut anew = Foresight::new(region.clone(), *budget, self.forecast.clone());
        let mut foresight = self.foresight.lock();
        anew.take_over(&mut foresight);
        *foresight = anew;
        drop(foresight);
        self.recall(until.saturating_sub(LAST_DAY)..=until);
    }

    /// Hears what the demand log tells of that time.
    fn recall(&self, time: RangeInclusive<events::Millis>) {
        let Some(folder) = &self.settings.log else { return };
        let begun = Instant::now();
        let heard = log::recall(folder, &time, |event| {
            if self.is_stopping() {
                return ControlFlow::Break(());
            }
            drop(self.foresight.lock().hear(event));
            ControlFlow::Continue(())
        });
        if heard > 0 {
            tracing::info!(heard, took = ?begun.elapsed(), "what happened in earlier runs is known again");
        }
    }

    fn save(&self, store: Option<&Store>) {
        if let Some(store) = store
            && let Err(error) = self.foresight.lock().save(store)
        {
            tracing::warn!(%error, "what has been learned cannot be written down");
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Predictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}
