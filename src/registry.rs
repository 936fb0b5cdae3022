//! The orchestrator: what pulls, pushes, lists and deletions mean.
//!
//! A repository is either *proxied*, a mirror of an upstream, or *hosted*: it lives here, and is pushed to. The two share
//! nothing but bytes, which carry no rights, so that neither can stand in for the other.

mod answers;
mod courier;
mod error;
mod healing;
mod hosted;
mod observer;
mod proxied;
mod purge;
mod readers;
mod recall;
mod warming;
mod watching;

pub use answers::{Blob, BlobLocation, Listing, ManifestInfo, Pushed};
pub use courier::{Courier, CourierMetrics, Recipient};
pub use error::{RegistryError, RegistryErrorKind};
pub use hosted::{Chunk, Collected, Garbage, Hosted, Owner, Progress, UploadId, Writing, collect_garbage};
pub use purge::{BytesFate, InvalidSelection, Purged, PurgedEntry, PurgedKind, Selection, purge};
pub use recall::{Fact, Learner, Recalled};
pub use warming::{Warmed, Wish};
pub use watching::Looked;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::{
    catalog::Catalog,
    config::{self, Config},
    customers::{Customer, Customers},
    events::Bus,
    oci::{Digest, Reference},
    telemetry::{CacheStatus, Metrics},
    tiers::{Staging, Tiers, Wanted},
    upstream::{Destination, Routes, Target},
};
use healing::Healing;
use observer::Observer;
use proxied::Proxied;

/// What is durable.
#[derive(Debug)]
pub struct Storage {
    /// The rows.
    pub catalog: Arc<Catalog>,
    /// The bytes.
    pub tiers: Arc<Tiers>,
    /// Pushes under way.
    pub staging: Staging,
}

/// All repositories of one server.
#[derive(Debug)]
pub struct Registry {
    routes: ArcSwap<Routes>,
    proxied: Proxied,
    hosted: Hosted,
    healing: Healing,
    customers: ArcSwap<Customers>,
    redirect: ArcSwap<config::Redirect>,
    observer: Observer,
    tiers: Arc<Tiers>,
}

impl Registry {
    /// Puts a registry together, and completes what a crash has interrupted. Work that outlives a request runs on `handle`; what
    /// becomes known is told on `bus`.
    ///
    /// # Errors
    /// When the uploads of earlier runs cannot be read or completed.
    pub async fn open(
        handle: Handle,
        routes: Routes,
        config: &Config,
        storage: Storage,
        metrics: Arc<Metrics>,
        bus: Arc<dyn Bus>,
    ) -> std::io::Result<Self> {
        let Storage { catalog, tiers, staging } = storage;
        let observer = Observer::new(bus, handle.clone(), tiers.clone(), &routes);
        let (policy, told) = (config.hosted.clone(), observer.clone());
        let hosted = Hosted::open(handle.clone(), policy, catalog.clone(), tiers.clone(), staging, told).await?;
        let healing = Healing::new(handle.clone());
        let proxied = Proxied::new(handle, config, catalog, tiers.clone(), metrics, observer.clone());
        let customers = ArcSwap::from_pointee(Customers::new(&config.customer));
        let redirect = ArcSwap::from_pointee(config.redirect.clone());
        Ok(Self { routes: ArcSwap::from_pointee(routes), proxied, hosted, healing, customers, redirect, observer, tiers })
    }

    /// Where requests lead, as of now.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// What can be pushed to.
    pub const fn hosted(&self) -> &Hosted {
        &self.hosted
    }

    /// Takes over new routes and new policies. Requests under way end with the old ones.
    pub fn reconfigure(&self, routes: Routes, config: &Config) {
        self.observer.reconfigure(&routes);
        self.routes.store(Arc::new(routes));
        self.proxied.reconfigure(config);
        self.hosted.reconfigure(config.hosted.clone());
        self.customers.store(Arc::new(Customers::new(&config.customer)));
        self.redirect.store(Arc::new(config.redirect.clone()));
    }

    /// Which clients may be sent elsewhere, as of now.
    pub fn redirect(&self) -> Arc<config::Redirect> {
        self.redirect.load_full()
    }

    /// Has contents that were found damaged fetched again for repositories that mirror an upstream and may read them: two at once,
    /// from the bucket that edges share or from the upstream. Returns at once; what nobody may read is left alone.
    pub fn heal(&self, digests: Vec<Digest>) {
        self.healing.request(digests, &self.proxied, self.routes());
    }

