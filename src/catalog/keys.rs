//! Keys: what rows are found by, as values and as bytes.

use std::sync::Arc;

use crate::oci::{Algorithm, Digest, RepositoryName, Tag};

/// A repository of a route. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository {
    /// The route's configured name.
    pub route: Arc<str>,
    /// The repository's name at the upstream.
    pub name: RepositoryName,
}

/// A tag of a repository. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagKey {
    /// The repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
}

impl Repository {
    /// `route 0 name 0`: neither part can hold a zero byte, so that no two repositories share a prefix, and the rows of one
    /// repository lie side by side.
    fn prefix(&self, more: usize) -> Vec<u8> {
        let (route, name) = (self.route.as_bytes(), self.name.as_str().as_bytes());
        let mut key = Vec::with_capacity(route.len() + name.len() + 2 + more);
        key.extend_from_slice(route);
        key.push(0);
        key.extend_from_slice(name);
        key.push(0);
        key
    }

    pub(super) fn link_key(&self, digest: &Digest) -> Vec<u8> {
        let mut key = self.prefix(65);
        key.push(algorithm_code(digest.algorithm()));
        key.extend_from_slice(digest.as_bytes());
        key
    }
}

impl TagKey {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut key = self.repository.prefix(self.tag.as_str().len());
        key.extend_from_slice(self.tag.as_str().as_bytes());
        key
    }
}

/// The number that stands for an algorithm in rows. Never changes.
pub(super) const fn algorithm_code(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    }
}

pub(super) const fn algorithm_of(code: u8) -> Option<Algorithm> {
    match code {
        1 => Some(Algorithm::Sha256),
        2 => Some(Algorithm::Sha512),
        _ => None,
    }
}
