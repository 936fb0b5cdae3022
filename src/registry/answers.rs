//! What the registry answers.

use std::{fmt, sync::Arc, time::Duration};

use url::Url;

use crate::{
    fill::Follower,
    oci::{ByteRange, Digest, MediaType},
    telemetry::CacheStatus,
    tiers::{Body, Found},
};

/// A blob that may be read.
pub struct Blob {
    /// Its length in bytes; unknown while an upstream that does not say it is still sending.
    pub size: Option<u64>,
    /// How it was found.
    pub status: CacheStatus,
    content: BlobContent,
}

enum BlobContent {
    Found(Found),
    Follower(Follower),
}

impl Blob {
    pub(super) fn found(found: Found, status: CacheStatus) -> Self {
        Self { size: Some(found.size), status, content: BlobContent::Found(found) }
    }

    pub(super) fn hit(found: Found) -> Self {
        let status = CacheStatus::Hit(found.tier);
        Self::found(found, status)
    }

    pub(super) fn following(follower: Follower, size: Option<u64>, status: CacheStatus) -> Self {
        Self { size, status, content: BlobContent::Follower(follower) }
    }

    /// The bytes: all, or a part that lies inside of `size`.
    pub fn into_body(self, range: Option<ByteRange>) -> Body {
        match self.content {
            BlobContent::Found(found) => found.into_body(range),
            BlobContent::Follower(follower) => Body::Stream(follower.into_stream(range)),
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("size", &self.size).field("status", &self.status).finish_non_exhaustive()
    }
}

/// Where else a blob can be read that may be read here.
#[derive(Clone)]
pub struct BlobLocation {
    /// Where: whoever has it needs nothing else, so that it is a secret.
    pub url: Url,
    /// The blob's length in bytes.
    pub size: u64,
}

/// Without the signature.
impl fmt::Debug for BlobLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobLocation").field("host", &self.url.host_str()).field("size", &self.size).finish_non_exhaustive()
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

/// A manifest that has been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Its digest.
    pub digest: Digest,
    /// The manifest it refers to.
    pub subject: Option<Digest>,
}
