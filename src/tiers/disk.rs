//! The disk tier: one file per content, named by its digest.
//!
//! ```text
//! <folder>/blobs/sha256/3f/3f0a…   an entry: complete, verified, synced before it got this name
//! <folder>/spool/<process>/17      a file being written by that process; garbage once the process is gone
//! <folder>/quarantine/sha256-3f…   a file whose bytes were wrong; kept for a while for people to look at
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

use super::{
    Content, Counts, Found, Holding, Listed, Reason, Spool, Tier, Usage, Wanted, blocking, file_state,
    index::{Candidate, Index},
    quarantine::Quarantine,
    value::Rates,
};
use crate::{
    oci::{Algorithm, Digest},
    telemetry::TierName,
};

/// Files kept open, so that a popular content costs no system call to find.
const OPEN_FILES: u64 = 512;

/// Entries looked at in one search for what nobody uses any more.
const LOOKED_AT: usize = 4096;

/// Entries told at once: the index is locked for so long.
const TOLD_AT_ONCE: usize = 1024;

/// What a disk tier is.
#[derive(Debug, Clone)]
pub struct DiskSettings {
    /// What it is called in metrics and reports.
    pub name: String,
    /// Its kind: [`TierName::Disk`], [`TierName::Ssd`] or [`TierName::Hdd`].
    pub kind: TierName,
    /// The folder that holds it; made if need be.
    pub folder: PathBuf,
    /// Bytes held at most.
    pub limit: u64,
    /// Where what it does not hold comes from: the next slower tier, or `None` for an upstream.
    pub elsewhere: Option<TierName>,
    /// How much a content's size counts against it.
    pub size_exponent: f32,
}

impl DiskSettings {
    /// One tier in front of upstreams.
    pub fn new(folder: &Path, limit: u64) -> Self {
        let (name, kind, folder) = ("disk".to_owned(), TierName::Disk, folder.to_owned());
        Self { name, kind, folder, limit, elsewhere: None, size_exponent: 1.0 }
    }
}

/// Content in files, bounded in bytes. Cheap to clone; clones are the same tier.
#[derive(Debug, Clone)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    kind: TierName,
    folder: PathBuf,
    blobs: PathBuf,
    spools: PathBuf,
    quarantine: Quarantine,
    limit: u64,
    index: Mutex<Index>,
    /// Whether the files of earlier runs are all in the index.
    listed: AtomicBool,
    open: Cache<Digest, (Arc<fs::File>, u64)>,
    next_spool: AtomicU64,
    counts: Arc<Counts>,
}

