//! The thread that keeps the demand log.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;

use super::{
    encoder::{ENOUGH_BYTES, Encoder},
    frame::{Privacy, TraceHeader},
    pseudonyms::Pseudonyms,
    segments::Segments,
};
use crate::{
    config,
    events::{Event, Millis, Subscription, Waker, What, now, spare_room},
    telemetry::Metrics,
};

/// How long an event waits at most until it is durable.
const COMMIT: Duration = Duration::from_secs(1);

/// How often old segments are looked for while nothing happens.
const TICK: Duration = Duration::from_secs(60);

/// Age at which a new segment is begun, in milliseconds.
const DAY: Millis = 86_400_000;

/// Customers whose pseudonyms are remembered. Names come from clients, so there must not be arbitrarily many.
const REMEMBERED: usize = 10_000;

/// Events that wait for the disk at most.
pub(super) const QUEUE: usize = 16_384;

/// How a demand log is kept.
#[derive(Debug, Clone)]
pub struct DemandLogSettings {
    /// Where its segments are.
    pub folder: PathBuf,
    /// Whom it names, and how large and old it becomes. [`config::Privacy::Off`] is as good as hashed here.
    pub config: config::DemandLog,
    /// What hides customers' names.
    pub pseudonyms: Pseudonyms,
}

/// A demand log that is being kept, on a thread of its own. When this is dropped, it is kept on until the bus is gone.
#[derive(Debug)]
pub struct DemandLog {
    stopping: Arc<AtomicBool>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DemandLog {
    /// How many events a subscription should be able to be behind.
    pub const QUEUE: usize = QUEUE;

    /// Keeps what `events` brings. A process begins a segment of its own with its first event, and changes none of others. When
    /// the disk is full, events are lost, which is counted, until there is room again.
    ///
    /// # Errors
    /// When the folder cannot be made, or no thread started.
    pub fn keep(settings: DemandLogSettings, events: Subscription, metrics: &Metrics) -> io::Result<Self> {
        fs::create_dir_all(&settings.folder)?;
        let (lost, written) = (Counter::default(), Counter::default());
        metrics.register(|registry| {
            registry.register("demand_log_lost", "Events that the demand log could not write", lost.clone());
            registry.register("demand_log_bytes", "Bytes that the demand log has written", written.clone());
        });
        let (stopping, waker) = (Arc::new(AtomicBool::new(false)), events.waker());
        let keeper = Keeper {
            segments: Segments::in_folder(&settings.folder),
            privacy: settings.config.privacy.into(),
            settings,
            encoder: Encoder::new(),
            current: None,
            customers: HashMap::new(),
            lost,
            written,
            is_failing: false,
        };
        let stop = stopping.clone();
        let thread = std::thread::Builder::new().name("demand-log".to_owned()).spawn(move || keeper.run(&events, &stop))?;
        Ok(Self { stopping, waker, thread: Mutex::new(Some(thread)) })
    }

    /// Writes what has been told so far, makes it durable, and ends. Blocks.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the demand log has panicked");
        }
    }
}

struct Keeper {
    settings: DemandLogSettings,
    segments: Segments,
    privacy: Privacy,
    encoder: Encoder,
    current: Option<Current>,
    customers: HashMap<Arc<str>, Arc<str>>,
    lost: Counter,
    written: Counter,
    /// Whether the last write has failed: it is said once.
    is_failing: bool,
}

/// The segment that is being written.
struct Current {
    file: File,
    path: PathBuf,
    begun: Millis,
    /// Bytes of whole blocks, the header included.
    length: u64,
    /// Events that a power cut would take.
    at_risk: u64,
}

impl Keeper {
    fn run(mut self, events: &Subscription, stopping: &AtomicBool) {
        self.delete_old();
        let (mut due, mut looked) = (None::<Instant>, Instant::now());
        loop {
            let patience = due.map_or(TICK, |due| due.saturating_duration_since(Instant::now()));
            match events.next(patience) {
                Ok(Some(event)) => {
                    self.take(&event);
                    due.get_or_insert_with(|| Instant::now() + COMMIT);
                }
                Ok(None) => {}
                Err(_) => break,
            }
            if stopping.load(Ordering::Acquire) {
                while let Ok(Some(event)) = events.try_next() {
                    self.take(&event);
                }
                break;
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                self.commit();
                due = None;
            }
            if looked.elapsed() >= TICK {
                self.delete_old();
                looked = Instant::now();
            }
        }
        self.commit();
    }

