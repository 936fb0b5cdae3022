//! A tag of a repository, and short names for what is compared often.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{
    events::Repository,
    oci::{Digest, Tag},
};

/// A tag of a repository that mirrors an upstream's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
}

/// A repository, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Group(u64);

impl Group {
    pub(super) fn of(repository: &Repository) -> Self {
        let mut hasher = DefaultHasher::new();
        (&repository.route, &repository.name).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The beginning of a digest. Two that begin alike are taken for one, and a question is asked too early or too late.
pub(super) fn short(digest: &Digest) -> u64 {
    digest.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
