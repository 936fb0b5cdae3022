//! The durable rows: which repository may read which content, what tags name, and all that was pushed.
//!
//! Everything that must survive, apart from the bytes themselves, is in one redb database with one writer thread: writes
//! that arrive while a commit is under way share the next one (group commit). Reads go through a cache of recent rows.

mod hosted;
mod keys;
mod readers;
mod rows;
mod store;
mod survey;
mod uses;
mod writer;

pub use hosted::{ContentKind, HostedManifest, Missing, PutManifest, Wanted};
pub use keys::{Repository, TagKey};
pub use rows::{Link, TagRow};
pub use survey::Linked;

use std::{io, path::Path, sync::Arc};

use moka::sync::Cache;
use redb::{ReadTransaction, ReadableDatabase, TableDefinition};

use crate::oci::Digest;
use rows::{LinkValue, TagValue};
use store::Store;
use writer::{Change, Forgotten, Writer};

const LINKS: TableDefinition<'_, &[u8], LinkValue<'static>> = TableDefinition::new("links");
const TAGS: TableDefinition<'_, &[u8], TagValue<'static>> = TableDefinition::new("tags");

/// Recent rows kept in memory, per table. About 200 bytes each.
const CACHED_ROWS: u64 = 100_000;

/// Rows of one kind that are forgotten in one transaction: others wait no longer for theirs.
const FORGOTTEN_AT_ONCE: usize = 10_000;

/// The catalog of one server.
#[derive(Debug)]
pub struct Catalog {
    store: Arc<Store>,
    writer: Writer,
    links: Cache<(Repository, Digest), Link>,
    tags: Cache<TagKey, TagRow>,
}

/// Why the catalog cannot be opened, read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogError {
    /// Another process has it open.
    #[error("the catalog is in use by another process: stop it, or choose another data folder")]
    InUse,
    /// The database failed.
    #[error("the catalog failed: {0}")]
    Database(Arc<redb::Error>),
    /// It was closed; or the disk failed, and the next write tries to open it again.
    #[error("the catalog is closed, or its disk failed")]
    Closed,
    /// The writer thread cannot be started, or is gone.
    #[error("the catalog's writer failed: {0}")]
    Writer(Arc<io::Error>),
}

impl CatalogError {
    /// Whether the disk is full.
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Database(error) if matches!(&**error, redb::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull))
    }
}

impl<E: Into<redb::Error>> From<E> for CatalogError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            error => Self::Database(Arc::new(error)),
        }
    }
}

