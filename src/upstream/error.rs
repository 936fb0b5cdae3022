//! Why an upstream did not answer as hoped.

use std::{error::Error, fmt, sync::Arc, time::Duration};

/// A failure of an upstream request: a small kind to decide by, whom to blame, and the chain for people.
///
/// Cheap to clone, so that everyone who waited for the same request can have it.
#[derive(Debug, Clone)]
pub struct UpstreamError {
    /// What to decide by.
    pub kind: UpstreamErrorKind,
    /// When the upstream says it may be asked again.
    pub retry_after: Option<Duration>,
    /// What happened, for logs and for the operator. Holds no secret and no signed URL.
    pub message: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of failure that are handled differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamErrorKind {
    /// 404, or a 401 although a token was issued: there is no such thing, or it is hidden from us.
    NotFound,
    /// 403: the upstream forbids it.
    Denied,
    /// Our own credentials were refused.
    CredentialsRefused,
    /// 429: the upstream limits us.
    RateLimited,
    /// 416: the range lies outside of the content.
    RangeNotSatisfiable,
    /// The upstream cannot be reached, answers 5xx, or broke off.
    Unavailable,
    /// The upstream did not answer in time.
    Timeout,
    /// The breaker is open: the upstream has failed so often that it is left alone for a while.
    BreakerOpen,
    /// The answer makes no sense: too large, not what was asked for, encoded although identity was asked for.
    BadAnswer,
    /// The upstream led to an address or host that it may not lead to.
    Forbidden,
    /// 508: the request has come back to a server that it had passed through.
    Loop,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The request asked for something that is not there or not allowed.
    Request,
    /// The upstream, or the way to it.
    Upstream,
    /// The configuration of this server.
    Operator,
}

impl UpstreamErrorKind {
    /// Whose fault it is.
    pub const fn blame(self) -> Blame {
        match self {
            Self::NotFound | Self::Denied | Self::RangeNotSatisfiable => Blame::Request,
            Self::CredentialsRefused | Self::Forbidden | Self::Loop => Blame::Operator,
            Self::RateLimited | Self::Unavailable | Self::Timeout | Self::BreakerOpen | Self::BadAnswer => Blame::Upstream,
        }
    }

    /// Whether something stale is a better answer than this failure.
    pub const fn allows_stale(self) -> bool {
        matches!(self.blame(), Blame::Upstream | Blame::Operator)
    }

    /// The kind as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::CredentialsRefused => "credentials_refused",
            Self::RateLimited => "rate_limited",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::BreakerOpen => "breaker_open",
            Self::BadAnswer => "bad_answer",
            Self::Forbidden => "forbidden",
            Self::Loop => "loop",
        }
    }
}

impl UpstreamError {
    /// A failure without a deeper cause.
    pub fn new(kind: UpstreamErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, retry_after: None, message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Adds when to ask again.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for UpstreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