impl Disk {
    /// Opens the tier.
    ///
    /// Returns at once: what earlier runs left is listed on a thread of its own, and until that is done an entry that is not
    /// yet listed is found by its name. Spools of dead processes are deleted there too, and the tier shrinks to its limit.
    ///
    /// # Errors
    /// When the folders cannot be made or written.
    pub(super) fn open(settings: DiskSettings, rates: Arc<dyn Rates>, counts: Arc<Counts>) -> io::Result<Self> {
        let DiskSettings { name, kind, folder, limit, elsewhere, size_exponent } = settings;
        let blobs = folder.join("blobs");
        let old_spools = folder.join("spool");
        let spools = old_spools.join(format!("{}-{:08x}", std::process::id(), fastrand::u32(..)));
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            fs::create_dir_all(blobs.join(algorithm.as_str()))?;
        }
        fs::create_dir_all(&spools)?;
        let shared = Arc::new(Shared {
            name: name.into(),
            kind,
            blobs,
            spools,
            quarantine: Quarantine::new(folder.join("quarantine")),
            folder,
            limit,
            index: Mutex::new(Index::new(kind, elsewhere, size_exponent, rates)),
            listed: AtomicBool::new(false),
            open: Cache::new(OPEN_FILES),
            next_spool: AtomicU64::new(0),
            counts,
        });
        let lister = shared.clone();
        std::thread::Builder::new().name("disk-listing".to_owned()).spawn(move || lister.recover(&old_spools))?;
        Ok(Self { shared })
    }

    /// What it is called in metrics and reports.
    pub fn label(&self) -> &Arc<str> {
        &self.shared.name
    }

    /// The folder that holds it.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Bytes held at most.
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }

    /// Where the file of a content is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.shared.path(digest)
    }

    /// Notes that a content was wanted, though a faster tier had it; one call in eight is enough to keep it warm.
    pub fn touch(&self, digest: &Digest, wanted: &Wanted) {
        if fastrand::u8(..) < 32 {
            self.shared.index.lock().touch(digest, wanted);
        }
    }

    /// Notes who has waited for a content that has just been stored.
    pub fn welcome(&self, digest: &Digest, wanted: &Wanted) {
        self.shared.index.lock().welcome(digest, wanted);
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

    /// Notes that the file of an entry, in the state of this stamp, is what its digest says.
    pub(super) fn mark_verified(&self, digest: &Digest, stamp: u32) {
        self.shared.index.lock().set_verified(digest, stamp);
    }

    /// Takes a content away whose bytes are wrong; the file is kept aside for a while. Blocks.
    pub fn quarantine(&self, digest: &Digest) {
        self.shared.counts.evicted(&self.shared.name, Reason::Damaged, &[*digest]);
        // In one step for whoever lists the files of earlier runs.
        let mut index = self.shared.index.lock();
        index.remove(digest);
        self.shared.open.invalidate(digest);
        self.shared.quarantine.take(digest, &self.shared.path(digest));
    }

    /// As [`Self::quarantine`], if the file in its place is still in the state that has been found wrong; false when another
    /// one is there by now, or none. Blocks.
    pub(super) fn condemn(&self, digest: &Digest, stamp: u32) -> bool {
        let is_the_one = fs::metadata(self.path(digest)).is_ok_and(|metadata| file_state::stamp(&metadata) == stamp);
        if is_the_one {
            self.quarantine(digest);
        }
        is_the_one
    }

    /// Notes that a state of an entry's file is what its digest says.
    pub(super) fn approve(&self, digest: &Digest, stamp: u32) {
        self.shared.index.lock().set_verified(digest, stamp);
    }

    /// The folder of the entries' files.
    pub(super) fn blobs(&self) -> &Path {
        &self.shared.blobs
    }

    /// Files that are kept aside because their bytes were wrong.
    pub fn quarantined(&self) -> u64 {
        self.shared.quarantine.files()
    }

    /// Makes a content the first to leave.
    pub fn supersede(&self, digest: &Digest) {
        self.shared.index.lock().supersede(digest);
    }

    /// Removes some of what nobody has used for as long as it may be unused; tells how many. Blocks.
    pub fn remove_unused(&self) -> usize {
        let unused = self.shared.index.lock().unused(LOOKED_AT);
        for digest in &unused {
            self.shared.forget(digest);
        }
        self.shared.counts.evicted(&self.shared.name, Reason::Unused, &unused);
        unused.len()
    }

    /// The digests of all entries, in no order.
    pub fn digests(&self) -> Vec<Digest> {
        self.shared.index.lock().digests()
    }

    /// Shows `visit` all entries as they are told to people, in no order. An entry that comes, goes or moves meanwhile may be
    /// left out. Takes a while when there are many, in which the tier goes on serving.
    pub fn visit(&self, mut visit: impl FnMut(Listed)) {
        let mut from = 0;
        loop {
            let listed = self.shared.index.lock().listed(from, TOLD_AT_ONCE);
            if listed.is_empty() {
                return;
            }
            from += listed.len();
            listed.into_iter().for_each(&mut visit);
        }
    }

    /// One entry as it is told to people.
    pub fn show(&self, digest: &Digest) -> Option<Listed> {
        self.shared.index.lock().listed_one(digest)
    }

    /// What is held for whom.
    pub fn holdings(&self) -> Vec<Holding> {
        self.shared.index.lock().holdings()
    }

    /// Lets an entry go: it has been moved, or nothing is worth less. Blocks.
    pub(super) fn release(&self, digest: &Digest) {
        self.shared.forget(digest);
    }

    /// What moving needs to know of the entries.
    pub(super) fn index(&self) -> &Mutex<Index> {
        &self.shared.index
    }

    /// What tells whether an entry is here, for as long as the tier is there.
    pub(super) fn presence(&self) -> impl Fn(&Digest) -> bool + Send + Sync + use<> {
        let shared = Arc::downgrade(&self.shared);
        move |digest| shared.upgrade().is_some_and(|shared| shared.index.lock().size(digest).is_some())
    }

    /// The least valuable entry that may be moved.
    pub(super) fn least_rested(&self) -> Option<Candidate> {
        self.shared.index.lock().least_rested()
    }

    /// Opens an entry without noting that it was wanted. Blocks.
    pub(super) fn peek(&self, digest: &Digest) -> io::Result<fs::File> {
        fs::File::open(self.shared.path(digest))
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
        self.shared.kind
    }

    fn lookup<'a>(&'a self, digest: &'a Digest, wanted: &'a Wanted) -> BoxFuture<'a, io::Result<Option<Found>>> {
        async move {
            if let Some((file, size)) = self.shared.open.get(digest) {
                // A file that somebody cut short must not be promised in full again.
                if file.metadata()?.len() == size {
                    return Ok(Some(self.shared.found(digest, wanted, file, size)?));
                }
                self.shared.open.invalidate(digest);
            }
            let known = self.shared.index.lock().size(digest);
            if known.is_none() && self.is_listed() {
                return Ok(None);
            }
            let (shared, digest, wanted) = (self.shared.clone(), *digest, wanted.clone());
            blocking(move || shared.open_entry(&digest, &wanted, known)).await
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
                if shared.forget(&digest) {
                    shared.counts.evicted(&shared.name, Reason::Removed, &[digest]);
                }
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
    fn open_entry(&self, digest: &Digest, wanted: &Wanted, known: Option<u64>) -> io::Result<Option<Found>> {
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
        self.index.lock().insert(*digest, size, Duration::ZERO);
        let file = Arc::new(file);
        self.open.insert(*digest, (file.clone(), size));
        self.found(digest, wanted, file, size).map(Some)
    }

    /// An entry that somebody wants. Its bytes count as verified when this process has hashed this very file and has not let go
    /// of its pages since.
    fn found(&self, digest: &Digest, wanted: &Wanted, file: Arc<fs::File>, size: u64) -> io::Result<Found> {
        let stamp = file_state::stamp(&file.metadata()?);
        let mut index = self.index.lock();
        index.touch(digest, wanted);
        let hashed = index.verified(digest) == stamp;
        drop(index);
        let verified = hashed && file_state::is_resident(&file, size);
        Ok(Found::in_file(self.kind, file, size, stamp, verified))
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
        let file = spool.commit(&path, || self.spool())?;
        let stamp = file_state::stamp(&file.metadata()?);
        let mut index = self.index.lock();
        index.insert(*digest, size, Duration::ZERO);
        index.set_verified(digest, stamp);
        drop(index);
        self.open.insert(*digest, (file, size));
        self.shrink(self.limit);
        Ok(())
    }

    fn shrink(&self, limit: u64) {
        // The lock is not held while files are deleted.
        let victims = self.index.lock().shrink(limit);
        for victim in &victims {
            self.forget(victim);
        }
        self.counts.evicted(&self.name, Reason::NoRoom, &victims);
    }

    /// Deletes an entry; false when it was not in the index.
    fn forget(&self, digest: &Digest) -> bool {
        let known = self.index.lock().remove(digest);
        self.open.invalidate(digest);
        if let Err(error) = fs::remove_file(self.path(digest))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%digest, %error, "cannot delete a file of the disk tier");
        }
        known
    }

    /// Brings the index up to what earlier runs left.
    fn recover(&self, old_spools: &Path) {
        self.delete_old_spools(old_spools);
        self.quarantine.recover();
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
        // It may have been taken away since it was listed.
        if index.size(&digest).is_none() && file.path().exists() {
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
