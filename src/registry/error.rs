//! Why the registry cannot answer.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::upstream::UpstreamError;

/// A failure that is told to the client. Status codes exist only in `api`.
#[derive(Debug, Clone)]
pub struct RegistryError {
    /// What to decide by.
    pub kind: RegistryErrorKind,
    /// When it is worth asking again.
    pub retry_after: Option<Duration>,
    /// What happened, fit for the client's eyes: no paths, no addresses of upstreams, no secrets.
    pub message: Arc<str>,
    /// Whether the answer came from a memory of an earlier "not found".
    pub from_cache: bool,
    pub(super) source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegistryErrorKind {
    /// No such manifest in this repository.
    ManifestUnknown,
    /// No such blob in this repository.
    BlobUnknown,
    /// No such repository.
    NameUnknown,
    /// The upstream forbids it.
    Denied,
    /// The upstream limits us, and nothing is cached.
    RateLimited,
    /// The upstream cannot be reached or fails.
    UpstreamUnavailable,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The upstream's answer cannot be used: wrong bytes, not a manifest, too large.
    BadUpstreamAnswer,
    /// This server has too much to do.
    Busy,
    /// This server's own storage failed.
    Storage,
}

impl RegistryError {
    /// A failure without a deeper cause.
    pub fn new(kind: RegistryErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, retry_after: None, message: message.into(), from_cache: false, source: None }
    }

    /// The upstream failure behind this one, if that is what it was.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        self.source.as_deref().and_then(|source| (source as &(dyn Error + 'static)).downcast_ref())
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
