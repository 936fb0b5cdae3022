//! Content that was pushed: nobody else has it, so it is durable before it is acknowledged, and never evicted.
//!
//! ```text
//! <folder>/hosted/sha256/3f/3f0a…   complete, verified, synced together with its name
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use moka::sync::Cache;

use super::{Found, Spool, blocking};
use crate::{
    oci::{Algorithm, Digest},
    telemetry::TierName,
};

/// Files kept open, so that a popular content costs no system call to find.
const OPEN_FILES: u64 = 512;

/// Pushed content, addressed by digest. Cheap to clone; clones are the same store.
#[derive(Debug, Clone)]
pub struct ContentStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    open: Cache<Digest, (Arc<fs::File>, u64)>,
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// A content as it lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// When it was written.
    pub written: SystemTime,
}

impl ContentStore {
    /// Opens the store below `folder`.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let hosted = folder.join("hosted");
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            fs::create_dir_all(hosted.join(algorithm.as_str()))?;
        }
        sync_folder(&hosted)?;
        sync_folder(folder)?;
        let (entries, bytes) = <(AtomicU64, AtomicU64)>::default();
        Ok(Self { shared: Arc::new(Shared { folder: hosted, open: Cache::new(OPEN_FILES), entries, bytes }) })
    }

    /// The folder of the files.
    pub(super) fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Number of contents and their bytes, as they were when everything was last visited and by what has come and gone since.
    pub fn usage(&self) -> (u64, u64) {
        (self.shared.entries.load(Ordering::Relaxed), self.shared.bytes.load(Ordering::Relaxed))
    }

    /// Looks a content up.
    ///
    /// # Errors
    /// When the file is there but cannot be opened.
    pub async fn lookup(&self, digest: &Digest) -> io::Result<Option<Found>> {
        if let Some((file, size)) = self.shared.open.get(digest) {
            return Ok(Some(found(file, size)));
        }
        let (shared, digest) = (self.shared.clone(), *digest);
        blocking(move || shared.open_entry(&digest)).await
    }

    /// Takes a verified content over from the file at `path`, on the same file system, whose bytes have been synced. When this
    /// returns, the name survives a power cut too. Blocks.
    ///
    /// # Errors
    /// When something cannot be made durable. The content is not to be relied on then, and the file may be gone.
    pub fn adopt(&self, digest: &Digest, file: &Arc<fs::File>, path: &Path) -> io::Result<()> {
        let (shard, place) = self.shared.place(digest);
        let before = fs::metadata(&place).ok();
        match fs::rename(path, &place) {
            // The first content of its shard.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&shard)?;
                sync_folder(&self.shared.folder.join(digest.algorithm().as_str()))?;
                fs::rename(path, &place)?;
            }
            renamed => renamed?,
        }
        sync_folder(&shard)?;
        let size = file.metadata()?.len();
        self.shared.open.insert(*digest, (file.clone(), size));
        if before.is_none() {
            self.shared.entries.fetch_add(1, Ordering::Relaxed);
            self.shared.bytes.fetch_add(size, Ordering::Relaxed);
        }
        Ok(())
    }

    /// As [`Self::adopt`], for a spool.
    ///
    /// # Errors
    /// As [`Self::adopt`].
    pub async fn store(&self, digest: &Digest, spool: Spool) -> io::Result<()> {
        let (store, digest) = (self.clone(), *digest);
        blocking(move || {
            let file = spool.file().clone();
            file.sync_all()?;
            spool.hand_over(|path| store.adopt(&digest, &file, path))
        })
        .await
    }

    /// Shows `visit` everything that is stored, in no order. Blocks.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn visit(&self, mut visit: impl FnMut(Stored)) -> io::Result<()> {
        let (mut entries, mut bytes) = (0, 0);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for shard in fs::read_dir(self.shared.folder.join(algorithm.as_str()))? {
                for file in fs::read_dir(shard?.path())? {
                    let file = file?;
                    let name = file.file_name();
                    let digest = name.to_str().and_then(|hex| format!("{}:{hex}", algorithm.as_str()).parse().ok());
                    let Some(digest) = digest else {
                        tracing::warn!(path = %file.path().display(), "an unknown file lies in the content store; it is left alone");
                        continue;
                    };
                    // One that is gone by now needs no visit.
                    if let Ok(metadata) = file.metadata() {
                        entries += 1;
                        bytes += metadata.len();
                        visit(Stored { digest, size: metadata.len(), written: metadata.modified()? });
                    }
                }
            }
        }
        self.shared.entries.store(entries, Ordering::Relaxed);
        self.shared.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The length of a content; `None` when it is not here. Blocks.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.shared.place(digest).1).ok().map(|metadata| metadata.len())
    }

    /// When a content was written; `None` when it is not here. Blocks.
    pub fn written(&self, digest: &Digest) -> Option<SystemTime> {
        fs::metadata(self.shared.place(digest).1).and_then(|metadata| metadata.modified()).ok()
    }

    /// Deletes a content. Who reads it goes on reading. Blocks.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        let (_, place) = self.shared.place(digest);
        let size = fs::metadata(&place)?.len();
        fs::remove_file(place)?;
        // More may go than was counted, when much comes and goes while everything is visited.
        let less = |figure: &AtomicU64, by| figure.update(Ordering::Relaxed, Ordering::Relaxed, |now| now.saturating_sub(by));
        less(&self.shared.entries, 1);
        less(&self.shared.bytes, size);
        self.shared.open.invalidate(digest);
        // A file that is held open takes its room still.
        self.shared.open.run_pending_tasks();
        Ok(())
    }
}

