//! The one thread that changes the graph.
//!
//! Events are applied in short pieces. What has changed is encoded between two of them, so that a group of rows is one moment
//! of the graph, and another thread makes it durable while the next events are applied.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::RwLockWriteGuard;
use tokio::sync::oneshot;

use super::{
    committer::{Committer, Outcome},
    error::GraphError,
    handle::Shared,
    load,
    prune::Pruner,
    store::{Group, Store},
    touched::Rows,
};
use crate::{catalog::Catalog, events::Event};

/// What was applied is durable so much later at most, if the disk is as fast as that.
const GROUP: Duration = Duration::from_millis(900);

/// After a commit failed.
const RETRY: Duration = Duration::from_secs(5);

/// How long the graph is held to be changed, roughly.
const HOLD: Duration = Duration::from_micros(500);

/// Events between two looks at the clock.
const STRIDE: usize = 16;

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Command {
    /// Apply events, and tell when it is done.
    Apply(Vec<Event>, Option<oneshot::Sender<()>>),
    /// Tell when all that was applied is durable.
    Flush(oneshot::Sender<Result<(), GraphError>>),
    /// A commit has ended.
    Committed(Outcome),
    /// End, at once.
    Stop,
}

/// Where the graph comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A file that is to be loaded; the memory that may be used, and whose contents are never forgotten.
    File { file: PathBuf, limit: u64, catalog: Arc<Catalog> },
    /// A database that has been loaded.
    Open(Store),
}

/// The thread's own.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    committer: Committer,
    /// Rows of the commit under way.
    committing: Option<Rows>,
    /// Names in the database, those of the commit under way included.
    names: usize,
    last_commit: Instant,
    retry_at: Option<Instant>,
    flushes: Vec<oneshot::Sender<Result<(), GraphError>>>,
    /// Those that wait for the commit under way alone.
    flushing: Vec<oneshot::Sender<Result<(), GraphError>>>,
}

impl Writer {
    /// Starts the thread; it ends when it is told to.
    pub(super) fn start(shared: Arc<Shared>, source: Source) -> io::Result<(Sender<Command>, JoinHandle<()>)> {
        let (commands, received) = channel();
        let own = commands.clone();
        let thread = Builder::new().name("graph".to_owned()).spawn(move || run(&shared, source, own, &received))?;
        Ok((commands, thread))
    }
}

/// Loads the graph, then works until it is stopped.
fn run(shared: &Arc<Shared>, source: Source, commands: Sender<Command>, received: &Receiver<Command>) {
    let (store, mut pruner) = match source {
        Source::Open(store) => (store, None),
        Source::File { file, limit, catalog } => {
            shared.metrics.loading.set(1);
            let Some(store) = open(shared, &file) else { return };
            shared.metrics.loading.set(0);
            (store, Some(Pruner::new(limit, catalog)))
        }
    };
    let names = {
        let mut state = shared.state.write();
        state.touched.start();
        state.names().len()
    };
    shared.is_loaded.store(true, Ordering::Release);
    let committer = match Committer::start(store, commands) {
        Ok(committer) => committer,
        Err(error) => return tracing::error!(%error, "the graph cannot be kept: no thread can be started"),
    };
    let (last_commit, retry_at, flushes, flushing) = (Instant::now(), None, Vec::new(), Vec::new());
    let writer = Writer { shared: shared.clone(), committer, committing: None, names, last_commit, retry_at, flushes, flushing };
    writer.run(received, pruner.as_mut());
}

/// Opens and loads the graph, whatever it takes. None when it is stopped before.
fn open(shared: &Shared, file: &Path) -> Option<Store> {
    let mut is_told = false;
    loop {
        let begun = Instant::now();
        let loaded = Store::open_or_create(file).and_then(|store| Ok((load::load(store.database()?, &shared.progress)?, store)));
        match loaded {
            Ok((state, store)) => {
                let (nodes, edges) = (state.graph.node_count(), state.graph.edge_count());
                *shared.state.write() = state;
                tracing::info!(nodes, edges, seconds = begun.elapsed().as_secs_f32(), "the graph is loaded");
                return Some(store);
            }
            Err(error) if error.is_of_the_file() => set_aside(file, &error),
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!(%error, file = %file.display(), "the graph cannot be opened: it is tried again and again");
                }
                // Nobody waits for the graph: a look every so often is enough.
                std::thread::park_timeout(Duration::from_millis(500));
            }
        }
        if shared.is_stopping.load(Ordering::Relaxed) {
            return None;
        }
    }
}

