//! The database file, and how it comes back after the disk failed.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::RwLock;
use redb::{Database, ReadableDatabase};

use super::{CatalogError, LINKS, TAGS, hosted, uses};

/// Bytes of the file that are kept in memory at most.
const CACHE: usize = 64 << 20;

/// A database that can be closed and opened again. redb refuses all work after an I/O error (a full disk is one) until it is
/// opened anew, which brings back the last commit.
#[derive(Debug)]
pub(super) struct Store {
    file: PathBuf,
    database: RwLock<Option<Database>>,
    closed: AtomicBool,
}

impl Store {
    pub(super) fn open(file: &Path) -> Result<Self, CatalogError> {
        let database = RwLock::new(Some(open(file)?));
        Ok(Self { file: file.to_owned(), database, closed: AtomicBool::new(false) })
    }

    /// Does something with the database. Opening it again waits for this to end.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, CatalogError>) -> Result<T, CatalogError> {
        match &*self.database.read() {
            Some(database) => work(database),
            None => Err(CatalogError::Closed),
        }
    }

    /// Closes the database for good, once whatever is being done with it has ended.
    pub(super) fn close(&self) {
        let mut database = self.database.write();
        self.closed.store(true, Ordering::Release);
        *database = None;
    }

    /// Opens the database again, unless it was closed.
    pub(super) fn reopen(&self) -> Result<(), CatalogError> {
        let mut database = self.database.write();
        if self.closed.load(Ordering::Acquire) {
            return Err(CatalogError::Closed);
        }
        // The old one has to let go of the file first.
        *database = None;
        *database = Some(open(&self.file)?);
        Ok(())
    }
}

/// Opens a database, with all its tables.
fn open(file: &Path) -> Result<Database, CatalogError> {
    let database = Database::builder().set_cache_size(CACHE).create(file)?;
    // A commit takes a while: not at every start. The newest table stands for all.
    if !uses::has_tables(&database.begin_read()?)? {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(LINKS)?;
        transaction.open_table(TAGS)?;
        hosted::make_tables(&transaction)?;
        uses::make_tables(&transaction)?;
        transaction.commit()?;
    }
    Ok(database)
}
