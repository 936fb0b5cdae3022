//! The registries behind us.
//!
//! [`Origin`] is the seam: what the rest of the house may ask of one upstream. Its HTTP implementation is the
//! only place that knows reqwest. [`Routes`] tells which upstream a request means.

mod addresses;
mod authorization;
mod blobs;
mod body;
mod breaker;
mod catalog;
mod challenge;
mod client;
#[cfg(test)]
mod conversations;
mod credential_helper;
mod credentials;
mod docker_config;
mod error;
mod exchange;
mod hops;
mod http;
mod links;
mod manifests;
mod operation;
mod post;
mod rate_limit;
mod realms;
mod referrers;
mod retry;
mod routes;
mod scope;
#[cfg(test)]
mod scripted;
mod tags;
mod telling;
mod tokens;

pub use error::{Blame, UpstreamError, UpstreamErrorKind};
pub use hops::Hops;
pub use http::{HttpOrigin, OriginError};
pub use links::ListBounds;
pub use post::{NotTaken, Post};
pub use rate_limit::PullBudget;
pub use routes::{Address, Destination, Route, RouteError, Routes, Target};
pub use telling::{Identity, NO_REDIRECT_HEADER, REGION_HEADER, Requester};

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};

use crate::{
    oci::{Digest, MediaType, Reference, RepositoryName},
    telemetry::StaleReason,
};

/// One upstream registry, as the rest of the house sees it.
///
/// # Contract
/// - Bodies stream; nothing but a manifest or a list is held in memory, and those are bounded before they are read.
/// - Nothing is verified here except lengths: an origin says what the upstream said. Digests are checked by who stores.
/// - Every call ends within the upstream's timeouts: the head of an answer by `first_byte_timeout` per try, a body by
///   `idle_timeout` of silence. There is no limit on a whole transfer.
/// - Tokens, redirects, retries before the first byte, the concurrency limit and the breaker are the origin's own business.
/// - Dropping a future or a stream cancels the request.
pub trait Origin: fmt::Debug + Send + Sync {
    /// Opens a blob from byte `from` on.
    ///
    /// With `from > 0` the upstream may not support ranges; [`BlobStream::start`] then says 0 and the caller skips.
    fn blob<'a>(
        &'a self,
        name: &'a RepositoryName,
        digest: &'a Digest,
        from: u64,
    ) -> BoxFuture<'a, Result<BlobStream, UpstreamError>>;

    /// Asks for a blob's size by HEAD; never transfers the blob.
    fn blob_size<'a>(&'a self, name: &'a RepositoryName, digest: &'a Digest)
    -> BoxFuture<'a, Result<Option<u64>, UpstreamError>>;

    /// Fetches a manifest, at most [`crate::oci::MAX_MANIFEST_BYTES`] bytes of it.
    fn manifest<'a>(
        &'a self,
        name: &'a RepositoryName,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<FetchedManifest, UpstreamError>>;

    /// Asks by HEAD what a reference names. `None` when the upstream does not say the digest (or does not know HEAD): the
    /// caller has to fetch the manifest to know.
    fn manifest_head<'a>(
        &'a self,
        name: &'a RepositoryName,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, UpstreamError>>;

    /// All tags of a repository, all pages merged, in the upstream's order.
    fn tags<'a>(&'a self, name: &'a RepositoryName) -> BoxFuture<'a, Result<Vec<String>, UpstreamError>> {
        self.tags_within(name, ListBounds::WIDE)
    }

    /// The same, where longer lists are of no use: they are read up to these bounds and are a bad answer.
    fn tags_within<'a>(
        &'a self,
        name: &'a RepositoryName,
        bounds: ListBounds,
    ) -> BoxFuture<'a, Result<Vec<String>, UpstreamError>>;

    /// All descriptors that refer to `subject`, unfiltered, all pages merged, each as the upstream's JSON. Falls back to the
    /// referrers tag schema when the upstream has no referrers API; empty when it has neither.
    fn referrers<'a>(
        &'a self,
        name: &'a RepositoryName,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<serde_json::Value>, UpstreamError>>;

    /// The pull budget that the upstream last told; `None` when it counts none, or has not said.
    fn pull_budget(&self) -> Option<PullBudget> {
        None
    }

    /// The same upstream, asked for `requester`: limits, breaker and tokens are shared. `None` when it is told nothing of who
    /// asks, so that there is nothing to tell apart.
    fn on_behalf_of(&self, _requester: &Requester) -> Option<Arc<dyn Origin>> {
        None
    }
}

/// A blob on its way from an upstream.
pub struct BlobStream {
    /// Offset of the first byte of `body`: what was asked for, or 0 when the upstream ignored it.
    pub start: u64,
    /// Length of the whole blob, when the upstream said so.
    pub size: Option<u64>,
    /// The bytes. Ends with an error when the transfer breaks or falls short of the length that was announced.
    pub body: BoxStream<'static, Result<Bytes, UpstreamError>>,
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream").field("start", &self.start).field("size", &self.size).finish_non_exhaustive()
    }
}

/// A manifest as the upstream sent it; nothing about it is verified.
#[derive(Debug, Clone)]
pub struct FetchedManifest {
    /// The exact bytes.
    pub bytes: Bytes,
    /// The `Content-Type` header, when it is a media type.
    pub content_type: Option<MediaType>,
    /// Set when it comes from a parent's cache and its time was over there.
    pub stale: Option<Staleness>,
}

/// What a HEAD of a manifest said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// `Docker-Content-Digest`.
    pub digest: Digest,
    /// `Content-Type`.
    pub content_type: Option<MediaType>,
    /// `Content-Length`.
    pub size: Option<u64>,
    /// Set when it comes from a parent's cache and its time was over there.
    pub stale: Option<Staleness>,
}

/// How stale a parent's answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    /// Why the parent served it all the same.
    pub reason: StaleReason,
    /// How long ago the registry last confirmed it.
    pub age: Duration,
}
