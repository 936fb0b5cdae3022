//! Walks through the rows of mirrored repositories, for an operator who wants to know or forget a part of them.

use redb::ReadableTable;

use super::{
    Catalog, CatalogError, LINKS, Link, Repository, TAGS, TagKey, TagRow,
    keys::{after_prefix, split_digest, split_repository},
};
use crate::oci::Digest;

impl Catalog {
    /// All repositories with a link or a tag, in byte order: at most `limit` of them.
    ///
    /// # Errors
    /// When the database cannot be read; so for all that follow.
    pub fn repositories(&self, limit: usize) -> Result<Vec<Repository>, CatalogError> {
        let mut found = self.reading(|transaction| {
            let mut found = prefixes(&transaction.open_table(LINKS)?, limit)?;
            found.extend(prefixes(&transaction.open_table(TAGS)?, limit)?);
            Ok(found)
        })?;
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        Ok(found.iter().filter_map(|prefix| Some(split_repository(prefix)?.0)).collect())
    }

    /// The tags of a repository, in byte order: at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::repositories`].
    pub fn tags_in(&self, repository: &Repository, limit: usize) -> Result<Vec<(TagKey, TagRow)>, CatalogError> {
        let prefix = repository.key();
        self.reading(|transaction| {
            let mut found = Vec::new();
            for row in transaction.open_table(TAGS)?.range(&prefix[..]..&after_prefix(&prefix)[..])?.take(limit) {
                let (key, value) = row?;
                found.extend(TagKey::from_bytes(key.value()).zip(TagRow::from_value(value.value())));
            }
            Ok(found)
        })
    }

    /// What a repository has links to, in the order of the digests: at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::repositories`].
    pub fn links_in(&self, repository: &Repository, limit: usize) -> Result<Vec<(Digest, Link)>, CatalogError> {
        let prefix = repository.key();
        self.reading(|transaction| {
            let mut found = Vec::new();
            for row in transaction.open_table(LINKS)?.range(&prefix[..]..&after_prefix(&prefix)[..])?.take(limit) {
                let (key, value) = row?;
                let digest = split_digest(&key.value()[prefix.len()..]).map(|(digest, _)| digest);
                found.extend(digest.zip(Link::from_value(value.value())));
            }
            Ok(found)
        })
    }

    /// Shows every link to `visit`, with what tells its repository. Takes about a second per million of them.
    ///
    /// # Errors
    /// As [`Self::repositories`].
    pub fn visit_links(&self, mut visit: impl FnMut(Linked<'_>)) -> Result<(), CatalogError> {
        self.reading(|transaction| {
            for row in transaction.open_table(LINKS)?.iter()? {
                let (key, value) = row?;
                let key = key.value();
                if let Some(at) = end_of_repository(key)
                    && let Some((digest, _)) = split_digest(&key[at..])
                    && let Some(link) = Link::from_value(value.value())
                {
                    visit(Linked { digest, link, repository: &key[..at] });
                }
            }
            Ok(())
        })
    }
}

/// A link that was come across.
#[derive(Debug)]
pub struct Linked<'a> {
    /// The content.
    pub digest: Digest,
    /// The link to it.
    pub link: Link,
    repository: &'a [u8],
}

impl Linked<'_> {
    /// The repository that has it.
    pub fn repository(&self) -> Option<Repository> {
        Some(split_repository(self.repository)?.0)
    }
}

/// The repositories of a table, each found by one step over all rows of the one before.
fn prefixes<V: redb::Value + 'static>(
    table: &impl ReadableTable<&'static [u8], V>,
    limit: usize,
) -> Result<Vec<Vec<u8>>, CatalogError> {
    let (mut found, mut from) = (Vec::new(), Vec::new());
    while found.len() < limit {
        let Some((key, _)) = table.range(&from[..]..)?.next().transpose()? else { break };
        // Not a key of ours: nothing behind it is skipped.
        let Some(end) = end_of_repository(key.value()) else {
            from = [key.value(), &[0]].concat();
            continue;
        };
        let prefix = key.value()[..end].to_vec();
        from = after_prefix(&prefix);
        found.push(prefix);
    }
    Ok(found)
}

/// Where the part of a key ends that tells the repository.
fn end_of_repository(key: &[u8]) -> Option<usize> {
    let mut zeros = key.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1);
    zeros.nth(1)
}
