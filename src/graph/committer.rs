//! The thread that makes groups of rows durable.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Sender, channel},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    error::GraphError,
    store::{Group, Store},
    writer::Command,
};

/// Commits one group after the other. Dropped, it closes the database.
#[derive(Debug)]
pub(super) struct Committer {
    groups: Option<Sender<Group>>,
    thread: Option<JoinHandle<()>>,
}

/// How a commit ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<(), GraphError>,
    pub(super) took: Duration,
}

impl Committer {
    /// Starts the thread, which tells `writer` how each commit ended.
    pub(super) fn start(mut store: Store, writer: Sender<Command>) -> io::Result<Self> {
        let (groups, received) = channel::<Group>();
        let thread = Builder::new().name("graph-commit".to_owned()).spawn(move || {
            for group in received {
                let begun = Instant::now();
                // The database checks less than it should: pages that are wrong may end in a panic.
                let committed = catch_unwind(AssertUnwindSafe(|| store.commit(&group)));
                let result = committed.unwrap_or_else(|_| Err(GraphError::Damaged("its pages make no sense".into())));
                if writer.send(Command::Committed(Outcome { result, took: begun.elapsed() })).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { groups: Some(groups), thread: Some(thread) })
    }

    /// Commits a group.
    pub(super) fn commit(&self, group: Group) {
        if let Some(groups) = &self.groups {
            // The thread goes on for as long as this value exists.
            let _ = groups.send(group);
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.groups = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that keeps the graph panicked");
        }
    }
}
