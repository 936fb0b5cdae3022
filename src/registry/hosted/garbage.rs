//! Garbage collection: bytes that no hosted repository has any more are deleted, while everything else goes on.
//!
//! It is safe beside pushes because both claim the digest: a push from before the bytes get their name until a row names
//! them, the collector from its last look at the rows until the bytes are gone. It is safe beside pulls because an open file
//! outlives its name. It never touches the cache of proxied repositories, whose tiers look after themselves.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Hosted, INLINE, RegistryError, catalog_failed, claims::Claims, storage_failed};
use crate::{
    catalog::Catalog,
    oci::Digest,
    tiers::{ContentStore, Stored},
};

/// What garbage collection found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Contents that were looked at.
    pub examined: u64,
    /// What was deleted, or would have been.
    pub garbage: Vec<Garbage>,
    /// Contents that nobody has but that are too new to be deleted.
    pub in_grace: u64,
}

/// A content that no repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbage {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// How long ago it was written.
    pub age: Duration,
}

impl Collected {
    /// Bytes that were deleted, or would have been.
    pub fn bytes(&self) -> u64 {
        self.garbage.iter().map(|garbage| garbage.size).sum()
    }
}

impl Hosted {
    /// How new something has to be to be spared, as configured.
    pub fn grace(&self) -> Duration {
        self.shared.policy.load().gc_grace
    }

    /// Deletes the bytes that no repository has and that were written at least `grace` ago; with `dry_run`, only tells which.
    /// One collection at a time: a second one waits. The caller may leave; it goes on.
    ///
    /// # Errors
    /// When the store or the catalog cannot be read, or a file not be deleted. What was deleted before stays deleted.
    pub async fn collect(&self, grace: Duration, dry_run: bool) -> Result<Collected, RegistryError> {
        let shared = self.shared.clone();
        self.detached(async move {
            let _alone = shared.collecting.lock().await;
            let (catalog, content) = (shared.catalog.clone(), shared.tiers.hosted().clone());
            Collector { catalog, content, claims: &shared.claims, grace }.run(dry_run).await
        })
        .await
    }
}

/// Collects garbage where no server runs: nobody pushes.
///
/// # Errors
/// As [`Hosted::collect`].
pub async fn collect_garbage(
    catalog: Arc<Catalog>,
    content: ContentStore,
    grace: Duration,
    dry_run: bool,
) -> Result<Collected, RegistryError> {
    Collector { catalog, content, claims: &Claims::new(), grace }.run(dry_run).await
}

struct Collector<'a> {
    catalog: Arc<Catalog>,
    content: ContentStore,
    claims: &'a Claims,
    grace: Duration,
}

impl Collector<'_> {
    async fn run(&self, dry_run: bool) -> Result<Collected, RegistryError> {
        let mut found = self.find().await?;
        if !dry_run {
            let mut deleted = Vec::with_capacity(found.garbage.len());
            for garbage in found.garbage {
                let is_file = garbage.size > INLINE;
                if if is_file { self.delete(garbage.digest).await? } else { self.delete_inline(garbage.digest).await? } {
                    deleted.push(garbage);
                }
            }
            found.garbage = deleted;
        }
        Ok(found)
    }

    async fn find(&self) -> Result<Collected, RegistryError> {
        let (catalog, content, grace) = (self.catalog.clone(), self.content.clone(), self.grace);
        blocking(move || {
            let (mut collected, mut failed) = (Collected::default(), None);
            let mut look_at = |stored: Stored| {
                collected.examined += 1;
                match catalog.is_hosted(&stored.digest) {
                    Ok(true) => {}
                    Ok(false) => {
                        // What was written in the future, before the clock was set back, is new.
                        let age = stored.written.elapsed().unwrap_or_default();
                        if age >= grace {
                            collected.garbage.push(Garbage { digest: stored.digest, size: stored.size, age });
                        } else {
                            collected.in_grace += 1;
                        }
                    }
                    Err(error) => failed = Some(error),
                }
            };
            for (digest, size, written) in catalog.hosted_contents().map_err(catalog_failed)? {
                look_at(Stored { digest, size, written });
            }
            let visited = content.visit(look_at);
            match failed {
                Some(error) => Err(catalog_failed(error)),
                None => visited.map(|()| collected).map_err(|error| storage_failed("garbage collection", error)),
            }
        })
        .await
    }

    /// Deletes a content of the catalog, which spares what somebody has pushed meanwhile.
    async fn delete_inline(&self, digest: Digest) -> Result<bool, RegistryError> {
        let before = SystemTime::now().checked_sub(self.grace).unwrap_or(SystemTime::UNIX_EPOCH);
        self.catalog.drop_hosted_content(&digest, before).await.map_err(catalog_failed)
    }

    /// Deletes a file, unless somebody has pushed it meanwhile.
    async fn delete(&self, digest: Digest) -> Result<bool, RegistryError> {
        let _claim = self.claims.take(&digest).await;
        let (catalog, content, grace) = (self.catalog.clone(), self.content.clone(), self.grace);
        blocking(move || {
            let is_old = content.written(&digest).is_some_and(|written| written.elapsed().unwrap_or_default() >= grace);
            if !is_old || catalog.is_hosted(&digest).map_err(catalog_failed)? {
                return Ok(false);
            }
            content.remove(&digest).map(|()| true).map_err(|error| storage_failed("garbage collection", error))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(storage_failed("garbage collection", io::Error::other(error))))
}