impl Shared {
    /// The folder of a content's file, and the file.
    fn place(&self, digest: &Digest) -> (PathBuf, PathBuf) {
        let hex = digest.hex();
        let shard = self.folder.join(digest.algorithm().as_str()).join(&hex[..2]);
        let file = shard.join(hex);
        (shard, file)
    }

    fn open_entry(&self, digest: &Digest) -> io::Result<Option<Found>> {
        let file = match fs::File::open(self.place(digest).1) {
            Ok(file) => Arc::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len();
        self.open.insert(*digest, (file.clone(), size));
        Ok(Some(found(file, size)))
    }
}

fn found(file: Arc<fs::File>, size: u64) -> Found {
    // Nobody else could be asked for it: hashing it once more on the way out would help nobody.
    Found::in_file(TierName::Hosted, file, size, 0, true)
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(n: u32) -> (Digest, Vec<u8>) {
        let bytes = format!("content {n}").into_bytes();
        (Digest::of(Algorithm::Sha256, &bytes), bytes)
    }

    fn write(folder: &Path, bytes: &[u8]) -> Spool {
        let spool = Spool::create(folder.join(format!("spool-{}", fastrand::u64(..)))).unwrap();
        Spool::write_at(spool.file(), bytes, 0).unwrap();
        spool
    }

    #[tokio::test]
    async fn what_is_stored_is_found_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (digest, bytes) = content(1);
        let store = ContentStore::open(folder.path()).unwrap();
        assert!(store.lookup(&digest).await.unwrap().is_none());
        store.store(&digest, write(folder.path(), &bytes)).await.unwrap();
        for store in [store, ContentStore::open(folder.path()).unwrap()] {
            let found = store.lookup(&digest).await.unwrap().unwrap();
            assert_eq!((found.size, found.tier), (bytes.len() as u64, TierName::Hosted));
            assert_eq!(found.read().await.unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn everything_is_visited_and_strangers_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        for n in 0..20 {
            let (digest, bytes) = content(n);
            store.store(&digest, write(folder.path(), &bytes)).await.unwrap();
        }
        let (digest, _) = content(0);
        let stranger = folder.path().join("hosted/sha256").join(&digest.hex()[..2]).join("README");
        fs::write(&stranger, "?").unwrap();
        let mut seen = Vec::new();
        store.visit(|stored| seen.push(stored.digest)).unwrap();
        seen.sort();
        let reopened = ContentStore::open(folder.path()).unwrap();
        assert_eq!(reopened.usage(), (0, 0), "nobody has looked yet");
        reopened.visit(|_| {}).unwrap();
        assert_eq!(reopened.usage(), store.usage());
        let mut expected: Vec<_> = (0..20).map(|n| content(n).0).collect();
        expected.sort();
        assert_eq!(seen, expected);
        assert!(stranger.exists());
    }

    #[tokio::test]
    async fn a_reader_outlives_the_removal() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let (digest, bytes) = content(1);
        store.store(&digest, write(folder.path(), &bytes)).await.unwrap();
        let found = store.lookup(&digest).await.unwrap().unwrap();
        assert!(store.written(&digest).is_some());
        store.store(&digest, write(folder.path(), &bytes)).await.unwrap();
        assert_eq!(store.usage(), (1, bytes.len() as u64), "storing twice is storing once");
        store.remove(&digest).unwrap();
        assert_eq!(store.usage(), (0, 0));
        assert_eq!(store.written(&digest), None);
        assert!(store.lookup(&digest).await.unwrap().is_none());
        assert_eq!(found.read().await.unwrap(), bytes);
        assert_eq!(store.remove(&digest).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
