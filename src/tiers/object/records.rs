//! Records that wait for their upload: the newest of a key, in a file.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    metrics::Figures,
    record::{LONGEST, Record, envelope, parse},
};
use crate::{
    oci::{Algorithm, Digest},
    tiers::blocking,
};

/// Records on their way to the disk.
const HANDED_OVER: usize = 4096;

/// The queue of records. The files are the truth; this is their order.
#[derive(Debug)]
pub(super) struct Records {
    folder: PathBuf,
    max_entries: usize,
    handed_over: mpsc::SyncSender<(String, Record)>,
    state: Mutex<State>,
    /// Held while a file and what is known of it change together; never by a thread that serves clients.
    files: Mutex<()>,
    more: Notify,
    figures: Figures,
}

#[derive(Debug, Default)]
struct State {
    /// By when they are due; those being uploaded are not here.
    due: BTreeMap<(Instant, u64), (String, u32)>,
    /// Stamp and version of each file that exists, by its name.
    held: HashMap<String, (u64, u64)>,
    next: u64,
}

/// A record that waits for its upload.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: String,
    pub(super) record: Record,
    pub(super) tries: u32,
    name: String,
    version: u64,
}

impl Records {
    /// The queue in `folder`, with what an earlier run left there, which is listed by the thread that does all writing.
    pub(super) fn open(folder: &Path, max_entries: usize, figures: Figures) -> io::Result<Arc<Self>> {
        fs::create_dir_all(folder)?;
        let (handed_over, coming) = mpsc::sync_channel(HANDED_OVER);
        let records = Arc::new(Self {
            folder: folder.to_owned(),
            max_entries,
            handed_over,
            state: Mutex::default(),
            files: Mutex::new(()),
            more: Notify::new(),
            figures,
        });
        let keeper = Arc::downgrade(&records);
        std::thread::Builder::new().name("object-records".to_owned()).spawn(move || {
            if let Some(records) = keeper.upgrade() {
                records.recover();
            }
            // It ends with the last of those who can hand over.
            while let Ok((key, record)) = coming.recv() {
                let Some(records) = keeper.upgrade() else { return };
                records.keep(key, &record);
            }
        })?;
        Ok(records)
    }

    /// Hands a record to the thread that writes; never waits.
    pub(super) fn put(&self, key: &str, body: &Bytes, stamp: SystemTime) {
        let stamp = stamp.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let record = Record { stamp: u64::try_from(stamp).unwrap_or(u64::MAX), body: body.clone() };
        let whole = if body.len() as u64 > LONGEST { Ok(Vec::new()) } else { envelope(Some(key), &record) };
        let dropped = match whole {
            Ok(text) if text.is_empty() || text.len() as u64 > LONGEST => "it is larger than 64 KiB",
            Ok(_) => match self.handed_over.try_send((key.to_owned(), record)) {
                Ok(()) => return,
                Err(_) => "too many come at once",
            },
            Err(_) => "it is no JSON",
        };
        tracing::warn!(key, dropped, "a record is dropped; other edges will not see it");
        self.figures.recorded("dropped");
    }

    /// Writes a record to disk, if it is newer than the one that waits. Blocks.
    fn keep(&self, key: String, record: &Record) {
        let name = Digest::of(Algorithm::Sha256, key.as_bytes()).hex();
        let _files = self.files.lock();
        let (held, waiting) = {
            let state = self.state.lock();
            (state.held.get(&name).copied(), state.held.len())
        };
        if held.is_some_and(|(stamp, _)| stamp >= record.stamp) {
            return self.figures.recorded("superseded");
        }
        if held.is_none() && waiting >= self.max_entries {
            return self.figures.recorded("dropped");
        }
        let written = envelope(Some(&key), record).map_err(io::Error::from).and_then(|text| {
            let file = self.folder.join(format!("{name}.new"));
            fs::write(&file, text)?;
            fs::rename(file, self.folder.join(&name))
        });
        if let Err(error) = written {
            tracing::warn!(key, %error, "cannot keep a record for its upload; other edges will not see it");
            return self.figures.recorded("dropped");
        }
        let mut state = self.state.lock();
        let version = state.number();
        state.held.insert(name.clone(), (record.stamp, version));
        if held.is_none() {
            state.queue(name, 0, Instant::now());
            self.more.notify_one();
        }
    }

    /// Queues what an earlier run left.
    fn recover(&self) {
        let Ok(files) = fs::read_dir(&self.folder).inspect_err(|error| {
            tracing::warn!(path = %self.folder.display(), %error, "cannot list the records that wait");
        }) else {
            return;
        };
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            match load(&file.path()) {
                Ok((_, record)) if name.len() == 64 => {
                    let mut state = self.state.lock();
                    let version = state.number();
                    state.held.insert(name.clone(), (record.stamp, version));
                    state.queue(name, 0, Instant::now());
                    self.more.notify_one();
                }
                // Half a record, of the moment of a crash, or none of ours.
                _ => delete(&file.path()),
            }
        }
    }

    /// The next record that is due; waits for one.
    pub(super) async fn take(self: &Arc<Self>) -> Kept {
        loop {
            let (name, tries) = self.next().await;
            let records = self.clone();
            if let Ok(Some(kept)) = blocking(move || Ok(records.load(name, tries))).await {
                return kept;
            }
        }
    }

    /// The name of the first file that is due, out of the queue, and how often it was tried.
    async fn next(&self) -> (String, u32) {
        loop {
            let more = self.more.notified();
            let next_due = {
                let mut state = self.state.lock();
                let due = state.due.first_key_value().map(|((due, _), _)| *due);
                if due.is_some_and(|due| due <= Instant::now())
                    && let Some((_, first)) = state.due.pop_first()
                {
                    if !state.due.is_empty() {
                        self.more.notify_one();
                    }
                    return first;
                }
                due
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

    /// Reads the file of a record. Blocks.
    fn load(&self, name: String, tries: u32) -> Option<Kept> {
        let _files = self.files.lock();
        let version = self.state.lock().held.get(&name)?.1;
        let path = self.folder.join(&name);
        match load(&path) {
            Ok((key, record)) => Some(Kept { key, record, tries, name, version }),
            Err(error) => {
                tracing::warn!(%error, "a record that waited for its upload cannot be read; it is dropped");
                self.figures.recorded("dropped");
                self.state.lock().held.remove(&name);
                delete(&path);
                None
            }
        }
    }

    /// The record is done with; a newer one that came meanwhile is next. Blocks.
    pub(super) fn finish(&self, kept: Kept) {
        let _files = self.files.lock();
        let newest = self.state.lock().held.get(&kept.name).is_some_and(|(_, version)| *version == kept.version);
        if newest {
            delete(&self.folder.join(&kept.name));
            self.state.lock().held.remove(&kept.name);
        } else {
            self.state.lock().queue(kept.name, 0, Instant::now());
            self.more.notify_one();
        }
    }

    /// The record, or what is newest under its key then, is to be tried again after `pause`.
    pub(super) fn put_back(&self, kept: Kept, pause: Duration) {
        self.state.lock().queue(kept.name, kept.tries + 1, Instant::now() + pause);
        self.more.notify_one();
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().held.len()
    }
}

impl State {
    fn queue(&mut self, name: String, tries: u32, due: Instant) {
        let number = self.number();
        self.due.insert((due, number), (name, tries));
    }

    /// A number that was not given out before.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn load(path: &Path) -> io::Result<(String, Record)> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    match parse(&text) {
        Some((Some(key), record)) => Ok((key, record)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no record")),
    }
}

fn delete(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot delete a record that waited for its upload");
    }
}
