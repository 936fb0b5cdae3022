//! The one writer: changes that arrive while a commit is under way share the next one.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use redb::Database;
use tokio::sync::oneshot;

use super::{CatalogError, LINKS, Link, TAGS, TagRow, store::Store};

/// Changes that share one commit at most.
const GROUP: usize = 4096;

/// Changes that may wait; a further one waits for room.
const QUEUE: usize = 16_384;

/// A change of one row.
#[derive(Debug)]
pub(super) enum Change {
    PutLink(Vec<u8>, Link),
    RemoveLink(Vec<u8>),
    PutTag(Vec<u8>, TagRow),
    RemoveTag(Vec<u8>),
    /// Only waits for those before it.
    Nothing,
}

struct Request {
    change: Change,
    done: oneshot::Sender<Result<(), CatalogError>>,
}

/// A thread that owns all writing. Dropped, it finishes what was handed to it.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(store: Arc<Store>) -> Result<Self, CatalogError> {
        let (queue, requests) = mpsc::sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || run(&store, &requests))
            .map_err(|error| CatalogError::Writer(Arc::new(error)))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands a change over at once; the future ends when it is durable. Dropped, the change is made all the same, and a
    /// failure is logged.
    pub(super) fn commit(&self, change: Change) -> impl Future<Output = Result<(), CatalogError>> + Send + use<> {
        let gone = |why: &str| CatalogError::Writer(Arc::new(io::Error::other(why.to_owned())));
        let (done, result) = oneshot::channel();
        let sent = match &self.queue {
            Some(queue) => queue.try_send(Request { change, done }).map_err(|error| gone(&error.to_string())),
            None => Err(gone("it has stopped")),
        };
        async move {
            sent?;
            result.await.map_err(|_| gone("it has stopped"))?
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the catalog's writer panicked");
        }
    }
}

fn run(store: &Store, requests: &mpsc::Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        group.extend(requests.try_iter().take(GROUP - 1));
        let commit = || store.with(|database| apply(database, &group));
        // After an I/O error nothing works until the database is opened again; the disk may have room by now.
        let result = commit().or_else(|_| store.reopen().and_then(|()| commit()));
        if let Err(error) = &result {
            tracing::error!(%error, changes = group.len(), "the catalog could not be written");
        }
        for request in group {
            // A caller that has left does not wait for the answer.
            let _ = request.done.send(result.clone());
        }
    }
}

/// Makes all changes durable, or none.
fn apply(database: &Database, group: &[Request]) -> Result<(), CatalogError> {
    let mut transaction = database.begin_write()?;
    // A crash then costs milliseconds at the next start, not a walk over all rows.
    transaction.set_quick_repair(true);
    {
        let mut links = transaction.open_table(LINKS)?;
        let mut tags = transaction.open_table(TAGS)?;
        for request in group {
            match &request.change {
                Change::PutLink(key, link) => drop(links.insert(&key[..], link.to_value())?),
                Change::RemoveLink(key) => drop(links.remove(&key[..])?),
                Change::PutTag(key, row) => drop(tags.insert(&key[..], row.to_value())?),
                Change::RemoveTag(key) => drop(tags.remove(&key[..])?),
                Change::Nothing => {}
            }
        }
    }
    transaction.commit()?;
    Ok(())
}
