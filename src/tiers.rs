//! Where bytes live, and how they exist there.
//!
//! Bytes are stored once per digest and carry no rights: whoever asks a tier has to have checked the link before.
//! [`Tiers`] is the ordered set: memory, then the disks, fastest first. Each [`Tier`] keeps within its own byte limit; between
//! disks, contents are moved by what they are worth where. What was pushed lies apart, in the [`ContentStore`]: it is no cache.

mod body;
mod collector;
mod content_store;
mod counts;
mod disk;
mod file_state;
mod index;
mod memory;
mod moves;
mod object;
mod owners;
mod pace;
mod quarantine;
mod scrub;
mod spool;
mod staging;
mod survey;
mod value;
mod wanted;

pub use body::{Body, Piece};
pub use collector::UsageCollector;
pub use content_store::{ContentStore, Stored};
pub use counts::Reason;
pub use disk::{Disk, DiskSettings};
pub use file_state::is_cached;
pub use index::{Index, Listed};
pub use memory::Memory;
pub use object::{Bucket, BucketError, Cdn, Locations, ObjectStream, ObjectTier};
pub use owners::Holding;
pub use scrub::{Damage, Fault, Heal, ScrubRun, ScrubSettings, Scrubber};
pub use spool::Spool;
pub use staging::{Staged, Staging};
pub use survey::{Holder, Order, Selected, Selection};
pub use value::{DecayedCounts, Rates};
pub use wanted::Wanted;

use std::{fmt::Debug, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use moka::sync::Cache;
use tokio::runtime::Handle;

use crate::{
    oci::{ByteRange, Digest},
    telemetry::{Metrics, TierName},
};
use counts::Counts;
use moves::Mover;
use pace::{Demand, Pace};

/// A place for content, addressed by digest.
///
/// # Contract
/// - Nothing is visible before [`Tier::store`] has returned `Ok`; a call that failed or was cancelled never happened.
/// - What is stored has been verified by the caller. A lookup never returns anything else than was stored, or an error; what
///   may have changed where it lay says so ([`Found::verified`]).
/// - A tier never holds more than its limit for longer than one call; what it gives up to stay within is its own choice.
///   A [`Found`] that was handed out stays readable after the entry is gone.
pub trait Tier: Debug + Send + Sync {
    /// Which tier this is.
    fn name(&self) -> TierName;

    /// Looks a content up and notes who wanted it.
    fn lookup<'a>(&'a self, digest: &'a Digest, wanted: &'a Wanted) -> BoxFuture<'a, io::Result<Option<Found>>>;

    /// Takes a verified content. A content that the tier does not want (too large for it) is dropped without an error.
    fn store<'a>(&'a self, digest: &'a Digest, content: Content) -> BoxFuture<'a, io::Result<()>>;

    /// Forgets a content.
    fn remove<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()>;

    /// What it holds now.
    fn usage(&self) -> Usage;
}

/// A verified content on its way into a tier.
#[derive(Debug)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a complete spool file of `size` bytes.
    Spool {
        /// The file.
        spool: Spool,
        /// Its length in bytes.
        size: u64,
    },
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Spool { size, .. } => *size,
        }
    }
}

/// A content that a tier has.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it was.
    pub tier: TierName,
    /// Its length in bytes.
    pub size: u64,
    /// Whether this process has verified its bytes and they cannot have changed since. If not, they are to be hashed while
    /// they are read.
    pub verified: bool,
    bytes: Held,
}

#[derive(Debug, Clone)]
enum Held {
    Memory(Bytes),
    File {
        file: Arc<std::fs::File>,
        /// The state of the file when it was found: what is verified is that one.
        stamp: u32,
    },
}

impl Found {
    fn in_memory(bytes: Bytes) -> Self {
        Self { tier: TierName::Memory, size: bytes.len() as u64, verified: true, bytes: Held::Memory(bytes) }
    }

    fn in_file(tier: TierName, file: Arc<std::fs::File>, size: u64, stamp: u32, verified: bool) -> Self {
        Self { tier, size, verified, bytes: Held::File { file, stamp } }
    }

    /// The file that it is in, if it is in one.
    pub const fn file(&self) -> Option<&Arc<std::fs::File>> {
        match &self.bytes {
            Held::Memory(_) => None,
            Held::File { file, .. } => Some(file),
        }
    }

    /// The bytes: all, or a part that lies inside of `size`.
    pub fn into_body(self, range: Option<ByteRange>) -> Body {
        let range = range.unwrap_or(ByteRange { start: 0, end: self.size });
        match self.bytes {
            Held::Memory(bytes) => Body::Bytes(bytes.slice(range.start as usize..range.end as usize)),
            Held::File { file, .. } => Body::File { file, range },
        }
    }

