//! The orchestrator: what a pull, a tag list and a referrers list mean for a repository.

mod error;

pub use error::{RegistryError, RegistryErrorKind};

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    oci::{ByteRange, Digest, MediaType, Reference},
    telemetry::CacheStatus,
    tiers::Body,
    upstream::{Routes, Target},
};

/// A registry in front of upstreams.
#[derive(Debug)]
pub struct Registry {}

/// A blob that may be read.
#[derive(Debug)]
pub struct Blob {
    /// Its length in bytes; unknown while an upstream that does not say it is still sending.
    pub size: Option<u64>,
    /// How it was found.
    pub status: CacheStatus,
}

impl Blob {
    /// The bytes: all, or a part that lies inside of `size`.
    pub fn into_body(self, range: Option<ByteRange>) -> Body {
        let _ = range;
        unimplemented!()
    }
}

/// What is known of a manifest without its bytes.
#[derive(Debug, Clone)]
pub struct ManifestInfo {
    /// Its digest.
    pub digest: Digest,
    /// The media type to serve it under.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size: u64,
    /// How it was found.
    pub status: CacheStatus,
    /// For an answer by tag: how long ago the upstream last confirmed it.
    pub age: Option<Duration>,
}

/// A list that the upstream keeps, as far as it is known here.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// The entries, in the order in which they are served.
    pub entries: Arc<[T]>,
    /// How it was found.
    pub status: CacheStatus,
    /// How long ago the upstream last confirmed it.
    pub age: Duration,
}

impl Registry {
    /// The configured upstreams, as of now.
    pub fn routes(&self) -> Arc<Routes> {
        unimplemented!()
    }

    /// Opens a blob. Returns as soon as it is known that the bytes will come; for small ones (1 MiB) only once they are
    /// verified.
    pub async fn blob(&self, target: &Target, digest: &Digest) -> Result<Blob, RegistryError> {
        let _ = (target, digest);
        unimplemented!()
    }

    /// The size of a blob and how it was found; never transfers it.
    pub async fn blob_head(&self, target: &Target, digest: &Digest) -> Result<(Option<u64>, CacheStatus), RegistryError> {
        let _ = (target, digest);
        unimplemented!()
    }

    /// A manifest and its exact bytes, verified.
    pub async fn manifest(&self, target: &Target, reference: &Reference) -> Result<(ManifestInfo, Bytes), RegistryError> {
        let _ = (target, reference);
        unimplemented!()
    }

    /// What a reference names. Agrees with [`Self::manifest`] for as long as a tag is fresh.
    pub async fn manifest_head(&self, target: &Target, reference: &Reference) -> Result<ManifestInfo, RegistryError> {
        let _ = (target, reference);
        unimplemented!()
    }

    /// All tags of a repository, in byte order.
    pub async fn tags(&self, target: &Target) -> Result<Listing<String>, RegistryError> {
        let _ = target;
        unimplemented!()
    }

    /// All descriptors that refer to `subject`; empty when there are none or the repository is unknown.
    pub async fn referrers(&self, target: &Target, subject: &Digest) -> Result<Listing<serde_json::Value>, RegistryError> {
        let _ = (target, subject);
        unimplemented!()
    }
}
