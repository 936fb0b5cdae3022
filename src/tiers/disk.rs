//! The disk tier: one file per content, named by its digest.
//!
//! ```text
//! <folder>/blobs/sha256/3f/3f0a…   an entry: complete, verified, synced before it got this name
//! <folder>/spool/<process>/17      a file being written by that process; garbage once the process is gone
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt};
use moka::sync::Cache;
use parking_lot::Mutex;

use super::{Content, Found, Spool, Tier, Usage, blocking, eviction::Index};
use crate::{
    oci::{Algorithm, Digest},
    telemetry::TierName,
};

/// Files kept open, so that a popular content costs no system call to find.
const OPEN_FILES: u64 = 512;

/// Content in files, bounded in bytes. Cheap to clone; clones are the same tier.
#[derive(Debug, Clone)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    blobs: PathBuf,
    spools: PathBuf,
    limit: u64,
    index: Mutex<Index>,
    /// Whether the files of earlier runs are all in the index.
    listed: AtomicBool,
    open: Cache<Digest, (Arc<fs::File>, u64)>,
    next_spool: AtomicU64,
}

impl Disk {
    /// Opens the tier in `folder`, which is made if need be, with at most `limit` bytes.
    ///
    /// Returns at once: what earlier runs left is listed on a thread of its own, and until that is done an entry that is not
    /// yet listed is found by its name. Spools of dead processes are deleted there too, and the tier shrinks to its limit.
    ///
    /// # Errors
    /// When the folders cannot be made or written.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        let blobs = folder.join("blobs");
        let old_spools = folder.join("spool");
        let spools = old_spools.join(format!("{}-{:08x}", std::process::id(), fastrand::u32(..)));
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            fs::create_dir_all(blobs.join(algorithm.as_str()))?;
        }
        fs::create_dir_all(&spools)?;
        let shared = Arc::new(Shared {
            blobs,
            spools,
            limit,
            index: Mutex::new(Index::new()),
            listed: AtomicBool::new(false),
            open: Cache::new(OPEN_FILES),
            next_spool: AtomicU64::new(0),
        });
        let lister = shared.clone();
        std::thread::Builder::new().name("disk-listing".to_owned()).spawn(move || lister.recover(&old_spools))?;
        Ok(Self { shared })
    }

    /// Notes that a content was wanted, though a faster tier had it; one call in eight is enough to keep it warm.
    pub fn touch(&self, digest: &Digest) {
        if fastrand::u8(..) < 32 {
            self.shared.index.lock().touch(digest);
        }
    }

    /// Whether it is here, without noting that it was wanted.
    pub async fn contains(&self, digest: &Digest) -> bool {
        if self.shared.index.lock().size(digest).is_some() {
            return true;
        }
        if self.shared.listed.load(Ordering::Acquire) {
            return false;
        }
        let path = self.shared.path(digest);
        blocking(move || Ok(path.exists())).await.unwrap_or(false)
    }

    /// Opens a spool on the same file system as the entries.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub async fn spool(&self) -> io::Result<Spool> {
        let shared = self.shared.clone();
        blocking(move || shared.spool()).await
    }

    /// Gives up a tenth of what it holds.
    pub async fn make_room(&self) {
        let shared = self.shared.clone();
        let making = blocking(move || {
            let target = shared.index.lock().bytes() / 10 * 9;
            shared.shrink(target);
            Ok(())
        });
        if let Err(error) = making.await {
            tracing::warn!(%error, "cannot make room on the disk");
        }
    }

    /// Whether everything that earlier runs left is in the index.
    pub fn is_listed(&self) -> bool {
        self.shared.listed.load(Ordering::Acquire)
    }
}

impl Tier for Disk {
    fn name(&self) -> TierName {
        TierName::Disk
    }

    fn lookup<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, io::Result<Option<Found>>> {
        async move {
            if let Some((file, size)) = self.shared.open.get(digest) {
                // A file that somebody cut short must not be promised in full again.
                if file.metadata()?.len() == size {
                    self.shared.index.lock().touch(digest);
                    return Ok(Some(Found::in_file(TierName::Disk, file, size)));
                }
                self.shared.open.invalidate(digest);
            }
            let known = self.shared.index.lock().size(digest);
            if known.is_none() && self.is_listed() {
                return Ok(None);
            }
            let (shared, digest) = (self.shared.clone(), *digest);
            blocking(move || shared.open_entry(&digest, known)).await
        }
        .boxed()
    }

    fn store<'a>(&'a self, digest: &'a Digest, content: Content) -> BoxFuture<'a, io::Result<()>> {
        let (shared, digest) = (self.shared.clone(), *digest);
        blocking(move || shared.store(&digest, content)).boxed()
    }

