//! Rows of hosted repositories: what was pushed, and nothing else holds.
//!
//! Whatever belongs together changes in one transaction, and what a change depends on is looked up in that same transaction.
//! Reads see what is committed, so that nothing is visible before it is durable.

mod changes;
mod readers;

pub(super) use changes::{HostedChange, make_tables};

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redb::{ReadableTable, TableDefinition};

use super::{
    Catalog, CatalogError,
    keys::{after_prefix, content_key, digest_key, hosted_tag_key, name_key, referrers_key, split_digest},
    writer::Change,
};
use crate::oci::{Digest, MediaType, RepositoryName, Tag};

/// `digest name -> size`
const BLOBS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("hosted_blobs");
/// `digest name -> (media type, size, digest of the subject or "")`
const MANIFESTS: TableDefinition<'_, &[u8], (&str, u64, &[u8])> = TableDefinition::new("hosted_manifests");
/// `name 0 tag -> (digest, milliseconds since 1970)`
const TAGS: TableDefinition<'_, &[u8], (&[u8], u64)> = TableDefinition::new("hosted_tags");
/// `name 0 subject referrer -> descriptor`
const REFERRERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("hosted_referrers");
/// `name -> milliseconds since 1970`, of the first push
const REPOSITORIES: TableDefinition<'_, &[u8], u64> = TableDefinition::new("hosted_repositories");

/// `digest -> bytes`, of what is too small to be worth a file
const CONTENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("hosted_contents");
/// `digest -> (size, milliseconds since 1970)`, of the same; apart, so that looking through them reads no bytes
const CONTENT_FACTS: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("hosted_content_facts");

/// A manifest of a hosted repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedManifest {
    /// The media type to serve it under.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size: u64,
    /// The manifest it refers to.
    pub subject: Option<Digest>,
}

/// A manifest that has been pushed, with all that becomes visible at once.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// The repository.
    pub name: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// What is kept of it.
    pub manifest: HostedManifest,
    /// Its bytes, if they are to be kept in the catalog; otherwise they are durable already.
    pub content: Option<Bytes>,
    /// Its descriptor in the list of what refers to its subject: JSON, with artifact type and annotations. Ignored without
    /// a subject.
    pub descriptor: Vec<u8>,
    /// The tags that name it from now on.
    pub tags: Vec<Tag>,
}

/// What a repository may have of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// A blob.
    Blob,
    /// A manifest.
    Manifest,
}

/// Something that a manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// As what it is named.
    pub kind: ContentKind,
    /// Its digest.
    pub digest: Digest,
    /// How long it is said to be, in bytes.
    pub size: u64,
    /// Whether the manifest is taken without it.
    pub may_be_missing: bool,
}

/// What is wrong with something that a manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The repository does not have it.
    Absent(Digest),
    /// The repository has it, but it is so many bytes long.
    OfSize(Digest, u64),
}

