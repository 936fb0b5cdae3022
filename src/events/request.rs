//! One request and its answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Repository;
use crate::{
    oci::{Digest, Tag},
    telemetry::{CacheStatus, TierName},
};

/// A request for something of a repository, and how it was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Who asked; absent for nobody in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Arc<str>>,
    /// The region of the edge that the client asked.
    pub region: Arc<str>,
    /// The client: a keyed hash of its address, of use only to tell clients apart.
    pub client: u64,
    /// The repository.
    pub repository: Repository,
    /// The tag that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The digest that was asked for, or that the tag named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What was asked for.
    pub kind: Kind,
    /// The answer's status code.
    pub status: u16,
    /// Bytes of the answer's body that were sent.
    pub bytes: u64,
    /// Where the answer came from.
    pub source: Source,
    /// From the request's head to the answer's, in microseconds.
    pub first_byte: u32,
    /// From the request's head to the answer's end, in microseconds.
    pub total: u32,
    /// Whether the whole answer was sent.
    pub complete: bool,
}

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// GET of a manifest.
    Manifest,
    /// HEAD of a manifest.
    ManifestHead,
    /// GET of a blob.
    Blob,
    /// HEAD of a blob.
    BlobHead,
    /// A push: of a blob, or of a manifest.
    Push,
    /// Anything else: lists, deletions.
    Other,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The memory tier.
    Memory,
    /// A disk tier.
    Disk,
    /// The bucket that edges share.
    Object,
    /// What was pushed here.
    Hosted,
    /// A row of the catalog was enough.
    Catalog,
    /// The upstream has confirmed what was here.
    Revalidated,
    /// What was here, although its time was over.
    Stale,
    /// A transfer that somebody else had begun.
    Joined,
    /// The upstream.
    Upstream,
    /// Nowhere: there was nothing to be found, or nothing was looked for.
    None,
    /// Another edge has answered it, and has told of it.
    Elsewhere,
}

impl Kind {
    /// As a word, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::ManifestHead => "manifest_head",
            Self::Blob => "blob",
            Self::BlobHead => "blob_head",
            Self::Push => "push",
            Self::Other => "other",
        }
    }
}

impl Source {
    /// As a word, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Object => "object",
            Self::Hosted => "hosted",
            Self::Catalog => "catalog",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
            Self::Joined => "joined",
            Self::Upstream => "upstream",
            Self::None => "none",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl Request {
    /// Whether this edge has answered it.
    pub fn is_here(&self) -> bool {
        self.source != Source::Elsewhere
    }

    /// Whether the answer gave the client what it asked for.
    pub const fn succeeded(&self) -> bool {
        matches!(self.status, 200..=299 | 304 | 307)
    }
}

impl From<CacheStatus> for Source {
    fn from(status: CacheStatus) -> Self {
        match status {
            CacheStatus::Hit(TierName::Memory) => Self::Memory,
            CacheStatus::Hit(TierName::Disk | TierName::Ssd | TierName::Hdd) => Self::Disk,
            CacheStatus::Hit(TierName::Object) => Self::Object,
            CacheStatus::Hit(TierName::Hosted) => Self::Hosted,
            CacheStatus::Hit(TierName::Catalog) => Self::Catalog,
            CacheStatus::Revalidated => Self::Revalidated,
            CacheStatus::Stale(_) => Self::Stale,
            CacheStatus::Miss(_) => Self::Upstream,
            CacheStatus::Collapsed => Self::Joined,
            CacheStatus::NegativeHit | CacheStatus::None => Self::None,
        }
    }
}
