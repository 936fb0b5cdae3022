//! When a tag moves, what only the version before used becomes the first to leave.
//!
//! It stays for now: who goes back finds it. What is asked for again is worth as much as anything that is asked for.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
};

use super::lineage;
use crate::{
    catalog::{Catalog, CatalogError, TagKey},
    oci::{Digest, MediaType},
    tiers::Tiers,
};

/// Tags that wait for their new version at once; another one does not wait.
const WAITING: usize = 256;

/// How long the new version is waited for. Who pulls it takes seconds.
const PATIENCE: Duration = Duration::from_secs(600);

/// Finds what was superseded and tells the tiers, in the background. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Superseding {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    catalog: Arc<Catalog>,
    tiers: Arc<Tiers>,
    waiting: Semaphore,
    /// Rung when it has become known what another manifest names.
    taken_in: Notify,
}

/// How much is known of what a tag names now.
#[derive(Debug, PartialEq, Eq)]
enum Successor {
    /// Enough to tell what it shares with the old version.
    Known,
    /// Its manifest, or those of its platforms, are still to be fetched.
    Unknown,
    /// It is the old version again, or the tag is gone.
    None,
}

impl Superseding {
    /// Works on `handle`.
    pub(super) fn new(handle: Handle, catalog: Arc<Catalog>, tiers: Arc<Tiers>) -> Self {
        let (waiting, taken_in) = (Semaphore::new(WAITING), Notify::new());
        Self { shared: Arc::new(Shared { handle, catalog, tiers, waiting, taken_in }) }
    }

    /// A tag that named `old` names something else, which is `noted` when that ends.
    pub(super) fn tag_moved(
        &self,
        tag: TagKey,
        old: Digest,
        noted: impl Future<Output = Result<(), CatalogError>> + Send + 'static,
    ) {
        let shared = self.shared.clone();
        self.shared.handle.spawn(async move {
            let outcome = async {
                noted.await?;
                if shared.has_successor(&tag, old).await? { shared.supersede(old).await } else { Ok(0) }
            };
            match outcome.await {
                Ok(0) => {}
                Ok(contents) => tracing::info!(repository = %tag.repository.name, tag = %tag.tag, %old, contents, "superseded"),
                Err(error) => tracing::warn!(%old, %error, "what a tag does not name any more cannot be found"),
            }
        });
    }

    /// What a manifest names is known when `noted` ends.
    pub(super) fn taken_in(&self, noted: impl Future<Output = Result<(), CatalogError>> + Send + 'static) {
        if self.shared.waiting.available_permits() == WAITING {
            return;
        }
        let shared = self.shared.clone();
        self.shared.handle.spawn(async move {
            // A failure has been logged, and who waits runs out of patience.
            let _ = noted.await;
            shared.taken_in.notify_waiters();
        });
    }
}

impl Shared {
    /// Waits until it is known what the new version names: who asked by HEAD has not fetched it yet, and of an index the
    /// manifests of its platforms come one by one. Without them, all that both versions share would count as superseded.
    async fn has_successor(&self, tag: &TagKey, old: Digest) -> Result<bool, CatalogError> {
        let Ok(_place) = self.waiting.try_acquire() else { return Ok(true) };
        let begin = Instant::now();
        // Whoever handed rows over before the place was taken rings for nobody; whoever does it later rings.
        self.catalog.settle().await?;
        loop {
            let mut taken_in = std::pin::pin!(self.taken_in.notified());
            taken_in.as_mut().enable();
            let (catalog, tag) = (self.catalog.clone(), tag.clone());
            match blocking(move || successor(&catalog, &tag, &old)).await? {
                Successor::Known => return Ok(true),
                Successor::None => return Ok(false),
                Successor::Unknown => {}
            }
            if tokio::time::timeout(PATIENCE.saturating_sub(begin.elapsed()), taken_in).await.is_err() {
                return Ok(true);
            }
        }
    }

    async fn supersede(&self, old: Digest) -> Result<usize, CatalogError> {
        let catalog = self.catalog.clone();
        let superseded = blocking(move || lineage::needed_by_no_tag(&catalog, &old)).await?;
        if !superseded.is_empty() {
            self.tiers.supersede(&superseded).await;
        }
        Ok(superseded.len())
    }
}

/// Of an index, as many platforms have to be known as were of the old version: nobody fetches them all.
fn successor(catalog: &Catalog, tag: &TagKey, old: &Digest) -> Result<Successor, CatalogError> {
    let Some(row) = catalog.tag(tag)?.filter(|row| row.digest != *old) else { return Ok(Successor::None) };
    let Some(named) = catalog.named_by(&row.digest)? else { return Ok(Successor::Unknown) };
    let is_index = [MediaType::OCI_INDEX, MediaType::DOCKER_LIST].contains(&row.media_type.as_str());
    let known = |named: Vec<Digest>| -> Result<usize, CatalogError> {
        let mut known = 0;
        for manifest in named {
            known += usize::from(catalog.named_by(&manifest)?.is_some());
        }
        Ok(known)
    };
    if is_index && known(named)? < known(catalog.named_by(old)?.unwrap_or_default())? {
        return Ok(Successor::Unknown);
    }
    Ok(Successor::Known)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static) -> Result<T, CatalogError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(CatalogError::Writer(Arc::new(std::io::Error::other(error)))))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        catalog::{Repository, TagRow},
        oci::Algorithm,
    };

    fn digest(n: u32) -> Digest {
        Digest::of(Algorithm::Sha256, &n.to_be_bytes())
    }

    #[tokio::test]
    async fn a_version_is_known_when_its_platforms_are() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.redb")).unwrap();
        let repository = Repository { route: "docker.io".into(), name: "library/a".parse().unwrap() };
        let tag = TagKey { repository, tag: "1".parse().unwrap() };
        let names = async |n: u32, media_type: &str| {
            let (media_type, confirmed) = (media_type.parse().unwrap(), SystemTime::now());
            catalog.put_tag(&tag, TagRow { digest: digest(n), media_type, size: 1, confirmed }).await.unwrap();
        };
        let takes_in = async |n: u32, named: &[u32]| {
            catalog.put_uses(&digest(n), named.iter().map(|&n| digest(n)).collect()).await.unwrap();
        };
        let successor = || successor(&catalog, &tag, &digest(1)).unwrap();
        assert_eq!(successor(), Successor::None, "no tag");
        // Of the old version, one platform of two was pulled.
        takes_in(1, &[10, 11]).await;
        takes_in(10, &[100]).await;
        names(1, MediaType::OCI_INDEX).await;
        assert_eq!(successor(), Successor::None, "it names the old version");
        names(2, MediaType::OCI_INDEX).await;
        assert_eq!(successor(), Successor::Unknown, "only a HEAD was asked");
        takes_in(2, &[20, 21, 22]).await;
        assert_eq!(successor(), Successor::Unknown, "no platform yet");
        takes_in(21, &[100]).await;
        assert_eq!(successor(), Successor::Known);
        // A single image follows an index.
        names(3, MediaType::OCI_MANIFEST).await;
        assert_eq!(successor(), Successor::Unknown);
        takes_in(3, &[100]).await;
        assert_eq!(successor(), Successor::Known);
    }
}
