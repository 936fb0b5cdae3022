//! Forgetting a part of the cache on purpose: what can be selected, and what is told of it.

mod selection;

pub(in crate::registry) use selection::Part;
pub use selection::{InvalidSelection, Selection};

use std::sync::Arc;

use super::{RegistryError, proxied};
use crate::{catalog::Catalog, tiers::Tiers, upstream::Routes};

/// Entries that are named in a report.
pub(super) const NAMED: usize = 1000;

/// What was forgotten, or would have been.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Tags that were forgotten.
    pub tags: u64,
    /// Manifests that repositories had, each counted in every one of them.
    pub manifests: u64,
    /// Blobs that repositories had, each counted in every one of them.
    pub blobs: u64,
    /// Contents that were removed from the cache.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Selected contents that are being fetched right now: those transfers go on.
    pub under_way: u64,
    /// The first thousand of all of them, by name.
    pub entries: Vec<PurgedEntry>,
}

impl Purged {
    /// Entries that are not named.
    pub fn unnamed(&self) -> u64 {
        (self.tags + self.manifests + self.blobs).saturating_sub(self.entries.len() as u64)
    }
}

/// A tag or content that was forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgedEntry {
    /// What it is.
    pub kind: PurgedKind,
    /// Upstream and repository, with the tag or the digest: `docker.io/library/nginx:1.27`. A content that no repository has
    /// is named by its digest alone.
    pub name: String,
    /// The content's length in bytes, when it is known; a tag has none.
    pub size: Option<u64>,
    /// What became of its bytes; a tag has none.
    pub bytes: Option<BytesFate>,
}

/// What kind of thing was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurgedKind {
    /// A tag.
    Tag,
    /// A manifest.
    Manifest,
    /// A blob, or a content of which nothing is known.
    Blob,
}

/// What became of the bytes of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BytesFate {
    /// They were removed.
    Removed,
    /// They stay: another repository has them too.
    Shared,
    /// There are none in the cache.
    Absent,
}

/// Purges where no server runs: nobody pulls.
///
/// # Errors
/// As [`super::Registry::purge`].
pub async fn purge(
    catalog: Arc<Catalog>,
    tiers: &Tiers,
    routes: &Routes,
    selection: &Selection,
    dry_run: bool,
) -> Result<Purged, RegistryError> {
    proxied::at_rest(catalog, tiers, selection.meant(routes)?, dry_run).await
}
