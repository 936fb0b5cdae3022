//! What an upstream is asked for.

/// The kinds of request: a label of metrics, and what a rate limit applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    GetBlob,
    HeadBlob,
    GetManifest,
    HeadManifest,
    Tags,
    Referrers,
    Catalog,
    Token,
}

impl Operation {
    /// The kind as a metric label and in messages.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::GetBlob => "GET blob",
            Self::HeadBlob => "HEAD blob",
            Self::GetManifest => "GET manifest",
            Self::HeadManifest => "HEAD manifest",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Catalog => "catalog",
            Self::Token => "token",
        }
    }
}
