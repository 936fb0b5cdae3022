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

    /// What all rows of the repository begin with.
    pub(super) fn key(&self) -> Vec<u8> {
        self.prefix(0)
    }

    pub(super) fn link_key(&self, digest: &Digest) -> Vec<u8> {
        let mut key = self.prefix(65);
        key.extend_from_slice(&digest_key(digest));
        key
    }
}

impl TagKey {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut key = self.repository.prefix(self.tag.as_str().len());
        key.extend_from_slice(self.tag.as_str().as_bytes());
        key
    }

    pub(super) fn from_bytes(key: &[u8]) -> Option<Self> {
        let (repository, tag) = split_repository(key)?;
        Some(Self { repository, tag: std::str::from_utf8(tag).ok()?.parse().ok()? })
    }
}

/// The repository at the beginning of a key, and what follows it.
pub(super) fn split_repository(key: &[u8]) -> Option<(Repository, &[u8])> {
    let mut parts = key.splitn(3, |&byte| byte == 0);
    let route = std::str::from_utf8(parts.next()?).ok()?;
    let name = std::str::from_utf8(parts.next()?).ok()?;
    Some((Repository { route: route.into(), name: name.parse().ok()? }, parts.next()?))
}

/// `algorithm digest`: what all rows about one content begin with.
pub(super) fn digest_key(digest: &Digest) -> Vec<u8> {
    let mut key = Vec::with_capacity(65 + 255);
    key.push(algorithm_code(digest.algorithm()));
    key.extend_from_slice(digest.as_bytes());
    key
}

/// The digest at the beginning of a key, and what follows it.
pub(super) fn split_digest(key: &[u8]) -> Option<(Digest, &[u8])> {
    let (&code, rest) = key.split_first()?;
    let algorithm = algorithm_of(code)?;
    let (raw, rest) = rest.split_at_checked(algorithm.digest_len())?;
    Some((Digest::from_bytes(algorithm, raw)?, rest))
}

/// `algorithm digest name`: a content in a hosted repository. The repositories that have a content lie side by side.
pub(super) fn content_key(digest: &Digest, name: &RepositoryName) -> Vec<u8> {
    let mut key = digest_key(digest);
    key.extend_from_slice(name.as_str().as_bytes());
    key
}

/// `name 0`: what all rows of one hosted repository begin with.
pub(super) fn name_key(name: &RepositoryName) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.as_str().len() + 1 + 130);
    key.extend_from_slice(name.as_str().as_bytes());
    key.push(0);
    key
}

/// `name 0 tag`
pub(super) fn hosted_tag_key(name: &RepositoryName, tag: &Tag) -> Vec<u8> {
    let mut key = name_key(name);
    key.extend_from_slice(tag.as_str().as_bytes());
    key
}

/// `name 0 subject`: what all rows of what refers to a subject begin with; `name 0 subject referrer` is one of them.
pub(super) fn referrers_key(name: &RepositoryName, subject: &Digest) -> Vec<u8> {
    let mut key = name_key(name);
    key.extend_from_slice(&digest_key(subject));
    key
}

/// One past the last key that begins with `prefix`; no key is as great as 255s alone.
pub(super) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|&byte| byte < u8::MAX).map_or(0, |last| last + 1);
    let mut end = prefix[..kept].to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end = vec![u8::MAX; prefix.len() + 1],
    }
    end
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
