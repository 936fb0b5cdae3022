//! The database file, and how it comes back after the disk failed.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::RwLock;
use redb::Database;

use super::CatalogError;

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
        let database = RwLock::new(Some(Database::create(file)?));
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
        *database = Some(Database::create(&self.file)?);
        Ok(())
    }
}
