//! The orchestrator: what pulls, pushes, lists and deletions mean.
//!
//! A repository is either *proxied*, a mirror of an upstream, or *hosted*: it lives here, and is pushed to. The two share
//! nothing but bytes, which carry no rights, so that neither can stand in for the other.

mod answers;
mod error;
mod hosted;
mod proxied;

pub use answers::{Blob, Listing, ManifestInfo, Pushed};
pub use error::{RegistryError, RegistryErrorKind};
pub use hosted::{Chunk, Collected, Garbage, Hosted, Owner, Progress, UploadId, Writing, collect_garbage};

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::{
    catalog::Catalog,
    config::Config,
    oci::{Digest, Reference},
    telemetry::{CacheStatus, Metrics},
    tiers::{Staging, Tiers},
    upstream::{Destination, Routes},
};
use proxied::Proxied;

/// All repositories of one server.
#[derive(Debug)]
pub struct Registry {
    routes: ArcSwap<Routes>,
    proxied: Proxied,
    hosted: Hosted,
}

impl Registry {
    /// Puts a registry together, and completes what a crash has interrupted. Work that outlives a request runs on `handle`.
    ///
    /// # Errors
    /// When the uploads of earlier runs cannot be read or completed.
    pub async fn open(
        handle: Handle,
        routes: Routes,
        config: &Config,
        catalog: Arc<Catalog>,
        tiers: Arc<Tiers>,
        staging: Staging,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let hosted = Hosted::open(handle.clone(), config.hosted.clone(), catalog.clone(), tiers.clone(), staging).await?;
        let proxied = Proxied::new(handle, config.cache.clone(), catalog, tiers, metrics);
        Ok(Self { routes: ArcSwap::from_pointee(routes), proxied, hosted })
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
        self.routes.store(Arc::new(routes));
        self.proxied.reconfigure(config.cache.clone());
        self.hosted.reconfigure(config.hosted.clone());
    }

    /// Opens a blob. Returns as soon as it is known that the bytes will come; for small ones of an upstream
    /// ([`crate::fill::VERIFY_FIRST`]) only once they are verified. Dropping the future or the blob harms nobody else.
    ///
    /// # Errors
    /// `BlobUnknown` when the repository has no such blob; what the upstream failed with otherwise.
    pub async fn blob(&self, at: &Destination, digest: &Digest) -> Result<Blob, RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.blob(target, digest).await,
            Destination::Hosted(name) => self.hosted.blob(name, digest).await,
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
    pub async fn manifest(&self, at: &Destination, reference: &Reference) -> Result<(ManifestInfo, Bytes), RegistryError> {
        match at {
            Destination::Proxied(target) => self.proxied.manifest(target, reference).await,
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
