//! Repositories that mirror an upstream: what a pull, a tag list and a referrers list mean there.
//!
//! The rule of links: bytes are stored once per digest and carry no rights. A content is read in a repository only after a
//! link says that the upstream has it there; without one, the upstream is asked, whether the bytes are here or not.
//!
//! Whatever needs the upstream runs on a runtime of its own, so that a client that leaves cancels nothing.

mod blobs;
mod ledger;
mod lists;
mod manifests;
mod negative;
mod tags;

use std::sync::Arc;

use arc_swap::ArcSwap;
use moka::sync::Cache;
use tokio::runtime::Handle;

use super::{Blob, Listing, ManifestInfo, RegistryError, RegistryErrorKind};
use crate::{
    catalog::{Catalog, Link, Repository, TagKey},
    coalesce::Coalesce,
    config,
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
use tags::Resolved;

/// All repositories that mirror an upstream. Cheap to clone; clones are the same repositories.
#[derive(Debug, Clone)]
pub(super) struct Proxied {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: ArcSwap<config::Cache>,
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
}

impl Proxied {
    /// Work that outlives a request runs on `handle`.
    pub(super) fn new(
        handle: Handle,
        policy: config::Cache,
        catalog: Arc<Catalog>,
        tiers: Arc<Tiers>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let ledger = Arc::new(Links::new(catalog.clone()));
        let fills = Fills::new(handle.clone(), tiers.clone(), metrics, ledger, policy.max_fills);
        let shared = Shared {
            policy: ArcSwap::from_pointee(policy),
            catalog,
            tiers,
            fills,
            negative: Negative::new(),
            lists: Lists::new(handle.clone()),
            blob_questions: Coalesce::new(handle.clone()),
            manifest_fetches: Coalesce::new(handle.clone()),
            tag_questions: Coalesce::new(handle),
            slow_tags: Cache::new(10_000),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes over a new policy. Requests under way end with the old one.
    pub(super) fn reconfigure(&self, policy: config::Cache) {
        self.shared.policy.store(Arc::new(policy));
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

    /// Makes a link. Nobody waits until it is durable: a link that a crash takes away is asked for again.
    fn put_link(&self, repository: &Repository, digest: &Digest, link: Link) {
        drop(self.catalog.put_link(repository, digest, link));
    }
}

/// The key under which everything about a target is kept.
fn repository(target: &Target) -> Repository {
    Repository { route: target.route.name.clone(), name: target.repository.clone() }
}