    /// Reads everything into memory; for content that is known to be small.
    ///
    /// # Errors
    /// When the file cannot be read or is shorter than it was.
    pub async fn read(self) -> io::Result<Bytes> {
        match self.bytes {
            Held::Memory(bytes) => Ok(bytes),
            Held::File { file, .. } => blocking(move || read_file(&file, self.size)).await,
        }
    }
}

/// What a tier holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Number of contents.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Most bytes it may hold.
    pub limit: u64,
}

/// What the tiers of one server are.
#[derive(Debug, Clone)]
pub struct TierSettings {
    /// Bytes held in memory at most.
    pub memory_limit: u64,
    /// The largest content that is held in memory.
    pub memory_max_entry: u64,
    /// The disks, fastest first; never empty.
    pub disks: Vec<DiskSettings>,
    /// Bytes per second that are moved between disks at most.
    pub move_rate: u64,
    /// How damage is looked for in the background.
    pub scrub: ScrubSettings,
}

/// The tiers of one server, fastest first.
#[derive(Debug)]
pub struct Tiers {
    memory: Memory,
    disks: Vec<Disk>,
    object: Option<ObjectTier>,
    hosted: ContentStore,
    counts: Arc<Counts>,
    memory_label: Arc<str>,
    mover: Mover,
    /// Who waits for what is on its way here.
    expected: Cache<Digest, Wanted>,
    scrubber: Scrubber,
}

/// Contents on their way here that somebody is remembered to wait for.
const EXPECTED: u64 = 10_000;

/// How long it is remembered.
const PATIENCE: Duration = Duration::from_secs(600);

impl Tiers {
    /// Opens the tiers; see [`Disk`] for what is not complete when this returns.
    ///
    /// # Errors
    /// When a folder cannot be made or written.
    pub fn open(settings: TierSettings, hosted: ContentStore) -> io::Result<Self> {
        Self::open_with(settings, hosted, Arc::new(DecayedCounts))
    }

