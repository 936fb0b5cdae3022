//! Repositories that live here: what pulls, pushes and deletions mean there.
//!
//! A push is acknowledged when bytes, name and row are durable, in that order: a crash in between leaves bytes that nobody
//! may read, which garbage collection deletes. What a repository has is in the catalog alone; the store of bytes is asked
//! only after the catalog.
//!
//! What changes something runs on a runtime of its own, so that a client that leaves cancels nothing half-way.

mod accounts;
mod blobs;
mod claims;
mod garbage;
mod lists;
mod manifests;
mod telling;
mod upload;
mod uploads;
mod writeback;
mod writing;

pub use garbage::{Collected, Garbage, collect_garbage};
pub use upload::{Chunk, Owner, Progress, UploadId};
pub use writing::Writing;

use std::{
    io,
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use super::{Blob, Listing, ManifestInfo, Pushed, RegistryError, RegistryErrorKind, observer::Observer};
use crate::{
    catalog::{Catalog, CatalogError},
    config,
    oci::Digest,
    tiers::{Found, Staging, Tiers},
};
use claims::Claims;
use uploads::Uploads;

/// All hosted repositories. Cheap to clone; clones are the same repositories.
#[derive(Debug, Clone)]
pub struct Hosted {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    policy: ArcSwap<config::Hosted>,
    catalog: Arc<Catalog>,
    tiers: Arc<Tiers>,
    uploads: Uploads,
    claims: Claims,
    observer: Observer,
    collecting: tokio::sync::Mutex<()>,
}

/// A content up to this size is kept in the catalog, with its row: many small pushes at once then wait for one and the same
/// commit, and for nothing else. Larger ones are files, which cost the catalog nothing and are sent without being read.
const INLINE: u64 = 16 << 10;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_secs(1);

impl Hosted {
    pub(super) async fn open(
        handle: Handle,
        policy: config::Hosted,
        catalog: Arc<Catalog>,
        tiers: Arc<Tiers>,
        staging: Staging,
        observer: Observer,
    ) -> io::Result<Self> {
        let (uploads, landed) = Uploads::open(staging)?;
        let shared = Arc::new(Shared {
            handle: handle.clone(),
            policy: ArcSwap::from_pointee(policy),
            catalog,
            tiers,
            uploads,
            claims: Claims::new(),
            observer,
            collecting: tokio::sync::Mutex::new(()),
        });
        handle.spawn(upkeep(Arc::downgrade(&shared)));
        let hosted = Self { shared };
        hosted.recover(landed).await.map_err(io::Error::other)?;
        Ok(hosted)
    }

    pub(super) fn reconfigure(&self, policy: config::Hosted) {
        self.shared.policy.store(Arc::new(policy));
    }

    /// The bytes of a content that a row says is here.
    async fn content(&self, digest: &Digest, size: u64) -> Result<Found, RegistryError> {
        let found = if size > INLINE {
            self.shared.tiers.lookup_hosted(digest).await
        } else if let Some(found) = self.shared.tiers.lookup_memory(digest).await {
            Some(found)
        } else {
            match self.shared.catalog.hosted_content(digest).map_err(catalog_failed)? {
                Some(bytes) if Digest::of(digest.algorithm(), &bytes) == *digest => {
                    Some(self.shared.tiers.remember(digest, bytes).await)
                }
                _ => None,
            }
        };
        let found = found.filter(|found| found.size == size);
        found.ok_or_else(|| RegistryError::internal("a content", format_args!("the bytes of {digest} are gone or damaged")))
    }

    /// Runs `work` to its end, whether its caller stays or leaves.
    async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, RegistryError>> + Send + 'static,
    ) -> Result<T, RegistryError> {
        self.shared.handle.spawn(work).await.map_err(|error| RegistryError::internal("a change", error))?
    }
}

/// Gives up uploads whose time is over, and collects garbage when that is due, for as long as the repositories exist.
async fn upkeep(shared: Weak<Shared>) {
    let mut since_collection = Duration::ZERO;
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shared) = shared.upgrade() else { return };
        let policy = shared.policy.load_full();
        shared.uploads.expire(policy.upload_ttl).await;
        since_collection += TICK;
        if policy.gc_interval > Duration::ZERO && since_collection >= policy.gc_interval {
            since_collection = Duration::ZERO;
            match (Hosted { shared }).collect(policy.gc_grace, false).await {
                Ok(collected) if collected.garbage.is_empty() => {}
                Ok(collected) => {
                    tracing::info!(deleted = collected.garbage.len(), bytes = collected.bytes(), "garbage is collected")
                }
                Err(error) => tracing::warn!(%error, "garbage could not be collected"),
            }
        }
    }
}

/// A failure of this server to keep something: the disk may be full.
fn storage_failed(doing: &str, error: io::Error) -> RegistryError {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        tracing::error!(%error, doing, "the disk is full");
        return RegistryError::new(RegistryErrorKind::StorageFull, "the registry's disk is full; nothing of this was kept");
    }
    RegistryError::internal(doing, error)
}

fn catalog_failed(error: CatalogError) -> RegistryError {
    if error.is_full_disk() {
        return storage_failed("the catalog", io::ErrorKind::StorageFull.into());
    }
    RegistryError::internal("the catalog", error)
}