    fn remove<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        let (shared, digest) = (self.shared.clone(), *digest);
        async move {
            let removal = blocking(move || {
                shared.forget(&digest);
                Ok(())
            });
            if let Err(error) = removal.await {
                tracing::warn!(%error, "cannot remove from the disk tier");
            }
        }
        .boxed()
    }

    fn usage(&self) -> Usage {
        let index = self.shared.index.lock();
        Usage { entries: index.len() as u64, bytes: index.bytes(), limit: self.shared.limit }
    }
}

impl Shared {
    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.blobs.join(digest.algorithm().as_str()).join(&hex[..2]).join(hex)
    }

    fn spool(&self) -> io::Result<Spool> {
        let number = self.next_spool.fetch_add(1, Ordering::Relaxed);
        Spool::create(self.spools.join(number.to_string()))
    }

    /// Opens an entry; one that is not as long as it was is damaged, and removed.
    fn open_entry(&self, digest: &Digest, known: Option<u64>) -> io::Result<Option<Found>> {
        let file = match fs::File::open(self.path(digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.index.lock().remove(digest);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len();
        if known.is_some_and(|known| known != size) {
            tracing::warn!(%digest, size, "removed a file of the wrong length from the disk tier");
            self.forget(digest);
            return Ok(None);
        }
        let mut index = self.index.lock();
        index.insert(*digest, size, Duration::ZERO);
        index.touch(digest);
        drop(index);
        let file = Arc::new(file);
        self.open.insert(*digest, (file.clone(), size));
        Ok(Some(Found::in_file(TierName::Disk, file, size)))
    }

    fn store(&self, digest: &Digest, content: Content) -> io::Result<()> {
        let (spool, size) = match content {
            Content::Spool { spool, size } => (spool, size),
            Content::Bytes(bytes) => {
                let spool = self.spool()?;
                Spool::write_at(spool.file(), &bytes, 0)?;
                (spool, bytes.len() as u64)
            }
        };
        if size > self.limit {
            return Ok(());
        }
        let path = self.path(digest);
        if let Some(shard) = path.parent() {
            fs::create_dir_all(shard)?;
        }
        let file = spool.commit(&path)?;
        self.index.lock().insert(*digest, size, Duration::ZERO);
        self.open.insert(*digest, (file, size));
        self.shrink(self.limit);
        Ok(())
    }

    fn shrink(&self, limit: u64) {
        // The lock is not held while files are deleted.
        let victims = self.index.lock().shrink(limit);
        for victim in victims {
            self.forget(&victim);
        }
    }

    fn forget(&self, digest: &Digest) {
        self.index.lock().remove(digest);
        self.open.invalidate(digest);
        if let Err(error) = fs::remove_file(self.path(digest))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%digest, %error, "cannot delete a file of the disk tier");
        }
    }

    /// Brings the index up to what earlier runs left.
    fn recover(&self, old_spools: &Path) {
        self.delete_old_spools(old_spools);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for shard in entries(&self.blobs.join(algorithm.as_str())) {
                for file in entries(&shard.path()) {
                    self.list(algorithm, &file);
                }
            }
        }
        self.listed.store(true, Ordering::Release);
        self.shrink(self.limit);
        let index = self.index.lock();
        tracing::info!(entries = index.len(), bytes = index.bytes(), "the disk tier is listed");
    }

    fn list(&self, algorithm: Algorithm, file: &fs::DirEntry) {
        let name = file.file_name();
        let digest = name.to_str().and_then(|hex| format!("{}:{hex}", algorithm.as_str()).parse::<Digest>().ok());
        let (Some(digest), Ok(metadata)) = (digest, file.metadata()) else {
            tracing::warn!(path = %file.path().display(), "an unknown file lies in the disk tier; it is left alone");
            return;
        };
        let wanted = metadata.accessed().or_else(|_| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut index = self.index.lock();
        if index.size(&digest).is_none() {
            index.insert(digest, metadata.len(), wanted.elapsed().unwrap_or_default());
        }
    }

    fn delete_old_spools(&self, old_spools: &Path) {
        for folder in entries(old_spools).filter(|folder| folder.path() != self.spools) {
            if let Err(error) = fs::remove_dir_all(folder.path()) {
                tracing::warn!(path = %folder.path().display(), %error, "cannot delete the spools of an earlier run");
            }
        }
    }
}

/// The entries of a folder; one that cannot be read is as good as empty, and said.
fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    let listing = fs::read_dir(folder).inspect_err(|error| {
        tracing::warn!(path = %folder.display(), %error, "cannot list a folder of the disk tier");
    });
    listing.into_iter().flatten().flatten()
}
