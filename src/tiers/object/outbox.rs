//! What waits for its upload: a second name for the file of a disk tier, so that neither eviction nor a crash takes it away.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::metrics::Figures;
use crate::oci::Digest;

/// A queue that is full says so this often.
const COMPLAINT: Duration = Duration::from_secs(60);

/// The queue of all disk tiers, bounded in entries and bytes. The files in the outboxes are the truth; this is their order.
#[derive(Debug)]
pub(super) struct Outbox {
    max_entries: usize,
    max_bytes: u64,
    state: Mutex<State>,
    more: Notify,
    figures: Figures,
}

#[derive(Debug, Default)]
struct State {
    /// By when they are due, oldest first; those being uploaded are not here.
    due: BTreeMap<(Instant, u64), Entry>,
    /// Everything that has its file, with its size.
    held: HashMap<Digest, (u64, PathBuf)>,
    bytes: u64,
    next: u64,
    complained: Option<Instant>,
}

/// A content that waits.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) path: PathBuf,
    /// How often it was tried.
    pub(super) tries: u32,
}

impl Outbox {
    pub(super) fn new(max_entries: usize, max_bytes: u64, figures: Figures) -> Self {
        Self { max_entries, max_bytes, state: Mutex::default(), more: Notify::new(), figures }
    }

    /// Gives the file of a disk tier a second name, and queues it. Blocks.
    pub(super) fn offer(&self, digest: &Digest, file: &Path, size: u64) {
        // <disk tier>/blobs/<algorithm>/<shard>/<hex>
        let Some(outbox) = file.ancestors().nth(4).map(|tier| tier.join("outbox")) else {
            tracing::warn!(path = %file.display(), "a file that lies in no disk tier is not uploaded");
            return;
        };
        let path = outbox.join(format!("{}-{}", digest.algorithm().as_str(), digest.hex()));
        if !self.reserve(digest, size, &path) {
            return;
        }
        match link(file, &path) {
            Ok(()) => self.queue(Entry { digest: *digest, size, path, tries: 0 }, Instant::now()),
            Err(error) => {
                tracing::warn!(%digest, %error, "cannot keep a content for its upload; other edges will not find it in the bucket");
                self.figures.uploaded("dropped");
                self.release(digest);
            }
        }
    }

    /// Queues what earlier runs left in the outboxes of these disk tiers, oldest first. Blocks.
    pub(super) fn recover(&self, tiers: &[PathBuf]) {
        let mut left: Vec<(SystemTime, Entry)> = tiers.iter().flat_map(|tier| leftovers(&tier.join("outbox"))).collect();
        left.sort_by_key(|(written, _)| *written);
        let found = left.len();
        for (_, entry) in left {
            if self.reserve(&entry.digest, entry.size, &entry.path) {
                self.queue(entry, Instant::now());
            } else if !self.holds(&entry) {
                // There is no room for it, or another disk tier's outbox has it too.
                delete(&entry.path);
            }
        }
        if found > 0 {
            tracing::info!(contents = found, "uploads of an earlier run go on");
        }
    }

    /// The oldest content that is due; waits for one. It belongs to the caller, who says then how it went. Dropped while it
    /// waits, this takes nothing.
    pub(super) async fn take(&self) -> Entry {
        loop {
            let more = self.more.notified();
            let next_due = {
                let mut state = self.state.lock();
                let first = state.due.first_key_value().map(|((due, _), _)| *due);
                match first {
                    Some(due) if due <= Instant::now() => {
                        if let Some((_, entry)) = state.due.pop_first() {
                            if !state.due.is_empty() {
                                self.more.notify_one();
                            }
                            return entry;
                        }
                        None
                    }
                    later => later,
                }
            };
            match next_due {
                Some(due) => {
                    tokio::select! {
                        () = more => {}
                        () = sleep_until(due) => {}
                    }
                }
                None => more.await,
            }
        }
    }

    /// The content is uploaded, or will never be: its file goes. Blocks.
    pub(super) fn finish(&self, entry: &Entry) {
        delete(&entry.path);
        self.release(&entry.digest);
    }

    /// The content is to be tried again after `pause`.
    pub(super) fn put_back(&self, entry: Entry, pause: Duration) {
        self.queue(entry, Instant::now() + pause);
    }

    /// Takes a place in the queue. False when it has one, or there is none left.
    fn reserve(&self, digest: &Digest, size: u64, path: &Path) -> bool {
        let mut state = self.state.lock();
        if state.held.contains_key(digest) {
            return false;
        }
        let bytes = state.bytes.saturating_add(size);
        if state.held.len() >= self.max_entries || bytes > self.max_bytes {
            let now = Instant::now();
            if state.complained.is_none_or(|at| now.duration_since(at) >= COMPLAINT) {
                state.complained = Some(now);
                tracing::warn!(
                    entries = state.held.len(),
                    bytes = state.bytes,
                    "too much waits for its upload; what comes now is not uploaded (storage.object.queue_limit, queue_entries)"
                );
            }
            self.figures.uploaded("dropped");
            return false;
        }
        state.held.insert(*digest, (size, path.to_owned()));
        state.bytes = bytes;
        self.show(&state);
        true
    }

    fn release(&self, digest: &Digest) {
        let mut state = self.state.lock();
        if let Some((size, _)) = state.held.remove(digest) {
            state.bytes -= size;
        }
        self.show(&state);
    }

    fn queue(&self, entry: Entry, due: Instant) {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.due.insert((due, number), entry);
        drop(state);
        self.more.notify_one();
    }

    /// Whether it has its place with this very file.
    fn holds(&self, entry: &Entry) -> bool {
        self.state.lock().held.get(&entry.digest).is_some_and(|(_, path)| *path == entry.path)
    }

    /// Number of uploads that wait, and their bytes.
    pub(super) fn waiting(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.held.len() as u64, state.bytes)
    }

    fn show(&self, state: &State) {
        self.figures.queue_entries.set(state.held.len() as i64);
        self.figures.queue_bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
    }
}

/// Gives a file a second name, in a folder that may not exist yet.
fn link(file: &Path, path: &Path) -> io::Result<()> {
    let linked = match fs::hard_link(file, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(outbox) = path.parent() {
                fs::create_dir_all(outbox)?;
            }
            fs::hard_link(file, path)
        }
        linked => linked,
    };
    match linked {
        // Of an upload that is just ending, or of an earlier run that is not listed yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// The contents that wait in an outbox, and when they were written.
fn leftovers(outbox: &Path) -> Vec<(SystemTime, Entry)> {
    let listing = match fs::read_dir(outbox) {
        Ok(listing) => listing,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %outbox.display(), %error, "cannot list what waits for its upload");
            }
            return Vec::new();
        }
    };
    let entry = |file: fs::DirEntry| {
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let name = file.file_name();
        let Some(digest) = name.to_str().and_then(|name| name.replacen('-', ":", 1).parse().ok()) else {
            tracing::warn!(path = %file.path().display(), "an unknown file lies in the outbox; it is left alone");
            return None;
        };
        let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some((written, Entry { digest, size: metadata.len(), path: file.path(), tries: 0 }))
    };
    listing.flatten().filter_map(entry).collect()
}

fn delete(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot delete a file of the outbox");
    }
}