    /// A request as the tiers see it.
    fn wanted(&self, target: &Target, customer: &Customer) -> Wanted {
        let weight = self.customers.load().weight(customer);
        Wanted { weight, customer: customer.shared_name().cloned(), unused_ttl: self.proxied.unused_ttl(target) }
    }

    /// Forgets what is selected of the repositories that mirror an upstream, and removes the bytes that no other repository
    /// has; with `dry_run`, only tells what would be. The next pull asks the upstream anew. The caller may leave; it goes on.
    ///
    /// When this returns, none of the rows that were selected is there, and none comes back because of what the upstream said
    /// before: of tags, manifests and leaves, a question that was asked before the purge is not written down after it; of a
    /// transfer, an answer that came before is not. What the upstream says later counts, as for any pull. A transfer that is
    /// under way goes on for its readers, and for who joins them in the same repository; its link is not made again, and
    /// without one nobody reads its bytes once it has ended, unless the upstream gives its leave.
    ///
    /// # Errors
    /// `Unsupported` when the selection names no upstream that is configured, or a hosted repository, or too much at once;
    /// `Internal` when the catalog cannot be read or written, after which a part may be forgotten.
    pub async fn purge(&self, selection: &Selection, dry_run: bool) -> Result<Purged, RegistryError> {
        let what = selection.meant(&self.routes())?;
        self.proxied.purge(what, dry_run).await
    }

    /// Opens a blob. Returns as soon as it is known that the bytes will come; for small ones of an upstream
    /// ([`crate::fill::VERIFY_FIRST`]) only once they are verified. Dropping the future or the blob harms nobody else.
    ///
    /// # Errors
    /// `BlobUnknown` when the repository has no such blob; what the upstream failed with otherwise.
    pub async fn blob(&self, at: &Destination, digest: &Digest, customer: &Customer) -> Result<Blob, RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.blob(target, digest, &self.wanted(target, customer)).await,
            Destination::Hosted(name) => self.hosted.blob(name, digest).await,
        }
    }

    /// Where else a blob of `least` bytes or more can be read, if it may be read here: the repository has a link to it, as
    /// [`Self::blob`] demands, and its length has been verified. `None` when it may not, when it is in no object store, and for
    /// hosted repositories. Asks no upstream.
    pub async fn blob_location(&self, at: &Destination, digest: &Digest, least: u64) -> Option<BlobLocation> {
        match at {
            Destination::Proxied(target) => self.proxied.blob_location(target, digest, least).await,
            Destination::Hosted(_) => None,
        }
    }

    /// The size of a blob, if it is known, and how it was found; never transfers it.
    ///
    /// # Errors
    /// As [`Self::blob`].
    pub async fn blob_head(&self, at: &Destination, digest: &Digest) -> Result<(Option<u64>, CacheStatus), RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.blob_head(target, digest).await,
            Destination::Hosted(name) => self.hosted.blob_head(name, digest),
        }
    }

    /// A manifest and its exact bytes, verified.
    ///
    /// # Errors
    /// `ManifestUnknown` when the repository has no such manifest; what the upstream failed with, when nothing stale helps.
    pub async fn manifest(
        &self,
        at: &Destination,
        reference: &Reference,
        customer: &Customer,
    ) -> Result<(ManifestInfo, Bytes), RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.manifest(target, reference, &self.wanted(target, customer)).await,
            Destination::Hosted(name) => self.hosted.manifest(name, reference).await,
        }
    }

    /// What a reference names. Agrees with [`Self::manifest`] for as long as a tag is fresh.
    ///
    /// # Errors
    /// As [`Self::manifest`].
    pub async fn manifest_head(&self, at: &Destination, reference: &Reference) -> Result<ManifestInfo, RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.manifest_head(target, reference).await,
            Destination::Hosted(name) => self.hosted.manifest_head(name, reference),
        }
    }

    /// All tags of a repository, in byte order.
    ///
    /// # Errors
    /// `NameUnknown` when there is no such repository; what the upstream failed with, when nothing stale helps.
    pub async fn tags(&self, at: &Destination) -> Result<Listing<String>, RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.tags(target).await,
            Destination::Hosted(name) => self.hosted.tags(name),
        }
    }

    /// All descriptors that refer to `subject`; empty when there are none or the repository is unknown.
    ///
    /// # Errors
    /// What the upstream failed with, when nothing stale helps.
    pub async fn referrers(&self, at: &Destination, subject: &Digest) -> Result<Listing<Value>, RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.referrers(target, subject).await,
            Destination::Hosted(name) => self.hosted.referrers(name, subject),
        }
    }
}
