//! The one writer: changes that arrive while a commit is under way share the next one.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use redb::{Database, ReadableTable, WriteTransaction};
use tokio::sync::oneshot;

use super::{
    CatalogError, LINKS, Link, TAGS, TagRow,
    hosted::HostedChange,
    store::Store,
    uses::{self, Uses},
};
use crate::oci::Digest;

/// Changes that share one commit at most.
const GROUP: usize = 4096;

/// Changes that may wait; a further one waits for room.
const QUEUE: usize = 16_384;

/// A change of rows that belong together.
#[derive(Debug)]
pub(super) enum Change {
    PutLink(Vec<u8>, Link),
    RemoveLink(Vec<u8>),
    /// Writes the length into a link that is there.
    SizeLink(Vec<u8>, u64),
    PutTag(Vec<u8>, TagRow),
    RemoveTag(Vec<u8>),
    PutUses(Uses),
    Forget(Forgotten),
    Hosted(HostedChange),
    /// Only waits for those before it.
    Nothing,
}

/// Rows of mirrored repositories that go together.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    pub(super) tags: Vec<Vec<u8>>,
    pub(super) links: Vec<Vec<u8>>,
    /// Manifests that no repository has any more.
    pub(super) manifests: Vec<Digest>,
}

struct Request {
    change: Change,
    done: oneshot::Sender<Result<bool, CatalogError>>,
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

    /// Hands a change over at once; the future ends when it is durable, with false when there was nothing to be changed.
    /// Dropped, the change is made all the same, and a failure is logged.
    pub(super) fn commit(&self, change: Change) -> impl Future<Output = Result<bool, CatalogError>> + Send + use<> {
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
        let outcomes = result.unwrap_or_else(|error| vec![Err(error); group.len()]);
        for (request, outcome) in group.into_iter().zip(outcomes) {
            // A caller that has left does not wait for the answer.
            let _ = request.done.send(outcome);
        }
    }
}

/// Makes all changes durable, or none. Tells of each whether there was something to be changed.
fn apply(database: &Database, group: &[Request]) -> Result<Vec<Result<bool, CatalogError>>, CatalogError> {
    let mut transaction = database.begin_write()?;
    // A crash then costs milliseconds at the next start, not a walk over all rows.
    transaction.set_quick_repair(true);
    let mut outcomes = Vec::with_capacity(group.len());
    for request in group {
        let changed = match &request.change {
            Change::PutLink(key, link) => {
                transaction.open_table(LINKS)?.insert(&key[..], link.to_value())?;
                true
            }
            Change::RemoveLink(key) => transaction.open_table(LINKS)?.remove(&key[..])?.is_some(),
            Change::SizeLink(key, size) => size_link(&transaction, key, *size)?,
            Change::PutTag(key, row) => put_tag(&transaction, key, row)?,
            Change::RemoveTag(key) => remove_tag(&transaction, key)?,
            Change::PutUses(uses) => uses.apply(&transaction)?,
            Change::Forget(forgotten) => forget(&transaction, forgotten)?,
            Change::Hosted(change) => change.apply(&transaction)?,
            Change::Nothing => false,
        };
        outcomes.push(Ok(changed));
    }
    transaction.commit()?;
    Ok(outcomes)
}

fn size_link(transaction: &WriteTransaction, key: &[u8], size: u64) -> Result<bool, CatalogError> {
    let mut links = transaction.open_table(LINKS)?;
    let link = links.get(key)?.and_then(|row| Link::from_value(row.value()));
    let Some(link) = link else { return Ok(false) };
    links.insert(key, Link { size: Some(size), ..link }.to_value())?;
    Ok(true)
}

fn put_tag(transaction: &WriteTransaction, key: &[u8], row: &TagRow) -> Result<bool, CatalogError> {
    let mut tags = transaction.open_table(TAGS)?;
    let old = tags.insert(key, row.to_value())?;
    uses::tag_moved(transaction, key, old.as_ref().map(redb::AccessGuard::value), Some(row))?;
    Ok(true)
}

fn remove_tag(transaction: &WriteTransaction, key: &[u8]) -> Result<bool, CatalogError> {
    let mut tags = transaction.open_table(TAGS)?;
    let Some(old) = tags.remove(key)? else { return Ok(false) };
    uses::tag_moved(transaction, key, Some(old.value()), None)?;
    Ok(true)
}

fn forget(transaction: &WriteTransaction, forgotten: &Forgotten) -> Result<bool, CatalogError> {
    let mut changed = false;
    for key in &forgotten.tags {
        changed |= remove_tag(transaction, key)?;
    }
    let mut links = transaction.open_table(LINKS)?;
    for key in &forgotten.links {
        changed |= links.remove(&key[..])?.is_some();
    }
    for manifest in &forgotten.manifests {
        uses::forget(transaction, manifest)?;
    }
    Ok(changed)
}
