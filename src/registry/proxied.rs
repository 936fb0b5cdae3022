//! Repositories that mirror an upstream: what a pull, a tag list and a referrers list mean there.
//!
//! The rule of links: bytes are stored once per digest and carry no rights. A content is read in a repository only after a
//! link says that the upstream has it there; without one, the upstream is asked, whether the bytes are here or not.
//!
//! Whatever needs the upstream runs on a runtime of its own, so that a client that leaves cancels nothing.

mod blobs;
mod heal;
mod ledger;
mod lineage;
mod lists;
mod manifests;
mod negative;
mod purge;
mod purges;
mod rules;
mod shared_records;
mod superseding;
mod tags;
mod warming;

pub(super) use purge::{What, Which, at_rest};

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use moka::sync::Cache;
use tokio::runtime::Handle;

use super::{Blob, BlobLocation, Listing, Looked, ManifestInfo, RegistryError, RegistryErrorKind, observer::Observer};
use crate::{
    catalog::{Catalog, Link, Repository, TagKey},
    coalesce::Coalesce,
    config::{self, Config},
    fill::Fills,
    oci::Digest,
    telemetry::Metrics,
    tiers::Tiers,
    upstream::Target,
};
use ledger::Links;
use lists::Lists;
use manifests::Stored;
use negative::Negative;
use purges::Purges;
use rules::Rules;
use shared_records::SharedRecords;
use superseding::Superseding;
use tags::Resolved;

/// All repositories that mirror an upstream. Cheap to clone; clones are the same repositories.
#[derive(Debug, Clone)]
pub(super) struct Proxied {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    policy: ArcSwap<config::Cache>,
    rules: ArcSwap<Rules>,
    catalog: Arc<Catalog>,
    tiers: Arc<Tiers>,
    fills: Fills,
    negative: Negative,
    lists: Lists,
    blob_questions: Coalesce<(Repository, Digest), Result<Option<u64>, RegistryError>>,
    manifest_fetches: Coalesce<(Repository, Digest), Result<Stored, RegistryError>>,
    tag_questions: Coalesce<TagKey, Result<Resolved, RegistryError>>,
    /// Tags whose question has been found slow: who has something stale does not wait for it again.
    slow_tags: Cache<TagKey, ()>,
    superseding: Superseding,
    purges: Purges,
    records: Arc<SharedRecords>,
    observer: Observer,
}

impl Proxied {
    /// Work that outlives a request runs on `handle`.
    pub(super) fn new(
        handle: Handle,
        config: &Config,
        catalog: Arc<Catalog>,
        tiers: Arc<Tiers>,
        metrics: Arc<Metrics>,
        observer: Observer,
    ) -> Self {
        let records = Arc::new(SharedRecords::new(handle.clone(), tiers.clone()));
        let ledger = Arc::new(Links::new(handle.clone(), catalog.clone(), records.clone(), observer.clone()));
        let fills = Fills::new(handle.clone(), tiers.clone(), metrics, ledger, config.cache.max_fills);
        let superseding = Superseding::new(handle.clone(), catalog.clone(), tiers.clone());
        let shared = Shared {
            handle: handle.clone(),
            policy: ArcSwap::from_pointee(config.cache.clone()),
            rules: ArcSwap::from_pointee(Rules::new(config)),
            catalog,
            tiers,
            fills,
            negative: Negative::new(),
            lists: Lists::new(handle.clone()),
            blob_questions: Coalesce::new(handle.clone()),
            manifest_fetches: Coalesce::new(handle.clone()),
            tag_questions: Coalesce::new(handle),
            slow_tags: Cache::new(10_000),
            superseding,
            purges: Purges::new(),
            records,
            observer,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The rows that say who may read what.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.clone()
    }

    /// Whether a transfer of a content is under way.
    pub(super) fn is_under_way(&self, digest: &Digest) -> bool {
        self.shared.fills.is_under_way(digest)
    }

    /// Takes over a new policy. Requests under way end with the old one.
    pub(super) fn reconfigure(&self, config: &Config) {
        self.shared.policy.store(Arc::new(config.cache.clone()));
        self.shared.rules.store(Arc::new(Rules::new(config)));
    }
}

impl Proxied {
    /// After what time without a request a content of a repository may leave the cache.
    pub(super) fn unused_ttl(&self, target: &Target) -> Option<Duration> {
        self.shared.rules.load().unused_ttl(&repository(target))
    }
}

impl Shared {
    /// The link of a content; a catalog that cannot be read counts as one without it, so that the upstream decides.
    fn link(&self, repository: &Repository, digest: &Digest) -> Option<Link> {
        self.catalog.link(repository, digest).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read a link");
            None
        })
    }

    /// Makes a link that the upstream has given leave for, and tells other edges. Nobody waits until it is durable: a link that a
    /// crash takes away is asked for again.
    fn put_link(&self, repository: &Repository, digest: &Digest, link: Link) {
        self.records.put_link(repository, digest, &link);
        drop(self.catalog.put_link(repository, digest, link));
    }
}

impl Shared {
    /// The link of a content as another edge has told it, where there is none here; it is this edge's too from now on.
    async fn adopt_link(&self, repository: &Repository, digest: &Digest) -> Option<Link> {
        let asked = self.purges.now();
        let link = self.records.link(repository, digest).await?;
        self.purges.record(asked, || drop(self.catalog.put_link(repository, digest, link.clone())));
        Some(link)
    }
}

/// The key under which everything about a target is kept.
fn repository(target: &Target) -> Repository {
    Repository { route: target.route.name.clone(), name: target.repository.clone() }
}
