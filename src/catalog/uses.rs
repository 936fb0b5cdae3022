//! What names what: which contents a manifest of an upstream names, and which tags name a manifest.
//!
//! Rows of both directions, so that neither question walks through a table: what a manifest brings along, and who else needs
//! a content. They say nothing about who may read. A catalog from before these rows has none of what it knew then.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::{
    Catalog, CatalogError, TagKey, TagRow,
    keys::{after_prefix, digest_key, split_digest},
    rows::TagValue,
    writer::Change,
};
use crate::oci::Digest;

/// `manifest -> digests that it names, one after the other`
const NAMED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("named");
/// `digest manifest`: a manifest that names the digest
const USES: TableDefinition<'_, &[u8], ()> = TableDefinition::new("uses");
/// `manifest route 0 name 0 tag`
const TAGGED: TableDefinition<'_, &[u8], ()> = TableDefinition::new("tagged");

/// Contents that are noted of one manifest; no image in use comes near.
const MOST_NAMED: usize = 10_000;

/// That a manifest names contents.
#[derive(Debug)]
pub(super) struct Uses {
    manifest: Digest,
    named: Vec<Digest>,
}

/// Whether the tables are there: the last one that is made is.
pub(super) fn has_tables(transaction: &ReadTransaction) -> Result<bool, CatalogError> {
    match transaction.open_table(TAGGED) {
        Ok(_) => Ok(true),
        Err(TableError::TableDoesNotExist(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes the tables, if need be.
pub(super) fn make_tables(transaction: &WriteTransaction) -> Result<(), CatalogError> {
    transaction.open_table(NAMED)?;
    transaction.open_table(USES)?;
    transaction.open_table(TAGGED)?;
    Ok(())
}

impl Uses {
    /// Writes the rows. False when they are there already: what a manifest names never changes.
    pub(super) fn apply(&self, transaction: &WriteTransaction) -> Result<bool, CatalogError> {
        let manifest = digest_key(&self.manifest);
        let mut table = transaction.open_table(NAMED)?;
        if table.get(&manifest[..])?.is_some() {
            return Ok(false);
        }
        let named: Vec<u8> = self.named.iter().flat_map(digest_key).collect();
        table.insert(&manifest[..], &named[..])?;
        let mut uses = transaction.open_table(USES)?;
        for digest in &self.named {
            uses.insert(&use_key(digest, &self.manifest)[..], ())?;
        }
        Ok(true)
    }
}

/// Takes away what is known of a manifest.
pub(super) fn forget(transaction: &WriteTransaction, manifest: &Digest) -> Result<(), CatalogError> {
    let mut table = transaction.open_table(NAMED)?;
    let Some(named) = table.remove(&digest_key(manifest)[..])? else { return Ok(()) };
    let mut uses = transaction.open_table(USES)?;
    for digest in digests(named.value()) {
        uses.remove(&use_key(&digest, manifest)[..])?;
    }
    Ok(())
}

/// A tag's row has changed: `tag` is its key, `old` and `new` what it named and names.
pub(super) fn tag_moved(
    transaction: &WriteTransaction,
    tag: &[u8],
    old: Option<TagValue<'_>>,
    new: Option<&TagRow>,
) -> Result<(), CatalogError> {
    let (old, new) = (old.and_then(TagRow::from_value).map(|row| row.digest), new.map(|row| row.digest));
    let mut tagged = transaction.open_table(TAGGED)?;
    if let Some(old) = old.filter(|old| Some(*old) != new) {
        tagged.remove(&[&digest_key(&old)[..], tag].concat()[..])?;
    }
    if let Some(new) = new {
        tagged.insert(&[&digest_key(&new)[..], tag].concat()[..], ())?;
    }
    Ok(())
}

impl Catalog {
    /// Notes what a manifest names, up to a bound that no image comes near. Durable when the returned future ends; dropping
    /// that undoes nothing.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn put_uses(
        &self,
        manifest: &Digest,
        mut named: Vec<Digest>,
    ) -> impl Future<Output = Result<(), CatalogError>> + Send + use<> {
        named.truncate(MOST_NAMED);
        let made = self.writer.commit(Change::PutUses(Uses { manifest: *manifest, named }));
        async { made.await.map(drop) }
    }

    /// What a manifest names; `None` when that was never noted, as of a content that is no manifest.
    ///
    /// # Errors
    /// When the database cannot be read; so for all that follow.
    pub fn named_by(&self, manifest: &Digest) -> Result<Option<Vec<Digest>>, CatalogError> {
        self.read(NAMED, &digest_key(manifest), |named| Some(digests(named)))
    }

    /// The manifests that name a content: at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::named_by`].
    pub fn users_of(&self, digest: &Digest, limit: usize) -> Result<Vec<Digest>, CatalogError> {
        let prefix = digest_key(digest);
        self.reading(|transaction| {
            let table = transaction.open_table(USES)?;
            let rows = table.range(&prefix[..]..&after_prefix(&prefix)[..])?.take(limit);
            let users = rows.map(|row| Ok(split_digest(&row?.0.value()[prefix.len()..]).map(|(user, _)| user)));
            users.filter_map(Result::transpose).collect()
        })
    }

    /// The tags that name a manifest, whichever repository they are of: at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::named_by`].
    pub fn tags_naming(&self, manifest: &Digest, limit: usize) -> Result<Vec<TagKey>, CatalogError> {
        let prefix = digest_key(manifest);
        self.reading(|transaction| {
            let table = transaction.open_table(TAGGED)?;
            let rows = table.range(&prefix[..]..&after_prefix(&prefix)[..])?.take(limit);
            let tags = rows.map(|row| Ok(TagKey::from_bytes(&row?.0.value()[prefix.len()..])));
            tags.filter_map(Result::transpose).collect()
        })
    }
}

fn use_key(digest: &Digest, manifest: &Digest) -> Vec<u8> {
    [digest_key(digest), digest_key(manifest)].concat()
}

fn digests(mut bytes: &[u8]) -> Vec<Digest> {
    let mut digests = Vec::new();
    while let Some((digest, rest)) = split_digest(bytes) {
        digests.push(digest);
        bytes = rest;
    }
    digests
}

#[cfg(test)]
mod tests;
