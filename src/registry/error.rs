//! Why the registry cannot answer.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{
    fill::{FillError, FillErrorKind},
    telemetry::StaleReason,
    upstream::{UpstreamError, UpstreamErrorKind},
};

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
    slow: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
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
    /// The servers that are asked in turn ask each other in a circle.
    Loop,
    /// No such upload, or somebody else's.
    UploadUnknown,
    /// Somebody else is writing to the upload.
    UploadBusy,
    /// The chunk does not follow what was received.
    OutOfOrder {
        /// Bytes that were received: the offset of the next one.
        received: u64,
    },
    /// The bytes do not match their digest.
    DigestInvalid,
    /// The length of a body, or of a content that a manifest names, is not what was said.
    SizeInvalid,
    /// More than is taken.
    TooLarge,
    /// More under way than is allowed.
    TooMany,
    /// Not a manifest that can be taken.
    ManifestInvalid,
    /// The manifest names something that the repository does not have.
    ReferenceMissing,
    /// What is asked for is not supported.
    Unsupported,
    /// The disk is full.
    StorageFull,
    /// This server's own fault.
    Internal,
}

impl RegistryError {
    /// A failure without a deeper cause.
    pub fn new(kind: RegistryErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, retry_after: None, message: message.into(), from_cache: false, slow: false, source: None }
    }

    /// A failure of the upstream. `unknown` is what "not found" means here.
    pub(super) fn from_upstream(error: UpstreamError, unknown: RegistryErrorKind) -> Self {
        use RegistryErrorKind as Ours;
        use UpstreamErrorKind as Theirs;
        let (kind, message) = match error.kind {
            Theirs::NotFound => return Self { source: Some(Arc::new(error)), ..Self::unknown(unknown) },
            Theirs::Denied => (Ours::Denied, "the upstream registry denies access"),
            Theirs::RateLimited => (Ours::RateLimited, "the upstream registry limits the rate of requests"),
            Theirs::Timeout => (Ours::UpstreamTimeout, "the upstream registry did not answer in time"),
            Theirs::Unavailable | Theirs::BreakerOpen => {
                (Ours::UpstreamUnavailable, "the upstream registry cannot be reached or fails")
            }
            Theirs::CredentialsRefused => (Ours::UpstreamUnavailable, "the upstream registry refuses the configured credentials"),
            Theirs::Loop => {
                (Ours::Loop, "the upstream leads back to a server that the request has passed through: a loop of upstreams")
            }
            Theirs::Forbidden => (Ours::BadUpstreamAnswer, "the upstream registry leads to a place that is not allowed"),
            Theirs::RangeNotSatisfiable | Theirs::BadAnswer => {
                (Ours::BadUpstreamAnswer, "the upstream registry's answer cannot be used")
            }
        };
        Self { retry_after: error.retry_after, source: Some(Arc::new(error)), ..Self::new(kind, message) }
    }

    /// "Not found", of whatever kind.
    pub(super) fn unknown(kind: RegistryErrorKind) -> Self {
        let message = match kind {
            RegistryErrorKind::BlobUnknown => "the repository has no such blob",
            RegistryErrorKind::NameUnknown => "there is no such repository",
            RegistryErrorKind::UploadUnknown => "there is no such upload; it may be finished, or its time over",
            _ => "the repository has no such manifest",
        };
        Self::new(kind, message)
    }

    /// This server's own fault. The cause is logged here; the client is told no more than what it was about.
    pub(super) fn internal(about: &str, cause: impl fmt::Display) -> Self {
        tracing::error!(about, %cause, "an internal error");
        Self::new(RegistryErrorKind::Internal, format!("{about}: an internal error, which is in the server's log"))
    }

    /// Wrong bytes, or no manifest.
    pub(super) fn bad_answer(message: impl Into<Arc<str>>) -> Self {
        Self::new(RegistryErrorKind::BadUpstreamAnswer, message)
    }

    /// The upstream failure behind this one, if that is what it was.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        self.source.as_deref().and_then(|source| (source as &(dyn Error + 'static)).downcast_ref())
    }

    /// "Not found", from memory.
    pub(super) fn remembered(kind: RegistryErrorKind) -> Self {
        Self { from_cache: true, ..Self::unknown(kind) }
    }

    /// The upstream takes longer than is worth waiting for; it is still being asked.
    pub(super) fn slow() -> Self {
        let slow = UpstreamError::new(UpstreamErrorKind::Timeout, "the upstream takes longer than is waited for");
        Self { slow: true, ..Self::from_upstream(slow, RegistryErrorKind::ManifestUnknown) }
    }

    /// Whether something stale is a better answer than this failure.
    pub(super) fn allows_stale(&self) -> bool {
        match self.upstream() {
            Some(error) => error.kind.allows_stale(),
            None => self.kind == RegistryErrorKind::BadUpstreamAnswer,
        }
    }

    /// Why something stale is served instead.
    pub(super) fn stale_reason(&self) -> StaleReason {
        match self.kind {
            _ if self.slow => StaleReason::UpstreamSlow,
            RegistryErrorKind::RateLimited => StaleReason::RateLimited,
            RegistryErrorKind::ManifestUnknown => StaleReason::DeletedUpstream,
            _ => StaleReason::UpstreamError,
        }
    }
}

impl From<FillError> for RegistryError {
    fn from(error: FillError) -> Self {
        match (error.kind, error.upstream()) {
            (_, Some(upstream)) => Self::from_upstream(upstream.clone(), RegistryErrorKind::BlobUnknown),
            (FillErrorKind::NotKept, None) => Self::new(RegistryErrorKind::StorageFull, error.to_string()),
            (FillErrorKind::DigestMismatch | FillErrorKind::TooLong, None) => Self::bad_answer(error.to_string()),
            _ => Self::new(RegistryErrorKind::Internal, error.to_string()),
        }
    }
}

impl From<crate::coalesce::Panicked> for RegistryError {
    fn from(error: crate::coalesce::Panicked) -> Self {
        Self::new(RegistryErrorKind::Internal, error.to_string())
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