impl Catalog {
    /// Opens the catalog in `file`, which is made if it is not there. After a crash this takes milliseconds, whatever the
    /// number of rows: every commit leaves what a quick repair needs.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn open(file: &Path) -> Result<Self, CatalogError> {
        let store = Arc::new(Store::open(file)?);
        let writer = Writer::start(store.clone())?;
        Ok(Self { store, writer, links: Cache::new(CACHED_ROWS), tags: Cache::new(CACHED_ROWS) })
    }

    /// Waits until all that has been handed over is durable, and seen by those who walk through the rows.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub async fn settle(&self) -> Result<(), CatalogError> {
        self.writer.commit(Change::Nothing).await.map(drop)
    }

    /// Makes durable what has been handed over, and lets go of the file: another process may open it, whoever still holds
    /// this value. Every later read and write fails.
    pub async fn close(&self) {
        // That a change could not be made has been logged.
        let _ = self.writer.commit(Change::Nothing).await;
        let store = self.store.clone();
        // Closing syncs, which takes a while. A panic in there leaves the file as a crash would.
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }

    /// The link of a content in a repository: without one, the content may not be read there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn link(&self, repository: &Repository, digest: &Digest) -> Result<Option<Link>, CatalogError> {
        let key = (repository.clone(), *digest);
        if let Some(link) = self.links.get(&key) {
            return Ok(Some(link));
        }
        let link = self.read(LINKS, &repository.link_key(digest), Link::from_value)?;
        if let Some(link) = &link {
            self.links.insert(key, link.clone());
        }
        Ok(link)
    }

    /// Makes a link. It is seen at once, and durable when the returned future ends; dropping that undoes nothing.
    ///
    /// # Errors
    /// When it cannot be made durable; it is seen until it leaves the cache of recent rows all the same.
    pub fn put_link(
        &self,
        repository: &Repository,
        digest: &Digest,
        link: Link,
    ) -> impl Future<Output = Result<(), CatalogError>> + Send + use<> {
        let change = Change::PutLink(repository.link_key(digest), link.clone());
        self.links.insert((repository.clone(), *digest), link);
        let made = self.writer.commit(change);
        async { made.await.map(drop) }
    }

    /// Writes the length of a content into its link, if that is there still: a link that has been removed stays so. Made
    /// when the returned future ends; dropping that undoes nothing.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn size_link(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> impl Future<Output = Result<(), CatalogError>> + Send + use<> {
        let made = self.writer.commit(Change::SizeLink(repository.link_key(digest), size));
        let (links, key) = (self.links.clone(), (repository.clone(), *digest));
        async move {
            // The next reader reads the row anew. Where there is none, whoever removed it has seen to that, or it could not be
            // written: the link is seen all the same.
            if made.await? {
                links.invalidate(&key);
            }
            Ok(())
        }
    }

    /// Removes a link.
    ///
    /// # Errors
    /// When the removal cannot be made durable.
    pub async fn remove_link(&self, repository: &Repository, digest: &Digest) -> Result<(), CatalogError> {
        self.links.invalidate(&(repository.clone(), *digest));
        let removed = self.writer.commit(Change::RemoveLink(repository.link_key(digest))).await;
        // A reader may have brought the old row back while the commit was under way.
        self.links.invalidate(&(repository.clone(), *digest));
        removed.map(drop)
    }

    /// What a tag named when it was last looked at.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn tag(&self, key: &TagKey) -> Result<Option<TagRow>, CatalogError> {
        if let Some(row) = self.tags.get(key) {
            return Ok(Some(row));
        }
        let row = self.read(TAGS, &key.bytes(), TagRow::from_value)?;
        if let Some(row) = &row {
            self.tags.insert(key.clone(), row.clone());
        }
        Ok(row)
    }

    /// Notes what a tag names. Seen at once, and durable when the returned future ends; dropping that undoes nothing.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn put_tag(&self, key: &TagKey, row: TagRow) -> impl Future<Output = Result<(), CatalogError>> + Send + use<> {
        self.tags.insert(key.clone(), row.clone());
        let made = self.writer.commit(Change::PutTag(key.bytes(), row));
        async { made.await.map(drop) }
    }

    /// Forgets a tag.
    ///
    /// # Errors
    /// When the removal cannot be made durable.
    pub async fn remove_tag(&self, key: &TagKey) -> Result<(), CatalogError> {
        self.tags.invalidate(key);
        let removed = self.writer.commit(Change::RemoveTag(key.bytes())).await;
        self.tags.invalidate(key);
        removed.map(drop)
    }

    /// Forgets tags and links, and what is known of manifests that no repository has any more. Not seen any more at once;
    /// whatever is written after this call comes after it. Durable when the returned future ends, which has to be awaited.
    ///
    /// # Errors
    /// When the removal cannot be made durable. A part of it may be: rows go in groups.
    pub fn forget(
        &self,
        tags: &[TagKey],
        links: &[(Repository, Digest)],
        manifests: &[Digest],
    ) -> impl Future<Output = Result<(), CatalogError>> + Send + use<> {
        tags.iter().for_each(|key| self.tags.invalidate(key));
        links.iter().for_each(|key| self.links.invalidate(key));
        let changes = tags
            .chunks(FORGOTTEN_AT_ONCE)
            .map(|tags| Forgotten { tags: tags.iter().map(TagKey::bytes).collect(), ..Forgotten::default() });
        let changes = changes.chain(links.chunks(FORGOTTEN_AT_ONCE).map(|links| {
            let links = links.iter().map(|(repository, digest)| repository.link_key(digest)).collect();
            Forgotten { links, ..Forgotten::default() }
        }));
        let changes = changes.chain(
            manifests
                .chunks(FORGOTTEN_AT_ONCE)
                .map(|manifests| Forgotten { manifests: manifests.to_vec(), ..Forgotten::default() }),
        );
        let made: Vec<_> = changes.map(|forgotten| self.writer.commit(Change::Forget(forgotten))).collect();
        let (cached_tags, cached_links) = (self.tags.clone(), self.links.clone());
        let (tags, links) = (tags.to_vec(), links.to_vec());
        async move {
            let mut result = Ok(());
            for made in made {
                result = result.and(made.await.map(drop));
            }
            // A reader may have brought an old row back while the commits were under way.
            tags.iter().for_each(|key| cached_tags.invalidate(key));
            links.iter().for_each(|key| cached_links.invalidate(key));
            result
        }
    }

    fn read<V: redb::Value + 'static, T>(
        &self,
        table: TableDefinition<'_, &'static [u8], V>,
        key: &[u8],
        parse: impl FnOnce(V::SelfType<'_>) -> Option<T>,
    ) -> Result<Option<T>, CatalogError> {
        self.reading(|transaction| Ok(transaction.open_table(table)?.get(key)?.and_then(|row| parse(row.value()))))
    }

    /// Reads one state of the database.
    fn reading<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, CatalogError>) -> Result<T, CatalogError> {
        self.store.with(|database| read(&database.begin_read()?))
    }
}

#[cfg(test)]
mod tests;
