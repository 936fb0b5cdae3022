//! What happened: typed events, the bus that brings them to whoever learns from them, and the log that keeps them.
//!
//! Events are hints. The bus may drop them (and counts), and a log may have lost its last second: nothing that has to be right
//! is derived from them alone. They never grant anything, move a tag or change a byte.

pub mod envelope;
pub mod log;

mod bus;
mod collector;
mod manifest_seen;
mod request;
mod spare_room;

pub use bus::{Bus, Closed, InProcess, Subscription, Waker};
pub use collector::DroppedCollector;
pub use manifest_seen::{Child, Layer, ManifestSeen};
pub use request::{Kind, Request, Source};
pub use spare_room::spare_room;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::oci::{Digest, RepositoryName, Tag};

/// A time, in milliseconds since the beginning of 1970.
pub type Millis = u64;

/// Something that happened. Cheap to clone: large parts are shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Millis,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A client asked for something of a repository, and was answered. Published when the answer has ended.
    Request(Arc<Request>),
    /// It became known what a manifest says: it was pulled, pushed or imported.
    ManifestSeen(Arc<ManifestSeen>),
    /// A repository does not have a manifest any more.
    ManifestDeleted {
        /// The repository.
        repository: Repository,
        /// The manifest.
        digest: Digest,
    },
    /// The configuration of an image was read.
    ConfigRead {
        /// The configuration.
        digest: Digest,
        /// When the image says that it was made, in seconds since the beginning of 1970.
        created: u64,
    },
    /// A tag names another manifest than before, or none any more.
    TagMoved {
        /// The repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// What it names now; absent when the tag was deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// A content that came from elsewhere has been kept here.
    BlobStored {
        /// The content.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// No disk has a content any more.
    BlobEvicted {
        /// The content.
        digest: Digest,
    },
    /// It is known what became of a content that was fetched before it was asked for.
    Prefetched {
        /// The content.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// What became of it.
        outcome: Outcome,
    },
}

/// What became of a prefetched content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was asked for when it was there.
    Used,
    /// It was asked for while it was on its way.
    Late,
    /// It left before anybody asked for it.
    Wasted,
}

impl Outcome {
    /// As a word, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Late => "late",
            Self::Wasted => "wasted",
        }
    }
}

/// A repository, as events name it. Two with the same route and name are the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Repository {
    /// The configured name of the upstream that it mirrors; empty for a repository that lives here.
    pub route: Arc<str>,
    /// Its name there.
    pub name: RepositoryName,
    /// Whether it is nobody's business but the operator's: not everybody can read it elsewhere.
    #[serde(default)]
    pub private: bool,
}

impl Repository {
    /// One that lives here. Nobody can read it elsewhere.
    pub fn hosted(name: &RepositoryName) -> Self {
        Self { route: Arc::default(), name: name.clone(), private: true }
    }
}

impl Event {
    /// It happens now.
    pub fn now(what: What) -> Self {
        Self { at: now(), what }
    }
}

/// The time.
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}
