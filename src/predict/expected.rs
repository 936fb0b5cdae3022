//! Something that is expected to be asked for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    events::{Millis, Repository},
    oci::Digest,
};

/// A content that is expected to be asked for at this edge, and is worth fetching if it is not here.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The content.
    pub digest: Digest,
    /// Its length in bytes, as its manifest says.
    pub size: u64,
    /// Whether it is fetched as a manifest or as a blob.
    pub kind: Kind,
    /// A repository that has it.
    pub repository: Repository,
    /// For whom, if for anybody in particular.
    pub customer: Option<Arc<str>>,
    /// Why.
    pub reason: Reason,
    /// How likely it is that it is asked for, from 0 to 1.
    pub probability: f32,
    /// When it is asked for, at the earliest that is likely.
    pub due: Millis,
}

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A manifest.
    Manifest,
    /// A configuration or a layer.
    Blob,
}

/// Why something is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A client has asked for an image and will ask for the rest of it. It is waiting: this goes before everything else.
    Pull,
    /// A client has come to life, and its customer runs this too.
    CoPull,
    /// A tag that is pulled here names a new image.
    Moved,
    /// A customer who is also here has pulled a new image in another region.
    Elsewhere,
    /// Somebody has asked for it to be fetched.
    Asked,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pull, Self::CoPull, Self::Moved, Self::Elsewhere, Self::Asked];

    /// As a word, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::CoPull => "co_pull",
            Self::Moved => "moved",
            Self::Elsewhere => "elsewhere",
            Self::Asked => "asked",
        }
    }

    /// Whether a client is about to ask: it goes before what is only likely to be asked for some time.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Pull)
    }
}
