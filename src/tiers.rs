//! Where bytes live, and how they exist there.
//!
//! Bytes are stored once per digest and carry no rights: whoever asks a tier has to have checked the link before.
//! [`Tiers`] is the ordered set: memory, then disk. Each [`Tier`] keeps within its own byte limit. What was pushed lies apart,
//! in the [`ContentStore`]: it is no cache.

mod body;
mod collector;
mod content_store;
mod disk;
mod eviction;
mod memory;
mod spool;
mod staging;

pub use body::{Body, Piece};
pub use collector::UsageCollector;
pub use content_store::{ContentStore, Stored};
pub use disk::Disk;
pub use memory::Memory;
pub use spool::Spool;
pub use staging::{Staged, Staging};

use std::{fmt::Debug, io, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{
    oci::{ByteRange, Digest},
    telemetry::TierName,
};

/// A place for content, addressed by digest.
///
/// # Contract
/// - Nothing is visible before [`Tier::store`] has returned `Ok`; a call that failed or was cancelled never happened.
/// - What is stored has been verified by the caller; a lookup never returns anything else than was stored, or an error.
/// - A tier never holds more than its limit for longer than one call; what it gives up to stay within is its own choice.
///   A [`Found`] that was handed out stays readable after the entry is gone.
pub trait Tier: Debug + Send + Sync {
    /// Which tier this is.
    fn name(&self) -> TierName;

    /// Looks a content up and notes that it was wanted.
    fn lookup<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, io::Result<Option<Found>>>;

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

/// A content that a tier has.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it was.
    pub tier: TierName,
    /// Its length in bytes.
    pub size: u64,
    bytes: Held,
}

#[derive(Debug, Clone)]
enum Held {
    Memory(Bytes),
    File(Arc<std::fs::File>),
}

impl Found {
    fn in_memory(bytes: Bytes) -> Self {
        Self { tier: TierName::Memory, size: bytes.len() as u64, bytes: Held::Memory(bytes) }
    }

    fn in_file(tier: TierName, file: Arc<std::fs::File>, size: u64) -> Self {
        Self { tier, size, bytes: Held::File(file) }
    }

    /// The bytes: all, or a part that lies inside of `size`.
    pub fn into_body(self, range: Option<ByteRange>) -> Body {
        let range = range.unwrap_or(ByteRange { start: 0, end: self.size });
        match self.bytes {
            Held::Memory(bytes) => Body::Bytes(bytes.slice(range.start as usize..range.end as usize)),
            Held::File(file) => Body::File { file, range },
        }
    }

    /// Reads everything into memory; for content that is known to be small.
    ///
    /// # Errors
    /// When the file cannot be read or is shorter than it was.
    pub async fn read(self) -> io::Result<Bytes> {
        match self.bytes {
            Held::Memory(bytes) => Ok(bytes),
            Held::File(file) => blocking(move || read_file(&file, self.size)).await,
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

/// The tiers of one server, fastest first.
#[derive(Debug)]
pub struct Tiers {
    memory: Memory,
    disk: Disk,
    hosted: ContentStore,
}

impl Tiers {
    /// Puts the tiers together.
    pub fn new(memory: Memory, disk: Disk, hosted: ContentStore) -> Self {
        Self { memory, disk, hosted }
    }

    /// What was pushed.
    pub const fn hosted(&self) -> &ContentStore {
        &self.hosted
    }

    /// Looks a content up in the cache, in the fastest tier first. A small content found on disk is verified and taken into
    /// memory; one that does not verify is removed and counts as absent. An I/O error counts as absent too: a pull never fails
    /// because a cache did.
    pub async fn lookup(&self, digest: &Digest) -> Option<Found> {
        if let Ok(Some(found)) = self.memory.lookup(digest).await {
            self.disk.touch(digest);
            return Some(found);
        }
        let found = readable(digest, self.disk.lookup(digest).await)?;
        if self.promote(digest, &found).await {
            return Some(found);
        }
        self.disk.remove(digest).await;
        None
    }

    /// Looks a content up that was pushed, in memory first. One that cannot be read, or is small and does not verify, counts as
    /// absent, and stays.
    pub async fn lookup_hosted(&self, digest: &Digest) -> Option<Found> {
        if let Ok(Some(found)) = self.memory.lookup(digest).await {
            return Some(found);
        }
        let found = readable(digest, self.hosted.lookup(digest).await)?;
        if self.promote(digest, &found).await { Some(found) } else { None }
    }

    /// Looks a content up in memory only.
    pub async fn lookup_memory(&self, digest: &Digest) -> Option<Found> {
        readable(digest, self.memory.lookup(digest).await)
    }

    /// Takes a verified content into memory, if it is small enough for that, and gives it back as one that was found.
    pub async fn remember(&self, digest: &Digest, bytes: Bytes) -> Found {
        // Memory cannot fail to take what it wants.
        let _ = self.memory.store(digest, Content::Bytes(bytes.clone())).await;
        Found::in_memory(bytes)
    }

    /// Takes a small content into memory. False when it is not what its digest says.
    async fn promote(&self, digest: &Digest, found: &Found) -> bool {
        if !self.memory.wants(found.size) {
            return true;
        }
        let verified = async {
            let bytes = found.clone().read().await?;
            if Digest::of(digest.algorithm(), &bytes) != *digest {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the content does not match its digest"));
            }
            self.memory.store(digest, Content::Bytes(bytes)).await
        };
        verified
            .await
            .inspect_err(|error| tracing::warn!(%digest, tier = found.tier.as_str(), %error, "a file is damaged"))
            .is_ok()
    }

    /// Whether a content is cached, without noting that it was wanted.
    pub async fn contains(&self, digest: &Digest) -> bool {
        self.memory.contains(digest) || self.disk.contains(digest).await
    }

    /// Opens a spool: a file that [`Tiers::store`] can take over without copying.
    ///
    /// # Errors
    /// When the file cannot be made, as on a full disk.
    pub async fn spool(&self) -> io::Result<Spool> {
        self.disk.spool().await
    }

    /// Takes a verified content: on disk, and in memory when it is small.
    ///
    /// # Errors
    /// When the disk tier cannot take it. Memory may hold it all the same.
    pub async fn store(&self, digest: &Digest, content: Content) -> io::Result<()> {
        match content {
            Content::Bytes(bytes) => {
                self.memory.store(digest, Content::Bytes(bytes.clone())).await?;
                self.disk.store(digest, Content::Bytes(bytes)).await
            }
            Content::Spool { spool, size } => {
                if self.memory.wants(size) {
                    let file = spool.file().clone();
                    let bytes = blocking(move || read_file(&file, size)).await?;
                    self.memory.store(digest, Content::Bytes(bytes)).await?;
                }
                self.disk.store(digest, Content::Spool { spool, size }).await
            }
        }
    }

    /// Gives up a tenth of what is on disk: the disk is full although the tier is within its limit.
    pub async fn make_room(&self) {
        self.disk.make_room().await;
    }

    /// Forgets a content in the cache; what was pushed stays.
    pub async fn remove(&self, digest: &Digest) {
        self.memory.remove(digest).await;
        self.disk.remove(digest).await;
    }

    /// What each tier holds.
    pub fn usage(&self) -> [(TierName, Usage); 2] {
        [(self.memory.name(), self.memory.usage()), (self.disk.name(), self.disk.usage())]
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
