//! What prefetching needs of the house: having a content here as if it had been pulled.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{
    events::{ManifestSeen, Repository},
    oci::Reference,
    predict::Expected,
    upstream::PullBudget,
};

/// Has contents here: their bytes, and the leave to read them in the repository that is named.
///
/// # Contract
/// - Everything is idempotent. What is here is not fetched; what is on its way is waited for.
/// - A client that asks for what is being fetched gets it as it comes, and makes it as urgent as anything that clients wait for.
/// - What is urgent ([`crate::predict::Reason::is_urgent`]) goes as fast as it can; all else gives way to what clients wait for.
/// - Dropping a future cancels nothing that has begun.
pub trait Warm: fmt::Debug + Send + Sync {
    /// Whether a content is here and may be read in its repository. Asks nobody.
    fn is_here<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, bool>;

    /// Has a blob here.
    fn blob<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, Result<Warmed, WarmError>>;

    /// Has the leave to read a blob that is here because of other repositories. Nothing is asked about one that is not here, or may be
    /// read already.
    fn leave<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, Result<(), WarmError>>;

    /// Has a manifest here.
    fn manifest<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, Result<WarmedManifest, WarmError>>;

    /// Has the manifest here that a tag names, or a digest.
    fn image<'a>(
        &'a self,
        repository: &'a Repository,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<WarmedManifest, WarmError>>;

    /// The pulls that an upstream has said to have left; `None` when it counts none, or has not said.
    fn pulls(&self, route: &str) -> Option<PullBudget>;

    /// Number of transfers that clients wait for.
    fn demand(&self) -> usize;

    /// Bytes per second that all that is not urgent may take together; 0 for no limit.
    fn set_rate(&self, rate: u64);
}

/// How something came to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmed {
    /// It was; at most, the upstream was asked for its leave.
    Here,
    /// Somebody else had begun to fetch it.
    Joined,
    /// It was fetched.
    Fetched {
        /// Its length in bytes.
        bytes: u64,
        /// Pulls that the upstream counts.
        pulls: u64,
    },
}

/// A manifest that is here.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmedManifest {
    /// How it came to be.
    pub warmed: Warmed,
    /// What it names; `None` where that is nobody's business, because its repository lives here.
    pub seen: Option<Arc<ManifestSeen>>,
}

/// Why something cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WarmError {
    /// What to decide by.
    pub kind: WarmErrorKind,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// What happened, for people.
    pub message: Arc<str>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WarmErrorKind {
    /// The upstream does not have it, or forbids it: this content will not come.
    Refused,
    /// The upstream fails or limits us: nothing of it will come for a while.
    Upstream,
    /// It cannot be kept: nothing will come for a while.
    Storage,
}
