//! How hosted rows change: each change looks at what it depends on in the transaction that it becomes part of.

use std::time::SystemTime;

use redb::{ReadableTable, WriteTransaction};

use super::{BLOBS, CONTENT_FACTS, CONTENTS, MANIFESTS, PutManifest, REFERRERS, REPOSITORIES, TAGS, has_any, time};
use crate::{
    catalog::{
        CatalogError,
        keys::{after_prefix, content_key, digest_key, hosted_tag_key, name_key, referrers_key, split_digest},
    },
    oci::{Digest, RepositoryName, Tag},
};
use bytes::Bytes;

/// A change of hosted rows.
#[derive(Debug)]
pub(in crate::catalog) enum HostedChange {
    LinkBlob { name: RepositoryName, digest: Digest, size: u64, content: Option<Bytes> },
    DropContent { digest: Digest, before: SystemTime },
    MountBlob { name: RepositoryName, digest: Digest, from: Option<RepositoryName> },
    UnlinkBlob { name: RepositoryName, digest: Digest },
    PutManifest(Box<PutManifest>),
    DeleteManifest { name: RepositoryName, digest: Digest },
    DeleteTag { name: RepositoryName, tag: Tag },
}

/// Makes the tables of hosted rows, if need be.
pub(in crate::catalog) fn make_tables(transaction: &WriteTransaction) -> Result<(), CatalogError> {
    transaction.open_table(BLOBS)?;
    transaction.open_table(MANIFESTS)?;
    transaction.open_table(TAGS)?;
    transaction.open_table(REFERRERS)?;
    transaction.open_table(CONTENTS)?;
    transaction.open_table(CONTENT_FACTS)?;
    transaction.open_table(REPOSITORIES)?;
    Ok(())
}

impl HostedChange {
    /// Makes the change. False when there was nothing to be changed.
    pub(in crate::catalog) fn apply(&self, transaction: &WriteTransaction) -> Result<bool, CatalogError> {
        match self {
            Self::LinkBlob { name, digest, size, content } => {
                put_content(transaction, digest, content.as_deref())?;
                link_blob(transaction, name, digest, *size)
            }
            Self::DropContent { digest, before } => drop_content(transaction, digest, *before),
            Self::MountBlob { name, digest, from } => {
                let Some(size) = source_size(transaction, digest, from.as_ref())? else { return Ok(false) };
                link_blob(transaction, name, digest, size)
            }
            Self::UnlinkBlob { name, digest } => {
                Ok(transaction.open_table(BLOBS)?.remove(&content_key(digest, name)[..])?.is_some())
            }
            Self::PutManifest(put) => put_manifest(transaction, put),
            Self::DeleteManifest { name, digest } => delete_manifest(transaction, name, digest),
            Self::DeleteTag { name, tag } => Ok(transaction.open_table(TAGS)?.remove(&hosted_tag_key(name, tag)[..])?.is_some()),
        }
    }
}

fn link_blob(transaction: &WriteTransaction, name: &RepositoryName, digest: &Digest, size: u64) -> Result<bool, CatalogError> {
    note_repository(transaction, name)?;
    transaction.open_table(BLOBS)?.insert(&content_key(digest, name)[..], size)?;
    Ok(true)
}

/// Keeps a content, if it is to be kept here. One that is here already becomes new again.
fn put_content(transaction: &WriteTransaction, digest: &Digest, content: Option<&[u8]>) -> Result<(), CatalogError> {
    let Some(content) = content else { return Ok(()) };
    let key = digest_key(digest);
    let known = transaction.open_table(CONTENT_FACTS)?.insert(&key[..], (content.len() as u64, now()))?.is_some();
    if !known {
        transaction.open_table(CONTENTS)?.insert(&key[..], content)?;
    }
    Ok(())
}

fn drop_content(transaction: &WriteTransaction, digest: &Digest, before: SystemTime) -> Result<bool, CatalogError> {
    let (key, mut facts) = (digest_key(digest), transaction.open_table(CONTENT_FACTS)?);
    let is_old = facts.get(&key[..])?.is_some_and(|row| time(row.value().1) <= before);
    if !is_old || has_any(&transaction.open_table(BLOBS)?, &key)? || has_any(&transaction.open_table(MANIFESTS)?, &key)? {
        return Ok(false);
    }
    facts.remove(&key[..])?;
    transaction.open_table(CONTENTS)?.remove(&key[..])?;
    Ok(true)
}

/// The size of a blob in `from`, or in whichever repository comes first.
fn source_size(
    transaction: &WriteTransaction,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Result<Option<u64>, CatalogError> {
    let blobs = transaction.open_table(BLOBS)?;
    if let Some(from) = from {
        return Ok(blobs.get(&content_key(digest, from)[..])?.map(|row| row.value()));
    }
    let prefix = digest_key(digest);
    let first = blobs.range(&prefix[..]..&after_prefix(&prefix)[..])?.next().transpose()?;
    Ok(first.map(|(_, size)| size.value()))
}

fn put_manifest(transaction: &WriteTransaction, put: &PutManifest) -> Result<bool, CatalogError> {
    let PutManifest { name, digest, manifest, content, descriptor, tags } = put;
    put_content(transaction, digest, content.as_deref())?;
    note_repository(transaction, name)?;
    let subject = manifest.subject.as_ref().map(digest_key).unwrap_or_default();
    let row = (manifest.media_type.as_str(), manifest.size, &subject[..]);
    transaction.open_table(MANIFESTS)?.insert(&content_key(digest, name)[..], row)?;
    if let Some(subject) = &manifest.subject {
        transaction.open_table(REFERRERS)?.insert(&referrer_key(name, subject, digest)[..], &descriptor[..])?;
    }
    let mut table = transaction.open_table(TAGS)?;
    for tag in tags {
        table.insert(&hosted_tag_key(name, tag)[..], (&digest_key(digest)[..], now()))?;
    }
    Ok(true)
}

fn delete_manifest(transaction: &WriteTransaction, name: &RepositoryName, digest: &Digest) -> Result<bool, CatalogError> {
    let mut manifests = transaction.open_table(MANIFESTS)?;
    let Some(row) = manifests.remove(&content_key(digest, name)[..])? else { return Ok(false) };
    if let Some((subject, _)) = split_digest(row.value().2) {
        transaction.open_table(REFERRERS)?.remove(&referrer_key(name, &subject, digest)[..])?;
    }
    let (prefix, named) = (name_key(name), digest_key(digest));
    let mut tags = transaction.open_table(TAGS)?;
    tags.retain_in(&prefix[..]..&after_prefix(&prefix)[..], |_, (digest, _)| digest != named)?;
    Ok(true)
}

fn referrer_key(name: &RepositoryName, subject: &Digest, referrer: &Digest) -> Vec<u8> {
    let mut key = referrers_key(name, subject);
    key.extend_from_slice(&digest_key(referrer));
    key
}

fn note_repository(transaction: &WriteTransaction, name: &RepositoryName) -> Result<(), CatalogError> {
    let mut repositories = transaction.open_table(REPOSITORIES)?;
    if repositories.get(name.as_str().as_bytes())?.is_none() {
        repositories.insert(name.as_str().as_bytes(), now())?;
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