    /// As [`Self::open`], with a forecast of requests.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(settings: TierSettings, hosted: ContentStore, rates: Arc<dyn Rates>) -> io::Result<Self> {
        let TierSettings { memory_limit, memory_max_entry, disks, move_rate, scrub } = settings;
        let counts = Arc::<Counts>::default();
        let open = |settings| Disk::open(settings, rates.clone(), counts.clone());
        let disks = disks.into_iter().map(open).collect::<io::Result<Vec<_>>>()?;
        if disks.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there has to be a disk tier"));
        }
        let demand = Demand::new();
        let mover = Mover::new(disks.clone(), Pace::new(move_rate, demand.clone()), counts.clone());
        let scrubber = Scrubber::new(&disks, &hosted, scrub, demand, counts.clone());
        let memory = Memory::new(memory_limit, memory_max_entry);
        let expected = Cache::builder().max_capacity(EXPECTED).time_to_live(PATIENCE).build();
        Ok(Self {
            memory,
            disks,
            object: None,
            hosted,
            counts,
            memory_label: TierName::Memory.as_str().into(),
            mover,
            expected,
            scrubber,
        })
    }

    /// With a bucket behind the disks: what is stored is uploaded to it, what waits from earlier runs too.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn with_object(self, object: ObjectTier) -> io::Result<Self> {
        let folders: Vec<_> = self.disks.iter().map(|disk| disk.folder().to_owned()).collect();
        object.recover(&folders)?;
        Ok(Self { object: Some(object), ..self })
    }

    /// The bucket, if there is one.
    pub const fn object(&self) -> Option<&ObjectTier> {
        self.object.as_ref()
    }

    /// Starts to move contents between disks and to look for damage, on `handle`, for as long as these tiers exist.
    pub fn start(&self, handle: &Handle) {
        self.mover.start(handle);
        self.scrubber.start(handle);
        let hosted = self.hosted.clone();
        handle.spawn_blocking(move || {
            // What is there is counted on the way.
            if let Err(error) = hosted.visit(|_| {}) {
                tracing::warn!(%error, "what was pushed cannot be listed");
            }
        });
    }

    /// Who looks for damage.
    pub const fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }

    /// Adds what is counted here to what is measured.
    pub fn register(self: &Arc<Self>, metrics: &Metrics) {
        metrics.register(|registry| {
            self.counts.register(registry);
            registry.register_collector(Box::new(self.clone().collector()));
        });
    }

    /// Has `tell` told of each content that is on no disk any more, from now on. It must not wait for anything.
    pub fn on_evicted(&self, tell: impl Fn(&Digest) + Send + Sync + 'static) {
        let disks: Vec<_> = self.disks.iter().map(Disk::presence).collect();
        self.counts.listen(Box::new(move |digest| {
            if !disks.iter().any(|has| has(digest)) {
                tell(digest);
            }
        }));
    }

    /// Reads a content of the cache of at most `most` bytes, without noting that it was wanted. `None` when it is not here, is
    /// longer, or is not what its digest says.
    pub async fn peek(&self, digest: &Digest, most: u64) -> Option<Bytes> {
        if let Some(bytes) = self.memory.peek(digest) {
            return Some(bytes).filter(|bytes| bytes.len() as u64 <= most);
        }
        let (disks, digest) = (self.disks.clone(), *digest);
        let reading = blocking(move || {
            let Some(file) = disks.iter().find_map(|disk| disk.peek(&digest).ok()) else { return Ok(None) };
            let size = file.metadata()?.len();
            if size > most {
                return Ok(None);
            }
            let bytes = read_file(&file, size)?;
            Ok(Some(bytes).filter(|bytes| Digest::of(digest.algorithm(), bytes) == digest))
        });
        reading.await.unwrap_or_else(|error| {
            tracing::warn!(%digest, %error, "a content cannot be read");
            None
        })
    }

    /// What was pushed.
    pub const fn hosted(&self) -> &ContentStore {
        &self.hosted
    }

    /// The disks, fastest first.
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }

    /// Looks a content up in the cache, in the fastest tier first. A small content found on disk is verified and taken into
    /// memory; one that does not verify is quarantined and counts as absent. An I/O error counts as absent too: a pull never
    /// fails because a cache did.
    pub async fn lookup(&self, digest: &Digest, wanted: &Wanted) -> Option<Found> {
        self.mover.note_demand();
        if let Ok(Some(found)) = self.memory.lookup(digest, wanted).await {
            self.counts.hit(&self.memory_label, wanted.customer.as_ref());
            for disk in &self.disks {
                disk.touch(digest, wanted);
            }
            return Some(found);
        }
        for (position, disk) in self.disks.iter().enumerate() {
            let Some(found) = readable(digest, disk.lookup(digest, wanted).await) else { continue };
            let Some(found) = self.promote(digest, found).await else {
                self.quarantine_on(disk.clone(), digest).await;
                continue;
            };
            self.counts.hit(disk.label(), wanted.customer.as_ref());
            self.mover.consider(digest, position);
            return Some(found);
        }
        None
    }

    /// Looks a content up that was pushed, in memory first. One that cannot be read, or is small and does not verify, counts as
    /// absent, and stays.
    pub async fn lookup_hosted(&self, digest: &Digest) -> Option<Found> {
        if let Ok(Some(found)) = self.memory.lookup(digest, &Wanted::default()).await {
            return Some(found);
        }
        let found = readable(digest, self.hosted.lookup(digest).await)?;
        self.promote(digest, found).await
    }

    /// Looks a content up in memory only.
    pub async fn lookup_memory(&self, digest: &Digest) -> Option<Found> {
        readable(digest, self.memory.lookup(digest, &Wanted::default()).await)
    }

    /// Takes a verified content into memory, if it is small enough for that, and gives it back as one that was found.
    pub async fn remember(&self, digest: &Digest, bytes: Bytes) -> Found {
        // Memory cannot fail to take what it wants.
        let _ = self.memory.store(digest, Content::Bytes(bytes.clone())).await;
        Found::in_memory(bytes)
    }

    /// Takes a small content into memory, which verifies it. `None` when it is not what its digest says.
    async fn promote(&self, digest: &Digest, found: Found) -> Option<Found> {
        if !self.memory.wants(found.size) {
            return Some(found);
        }
        let verified = async {
            let bytes = found.clone().read().await?;
            if Digest::of(digest.algorithm(), &bytes) != *digest {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the content does not match its digest"));
            }
            self.memory.store(digest, Content::Bytes(bytes)).await
        };
        match verified.await {
            Ok(()) => Some(Found { verified: true, ..found }),
            Err(error) => {
                tracing::warn!(%digest, tier = found.tier.as_str(), %error, "a file is damaged");
                None
            }
        }
    }

    /// Whether a content is cached, without noting that it was wanted.
    pub async fn contains(&self, digest: &Digest) -> bool {
        if self.memory.contains(digest) {
            return true;
        }
        for disk in &self.disks {
            if disk.contains(digest).await {
                return true;
            }
        }
        false
    }

    /// Somebody waits for a content that is not here: when it is stored, it is worth something to them.
    pub fn expect(&self, digest: &Digest, wanted: &Wanted) {
        self.mover.note_demand();
        let entry = self.expected.entry(*digest);
        entry.and_upsert_with(|waiting| {
            let others = waiting.map_or(0.0, |waiting| waiting.into_value().weight);
            Wanted { weight: wanted.weight + others, ..wanted.clone() }
        });
    }

    /// Opens a spool: a file that [`Tiers::store`] can take over without copying. It lies on the fastest disk that has room.
    ///
    /// # Errors
    /// When the file cannot be made on any disk.
    pub async fn spool(&self) -> io::Result<Spool> {
        let mut failure = None;
        for disk in &self.disks {
            match disk.spool().await {
                Ok(spool) => return Ok(spool),
                Err(error) => failure = Some(failure.unwrap_or(error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// Takes a verified content: on the fastest disk that is large enough for it, and in memory when it is small.
    ///
    /// # Errors
    /// When the disk cannot take it. Memory may hold it all the same.
    pub async fn store(&self, digest: &Digest, content: Content) -> io::Result<()> {
        self.mover.note_demand();
        let size = content.size();
        if self.memory.wants(size) {
            let bytes = match &content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Spool { spool, size } => {
                    let (file, size) = (spool.file().clone(), *size);
                    blocking(move || read_file(&file, size)).await?
                }
            };
            self.memory.store(digest, Content::Bytes(bytes)).await?;
        }
        let Some(disk) = self.disks.iter().find(|disk| size <= disk.limit()) else { return Ok(()) };
        disk.store(digest, content).await?;
        self.offer(disk, digest, size).await;
        if let Some(wanted) = self.expected.remove(digest) {
            disk.welcome(digest, &wanted);
        }
        self.mover.wake();
        Ok(())
    }

    /// Has a content uploaded; its file is held until that is done.
    async fn offer(&self, disk: &Disk, digest: &Digest, size: u64) {
        let Some(object) = self.object.clone() else { return };
        let (path, digest) = (disk.path(digest), *digest);
        let offering = blocking(move || {
            object.offer(&digest, &path, size);
            Ok(())
        });
        if let Err(error) = offering.await {
            tracing::warn!(%digest, %error, "a content could not be handed to the bucket");
        }
    }

    /// Gives up a tenth of what is on each disk: one is full although the tier is within its limit.
    pub async fn make_room(&self) {
        for disk in &self.disks {
            disk.make_room().await;
        }
    }

    /// The file has been hashed after it was found, and is what its digest says. One that has changed since it was found is not
    /// taken for verified.
    pub fn mark_verified(&self, digest: &Digest, found: &Found) {
        let Held::File { stamp, .. } = &found.bytes else { return };
        for disk in self.disks.iter().filter(|disk| disk.name() == found.tier) {
            disk.mark_verified(digest, *stamp);
        }
    }

    /// The bytes of a content on disk are wrong: they are taken away and kept aside.
    pub async fn quarantine(&self, digest: &Digest) {
        self.memory.remove(digest).await;
        for disk in &self.disks {
            if disk.contains(digest).await {
                self.quarantine_on(disk.clone(), digest).await;
            }
        }
    }

    async fn quarantine_on(&self, disk: Disk, digest: &Digest) {
        let digest = *digest;
        let taken = blocking(move || {
            disk.quarantine(&digest);
            Ok(())
        });
        if let Err(error) = taken.await {
            tracing::warn!(%digest, %error, "a damaged file could not be taken away");
        }
    }

    /// Only a superseded version used these: they leave first, and are demoted to a slower disk at once where there is one.
    pub async fn supersede(&self, digests: &[Digest]) {
        for digest in digests {
            self.memory.remove(digest).await;
            for (position, disk) in self.disks.iter().enumerate() {
                disk.supersede(digest);
                self.mover.demote(digest, position);
            }
        }
    }

    /// Forgets a content in the cache; what was pushed stays.
    pub async fn remove(&self, digest: &Digest) {
        self.memory.remove(digest).await;
        for disk in &self.disks {
            disk.remove(digest).await;
        }
    }

    /// Forgets a content wherever it is cached, in the bucket too; what was pushed stays.
    pub async fn forget_everywhere(&self, digest: &Digest) {
        self.remove(digest).await;
        if let Some(object) = &self.object {
            object.remove(digest).await;
        }
    }

    /// What memory holds.
    pub fn memory_usage(&self) -> Usage {
        self.memory.usage()
    }

    /// What each tier holds, by the tier's label.
    pub fn usage(&self) -> Vec<(Arc<str>, Usage)> {
        let memory = (self.memory_label.clone(), self.memory_usage());
        std::iter::once(memory).chain(self.disks.iter().map(|disk| (disk.label().clone(), disk.usage()))).collect()
    }
}

/// What was found; an error is logged.
fn readable(digest: &Digest, found: io::Result<Option<Found>>) -> Option<Found> {
    found.unwrap_or_else(|error| {
        tracing::warn!(%digest, %error, "a content cannot be looked up");
        None
    })
}

/// Reads the first `size` bytes of a file.
fn read_file(file: &std::fs::File, size: u64) -> io::Result<Bytes> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.into())
}

/// Runs file work away from the threads that serve clients.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests;