    fn take(&mut self, event: &Event) {
        let named = self.named(event);
        if self.encoder.push(named.as_ref().unwrap_or(event)).is_err() {
            self.lost.inc();
        }
        if self.encoder.bytes() >= ENOUGH_BYTES {
            self.write();
        }
    }

    /// The event as the log may tell it, where that differs.
    fn named(&mut self, event: &Event) -> Option<Event> {
        let What::Request(request) = &event.what else { return None };
        let customer = request.customer.as_ref().filter(|_| self.privacy != Privacy::Full)?;
        if self.customers.len() >= REMEMBERED {
            self.customers.clear();
        }
        let pseudonyms = &self.settings.pseudonyms;
        let pseudonym = self.customers.entry(customer.clone()).or_insert_with(|| pseudonyms.customer(customer));
        let mut request = (**request).clone();
        request.customer = Some(pseudonym.clone());
        Some(Event { at: event.at, what: What::Request(request.into()) })
    }

    /// Writes the block, and begins another segment when this one is large or old enough.
    fn write(&mut self) {
        let count = u64::from(self.encoder.count());
        let Some(block) = self.encoder.finish() else { return };
        let written = spare_room(&self.settings.folder).and_then(|()| self.append(&block, count));
        match written {
            Ok(()) => {
                self.written.inc_by(block.len() as u64);
                self.is_failing = false;
            }
            Err(error) => self.failed(count, &error),
        }
        let limit = self.settings.config.segment_size.as_u64();
        if self.current.as_ref().is_some_and(|current| current.length >= limit || now().saturating_sub(current.begun) >= DAY) {
            self.sync();
            self.current = None;
            self.encoder.reset();
            self.delete_old();
        }
    }

    fn append(&mut self, block: &[u8], count: u64) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            return current.append(block, count);
        }
        let mut current = self.begin()?;
        current.append(block, count)?;
        self.current = Some(current);
        Ok(())
    }

    fn begin(&self) -> io::Result<Current> {
        let begun = now();
        let (file, path) = self.segments.create(begun)?;
        let header = TraceHeader { privacy: self.privacy, begun, counted_from: None };
        let mut current = Current { file, path, begun, length: 0, at_risk: 0 };
        current.append(&header.to_bytes(), 0).inspect_err(|_| drop(fs::remove_file(&current.path)))?;
        Ok(current)
    }

    /// Makes durable what has been told.
    fn commit(&mut self) {
        self.write();
        self.sync();
    }

    fn sync(&mut self) {
        let Some(current) = &mut self.current else { return };
        if current.at_risk == 0 {
            return;
        }
        match current.file.sync_data() {
            Ok(()) => current.at_risk = 0,
            Err(error) => {
                // What could not be synced may be gone without a further word: nothing is built on it.
                let at_risk = current.at_risk;
                self.failed(at_risk, &error);
                self.current = None;
            }
        }
    }

    /// Events are lost. What comes next does not refer to them.
    fn failed(&mut self, events: u64, error: &io::Error) {
        if !self.is_failing {
            tracing::warn!(%error, "the demand log cannot be written; events are lost until it can");
        }
        self.is_failing = true;
        self.lost.inc_by(events);
        self.encoder.reset();
        if self.current.as_mut().is_some_and(|current| current.cut_back().is_err()) {
            self.current = None;
        }
    }

    /// Makes room for a whole segment, so that there is never more than there may be.
    fn delete_old(&self) {
        let config = &self.settings.config;
        let most = config.max_size.as_u64().saturating_sub(config.segment_size.as_u64());
        let current = self.current.as_ref().map(|current| &*current.path);
        match self.segments.retain(most, config.max_age, current) {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "old segments of the demand log are deleted"),
            Err(error) => tracing::warn!(%error, "old segments of the demand log cannot be deleted"),
        }
    }
}

impl Current {
    fn append(&mut self, bytes: &[u8], events: u64) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        self.at_risk += events;
        Ok(())
    }

    /// Takes away what was written of a block that is not whole.
    fn cut_back(&mut self) -> io::Result<()> {
        use io::Seek;
        self.file.set_len(self.length)?;
        self.file.seek(io::SeekFrom::Start(self.length)).map(drop)
    }
}

/// The folder of the demand log in a data folder.
pub(super) fn folder(data: &Path) -> PathBuf {
    data.join("demand")
}

impl DemandLogSettings {
    /// Where the segments are in a data folder.
    pub fn folder_in(data: &Path) -> PathBuf {
        folder(data)
    }
}
