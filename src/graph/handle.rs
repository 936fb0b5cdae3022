//! The graph of a server, or of a data folder where none runs.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::Sender,
    },
    thread::JoinHandle,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot};

use super::{
    error::GraphError,
    listener::{self, Listener},
    load::{self, Progress},
    metrics::GraphMetrics,
    model::State,
    store::Store,
    writer::{Command, Source, Writer},
};
use crate::{
    catalog::Catalog,
    config,
    events::{Event, Subscription},
    telemetry::Metrics,
};

/// Lists of events that wait to be applied at once; further ones wait before they are handed over.
const WAITING: usize = 4;

/// The graph, kept in a database of its own.
///
/// One thread changes it; whoever reads holds it for a moment. It is durable in groups, at most a second after events were
/// applied. When the disk is full it goes on in memory, and is written when there is room again.
#[derive(Debug)]
pub struct Graph {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    listener: Option<Listener>,
    waiting: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the handle and the writer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) state: RwLock<State>,
    pub(super) progress: Progress,
    pub(super) is_loaded: AtomicBool,
    pub(super) is_stopping: AtomicBool,
    pub(super) dropped: AtomicU64,
    /// Rows that have changed and are not durable.
    pub(super) unwritten: AtomicU64,
    pub(super) is_failing: AtomicBool,
    pub(super) metrics: GraphMetrics,
}

/// The graph is being read from disk: what was asked can be asked again in a moment.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the graph is being loaded: {:.0} % are there", 100.0 * .share)]
pub struct Loading {
    /// How much is there, from 0 to 1.
    pub share: f64,
}

/// How the graph is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// How far loading is; absent when it is done.
    pub loading: Option<Loading>,
    /// Nodes.
    pub nodes: usize,
    /// Edges.
    pub edges: usize,
    /// Bytes of memory that they take, roughly.
    pub memory: u64,
    /// Events that have been applied, ever.
    pub sequence: u64,
    /// Events of this run that it was not told of, because it was behind.
    pub dropped: u64,
    /// Rows that have changed and are not durable yet.
    pub unwritten: u64,
    /// Whether the last try to write failed.
    pub failing: bool,
}

impl Graph {
    /// The graph in `file`, which is made if it is not there. Returns at once: it is loaded in the background, then `events`
    /// are applied as they come. A file that is damaged, or was written by a later version, is set aside under another name,
    /// and the graph begins anew. What `catalog` has is never forgotten to save memory.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn open(
        file: &Path,
        settings: &config::Graph,
        events: Subscription,
        catalog: Arc<Catalog>,
        metrics: &Metrics,
    ) -> Result<Self, GraphError> {
        let shared = Arc::new(Shared::default());
        shared.metrics.register(metrics);
        let source = Source::File { file: file.to_owned(), limit: settings.memory.as_u64(), catalog };
        Self::start(shared, source, Some(events))
    }

    /// What a server has left in `file`. Loads it before it returns; nobody else can open it meanwhile.
    ///
    /// # Errors
    /// [`GraphError::InUse`] when a server has it open, [`GraphError::Missing`] when there is none, or another when it cannot be
    /// read.
    pub fn at_rest(file: &Path) -> Result<Self, GraphError> {
        Self::rest(Store::open(file)?)
    }

    /// As [`Self::at_rest`], but makes the graph if there is none.
    ///
    /// # Errors
    /// As [`Self::at_rest`].
    pub fn at_rest_or_new(file: &Path) -> Result<Self, GraphError> {
        Self::rest(Store::open_or_create(file)?)
    }

    fn rest(store: Store) -> Result<Self, GraphError> {
        let shared = Arc::new(Shared::default());
        *shared.state.write() = load::load(store.database()?, &shared.progress)?;
        shared.is_loaded.store(true, Ordering::Release);
        Self::start(shared, Source::Open(store), None)
    }

    fn start(shared: Arc<Shared>, source: Source, events: Option<Subscription>) -> Result<Self, GraphError> {
        let failed = |error| GraphError::Threads(Arc::new(error));
        let (commands, thread) = Writer::start(shared.clone(), source).map_err(failed)?;
        let listener = events.map(|events| listener::start(events, shared.clone(), commands.clone())).transpose();
        let waiting = Arc::new(Semaphore::new(WAITING));
        Ok(Self { shared, commands, listener: listener.map_err(failed)?, waiting, thread: Mutex::new(Some(thread)) })
    }

    /// Looks at the graph as it is now. Nothing is applied meanwhile: it must not take longer than a millisecond.
    ///
    /// # Errors
    /// When it is not loaded yet.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, Loading> {
        if !self.shared.is_loaded.load(Ordering::Acquire) {
            return Err(Loading { share: self.shared.progress.share() });
        }
        Ok(look(&self.shared.state.read()))
    }

    /// How it is.
    pub fn stats(&self) -> Stats {
        let Shared { dropped, unwritten, is_failing, .. } = &*self.shared;
        let (dropped, unwritten) = (dropped.load(Ordering::Relaxed), unwritten.load(Ordering::Relaxed));
        let failing = is_failing.load(Ordering::Relaxed);
        let stats = Stats { loading: None, nodes: 0, edges: 0, memory: 0, sequence: 0, dropped, unwritten, failing };
        let looked = self.read(|state| {
            let (nodes, edges) = (state.graph.node_count(), state.graph.edge_count());
            Stats { nodes, edges, memory: state.memory(), sequence: state.sequence(), ..stats }
        });
        looked.unwrap_or_else(|loading| Stats { loading: Some(loading), ..stats })
    }

    /// Applies events; none is dropped. They are in the graph when the returned future ends, and durable a second later.
    ///
    /// # Errors
    /// When it has been stopped.
    pub fn apply(&self, events: Vec<Event>) -> impl Future<Output = Result<(), GraphError>> + Send + use<> {
        let (commands, waiting) = (self.commands.clone(), self.waiting.clone());
        async move {
            let _place = waiting.acquire().await.map_err(|_| GraphError::Closed)?;
            let (done, applied) = oneshot::channel();
            commands.send(Command::Apply(events, Some(done))).map_err(|_| GraphError::Closed)?;
            applied.await.map_err(|_| GraphError::Closed)
        }
    }

    /// Ends when all that was told before is applied and durable.
    ///
    /// # Errors
    /// When it cannot be written, or has been stopped.
    pub async fn flush(&self) -> Result<(), GraphError> {
        let (done, flushed) = oneshot::channel();
        self.tell(Command::Flush(done));
        flushed.await.map_err(|_| GraphError::Closed)?
    }

    /// Makes durable what was told before, and lets go of the file, whoever still holds this value. What is in memory can
    /// still be read.
    ///
    /// # Errors
    /// When the last events could not be made durable.
    pub async fn stop(&self) -> Result<(), GraphError> {
        let is_loaded = self.shared.is_loaded.load(Ordering::Acquire);
        let outcome = if is_loaded { self.flush().await } else { Ok(()) };
        self.end();
        let thread = self.thread.lock().take();
        // The last commit has been waited for: what is left is to close the file.
        let _ = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join)).await;
        outcome
    }

    /// By way of the events that wait already.
    fn tell(&self, command: Command) {
        match &self.listener {
            Some(listener) => listener.tell(command),
            // One that has ended tells whoever waits by not answering.
            None => drop(self.commands.send(command)),
        }
    }

    fn end(&self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
        // Directly: a listener may be waiting for what is being loaded.
        let _ = self.commands.send(Command::Stop);
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the graph's writer panicked");
        }
    }
}

#[cfg(test)]
mod tests;