fn set_aside(file: &Path, error: &GraphError) {
    let aside = file.with_extension("aside.redb");
    tracing::error!(%error, aside = %aside.display(), "the graph cannot be read: its file is set aside, and the graph begins anew");
    if let Err(error) = std::fs::rename(file, &aside) {
        tracing::error!(%error, file = %file.display(), "the graph's file cannot be set aside: remove it");
        std::thread::park_timeout(Duration::from_millis(500));
    }
}

impl Writer {
    fn run(mut self, received: &Receiver<Command>, mut pruner: Option<&mut Pruner>) {
        loop {
            match received.recv_timeout(self.patience()) {
                Ok(Command::Apply(events, done)) => {
                    self.apply(&events);
                    // Whoever does not wait is not told.
                    done.map(|done| done.send(()));
                }
                Ok(Command::Flush(done)) => self.flushes.push(done),
                Ok(Command::Committed(outcome)) => self.committed(outcome),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return self.end(received),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(pruner) = &mut pruner {
                pruner.prune(&self.shared);
            }
            self.commit();
        }
    }

    /// How long nothing has to be done.
    fn patience(&self) -> Duration {
        if self.committing.is_some() || self.shared.unwritten.load(Ordering::Relaxed) == 0 {
            return Duration::from_secs(60);
        }
        self.due().saturating_duration_since(Instant::now())
    }

    fn due(&self) -> Instant {
        match self.retry_at {
            Some(retry_at) => retry_at,
            None if self.flushes.is_empty() => self.last_commit + GROUP,
            None => self.last_commit,
        }
    }

    /// Applies events, in pieces between which others may look.
    fn apply(&self, events: &[Event]) {
        let mut events = events.chunks(STRIDE).peekable();
        while events.peek().is_some() {
            let mut state = self.shared.state.write();
            let begun = Instant::now();
            while let Some(events) = events.next_if(|_| begun.elapsed() < HOLD) {
                events.iter().for_each(|event| state.apply(event));
                self.shared.metrics.events.inc_by(events.len() as u64);
            }
            self.shared.unwritten.store(state.touched.len() as u64, Ordering::Relaxed);
            RwLockWriteGuard::unlock_fair(state);
        }
    }

    /// Hands over what has changed, if it is time and the last commit has ended.
    fn commit(&mut self) {
        if self.committing.is_some() {
            return;
        }
        let rows = self.shared.unwritten.load(Ordering::Relaxed);
        if rows == 0 {
            self.flushes.drain(..).for_each(|done| drop(done.send(Ok(()))));
        } else if Instant::now() >= self.due() {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let rows = self.shared.state.write().touched.take();
        let state = self.shared.state.read();
        let group = Group::of(&state, &rows, self.names);
        self.names = state.names().len();
        self.shared.metrics.measure(&state);
        drop(state);
        self.shared.unwritten.store(0, Ordering::Relaxed);
        self.last_commit = Instant::now();
        self.committing = Some(rows);
        self.flushing.append(&mut self.flushes);
        self.committer.commit(group);
    }

    fn committed(&mut self, outcome: Outcome) {
        let Some(rows) = self.committing.take() else { return };
        self.shared.metrics.commits.observe(outcome.took.as_secs_f64());
        let is_failing = outcome.result.is_err();
        if let Err(error) = &outcome.result {
            self.shared.metrics.failed_commits.inc();
            if self.retry_at.is_none() {
                tracing::error!(%error, "the graph cannot be written: it goes on in memory, and is written when that works again");
            }
            let mut state = self.shared.state.write();
            state.touched.put_back(rows);
            if matches!(error, GraphError::Missing(_)) {
                state.touch_all();
            }
            self.shared.unwritten.store(state.touched.len() as u64, Ordering::Relaxed);
            self.names = 0;
        } else if self.retry_at.is_some() {
            tracing::info!("the graph is written again");
        }
        // A file that had gone is there again.
        let rest = if matches!(outcome.result, Err(GraphError::Missing(_))) { Duration::ZERO } else { RETRY };
        self.retry_at = is_failing.then(|| Instant::now() + rest);
        self.shared.is_failing.store(is_failing, Ordering::Relaxed);
        for done in self.flushing.drain(..) {
            // Whoever has left is not told.
            let _ = done.send(outcome.result.clone());
        }
    }

    /// Makes durable what has been applied, once, and ends. What was not applied is not.
    fn end(mut self, received: &Receiver<Command>) {
        let await_commit = |writer: &mut Self| {
            while writer.committing.is_some() {
                match received.recv() {
                    Ok(Command::Committed(outcome)) => writer.committed(outcome),
                    // Whoever waits is told by not being answered.
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        };
        await_commit(&mut self);
        if self.shared.unwritten.load(Ordering::Relaxed) > 0 {
            self.hand_over();
            await_commit(&mut self);
        }
    }
}