impl Catalog {
    /// Links a blob into a repository: with its bytes, if they are to be kept in the catalog; otherwise they are durable
    /// already. Visible and durable when the future ends.
    ///
    /// # Errors
    /// When it cannot be made durable; it is not visible then.
    pub async fn link_hosted_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        size: u64,
        content: Option<Bytes>,
    ) -> Result<(), CatalogError> {
        self.change(HostedChange::LinkBlob { name: name.clone(), digest: *digest, size, content }).await.map(drop)
    }

    /// The bytes of a content that is kept in the catalog.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn hosted_content(&self, digest: &Digest) -> Result<Option<Bytes>, CatalogError> {
        self.read(CONTENTS, &digest_key(digest), |bytes| Some(Bytes::copy_from_slice(bytes)))
    }

    /// All contents that are kept in the catalog, with their lengths in bytes and when they were written.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn hosted_contents(&self) -> Result<Vec<(Digest, u64, SystemTime)>, CatalogError> {
        self.reading(|transaction| {
            let mut contents = Vec::new();
            for row in transaction.open_table(CONTENT_FACTS)?.iter()? {
                let (key, facts) = row?;
                let (size, written) = facts.value();
                contents.extend(split_digest(key.value()).map(|(digest, _)| (digest, size, time(written))));
            }
            Ok(contents)
        })
    }

    /// Deletes a content that is kept in the catalog, unless a repository has it or it was written after `before`. False when
    /// it was spared, or is not there.
    ///
    /// # Errors
    /// When it cannot be made durable; it is there still.
    pub async fn drop_hosted_content(&self, digest: &Digest, before: SystemTime) -> Result<bool, CatalogError> {
        self.change(HostedChange::DropContent { digest: *digest, before }).await
    }

    /// Links a blob that `from` has, or any repository if that is `None`. False when there is none.
    ///
    /// # Errors
    /// As [`Self::link_hosted_blob`].
    pub async fn mount_hosted_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<bool, CatalogError> {
        self.change(HostedChange::MountBlob { name: name.clone(), digest: *digest, from: from.cloned() }).await
    }

    /// Takes a blob out of a repository; every other repository keeps it. False when it was not there.
    ///
    /// # Errors
    /// When it cannot be made durable; it is there still.
    pub async fn unlink_hosted_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, CatalogError> {
        self.change(HostedChange::UnlinkBlob { name: name.clone(), digest: *digest }).await
    }

    /// Makes a manifest, its tags and its place among the referrers visible, all at once.
    ///
    /// # Errors
    /// As [`Self::link_hosted_blob`].
    pub async fn put_hosted_manifest(&self, manifest: PutManifest) -> Result<(), CatalogError> {
        self.change(HostedChange::PutManifest(Box::new(manifest))).await.map(drop)
    }

    /// Takes a manifest out of a repository, and the tags that name it. False when it was not there.
    ///
    /// # Errors
    /// As [`Self::unlink_hosted_blob`].
    pub async fn delete_hosted_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, CatalogError> {
        self.change(HostedChange::DeleteManifest { name: name.clone(), digest: *digest }).await
    }

    /// Takes a tag out of a repository; the manifest stays. False when it was not there.
    ///
    /// # Errors
    /// As [`Self::unlink_hosted_blob`].
    pub async fn delete_hosted_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<bool, CatalogError> {
        self.change(HostedChange::DeleteTag { name: name.clone(), tag: tag.clone() }).await
    }

    /// The size of a blob of a repository.
    ///
    /// # Errors
    /// When the database cannot be read; so for all that follow.
    pub fn hosted_blob(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<u64>, CatalogError> {
        self.read(BLOBS, &content_key(digest, name), Some)
    }

    /// A manifest of a repository.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn hosted_manifest(&self, name: &RepositoryName, digest: &Digest) -> Result<Option<HostedManifest>, CatalogError> {
        self.read(MANIFESTS, &content_key(digest, name), HostedManifest::from_value)
    }

    /// What a tag of a repository names.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn hosted_tag(&self, name: &RepositoryName, tag: &Tag) -> Result<Option<(Digest, HostedManifest)>, CatalogError> {
        self.reading(|transaction| {
            let tags = transaction.open_table(TAGS)?;
            let Some(row) = tags.get(&hosted_tag_key(name, tag)[..])? else { return Ok(None) };
            let Some((digest, _)) = split_digest(row.value().0) else { return Ok(None) };
            let manifest = transaction.open_table(MANIFESTS)?.get(&content_key(&digest, name)[..])?;
            Ok(manifest.and_then(|row| HostedManifest::from_value(row.value())).map(|manifest| (digest, manifest)))
        })
    }

    /// The tags of a repository in byte order; `None` when nothing was ever pushed to it.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn hosted_tags(&self, name: &RepositoryName) -> Result<Option<Vec<String>>, CatalogError> {
        self.reading(|transaction| {
            if transaction.open_table(REPOSITORIES)?.get(name.as_str().as_bytes())?.is_none() {
                return Ok(None);
            }
            let prefix = name_key(name);
            let table = transaction.open_table(TAGS)?;
            let rows = table.range(&prefix[..]..&after_prefix(&prefix)[..])?;
            let tags = rows.map(|row| Ok(text(&row?.0.value()[prefix.len()..])));
            tags.collect::<Result<_, CatalogError>>().map(Some)
        })
    }

    /// The tags of a repository that name a manifest, in byte order.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn hosted_tags_naming(&self, name: &RepositoryName, digest: &Digest) -> Result<Vec<Tag>, CatalogError> {
        let (prefix, named) = (name_key(name), digest_key(digest));
        self.reading(|transaction| {
            let mut tags = Vec::new();
            for row in transaction.open_table(TAGS)?.range(&prefix[..]..&after_prefix(&prefix)[..])? {
                let (key, value) = row?;
                if value.value().0 == named {
                    tags.extend(text(&key.value()[prefix.len()..]).parse::<Tag>());
                }
            }
            Ok(tags)
        })
    }

    /// The descriptors of what refers to `subject`, each as JSON, in the order of their digests.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn hosted_referrers(&self, name: &RepositoryName, subject: &Digest) -> Result<Vec<Vec<u8>>, CatalogError> {
        self.reading(|transaction| {
            let prefix = referrers_key(name, subject);
            let table = transaction.open_table(REFERRERS)?;
            let rows = table.range(&prefix[..]..&after_prefix(&prefix)[..])?;
            rows.map(|row| Ok(row?.1.value().to_vec())).collect()
        })
    }

    /// At most `limit` repositories after `last`, in byte order.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn hosted_repositories(&self, last: &str, limit: usize) -> Result<Vec<String>, CatalogError> {
        self.reading(|transaction| {
            // The least key that is greater than `last`.
            let from = [last.as_bytes(), &[0]].concat();
            let table = transaction.open_table(REPOSITORIES)?;
            let rows = table.range(&from[..]..)?.take(limit);
            rows.map(|row| Ok(text(row?.0.value()))).collect()
        })
    }

    /// The first of `wanted` that a repository does not have as it is wanted.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn first_missing(
        &self,
        name: &RepositoryName,
        wanted: impl IntoIterator<Item = Wanted>,
    ) -> Result<Option<Missing>, CatalogError> {
        self.reading(|transaction| {
            let (blobs, manifests) = (transaction.open_table(BLOBS)?, transaction.open_table(MANIFESTS)?);
            for wanted in wanted {
                let key = content_key(&wanted.digest, name);
                let size = match wanted.kind {
                    ContentKind::Blob => blobs.get(&key[..])?.map(|row| row.value()),
                    ContentKind::Manifest => manifests.get(&key[..])?.map(|row| row.value().1),
                };
                match size {
                    Some(size) if size != wanted.size => return Ok(Some(Missing::OfSize(wanted.digest, size))),
                    None if !wanted.may_be_missing => return Ok(Some(Missing::Absent(wanted.digest))),
                    _ => {}
                }
            }
            Ok(None)
        })
    }

    /// Whether any hosted repository has a content.
    ///
    /// # Errors
    /// As [`Self::hosted_blob`].
    pub fn is_hosted(&self, digest: &Digest) -> Result<bool, CatalogError> {
        let key = digest_key(digest);
        self.reading(|transaction| {
            Ok(has_any(&transaction.open_table(BLOBS)?, &key)? || has_any(&transaction.open_table(MANIFESTS)?, &key)?)
        })
    }

    async fn change(&self, change: HostedChange) -> Result<bool, CatalogError> {
        self.writer.commit(Change::Hosted(change)).await
    }
}

/// Whether a table has a row whose key begins with `prefix`.
fn has_any<V: redb::Value + 'static>(table: &impl ReadableTable<&'static [u8], V>, prefix: &[u8]) -> Result<bool, CatalogError> {
    Ok(table.range(prefix..&after_prefix(prefix)[..])?.next().transpose()?.is_some())
}

fn time(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Names and tags are ASCII.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl HostedManifest {
    fn from_value((media_type, size, subject): (&str, u64, &[u8])) -> Option<Self> {
        let subject = split_digest(subject).map(|(digest, _)| digest);
        Some(Self { media_type: media_type.parse().ok()?, size, subject })
    }
}

#[cfg(test)]
mod tests;
