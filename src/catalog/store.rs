//! The database file, and how it comes back after the disk failed.

use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use redb::Database;

use super::CatalogError;

/// A database that can be closed and opened again. redb refuses all work after an I/O error (a full disk is one) until it is
/// opened anew, which brings back the last commit.
#[derive(Debug)]
pub(super) struct Store {
    file: PathBuf,
    database: RwLock<Option<Database>>,
}

impl Store {
    pub(super) fn open(file: &Path) -> Result<Self, CatalogError> {
        let database = RwLock::new(Some(Database::create(file)?));
        Ok(Self { file: file.to_owned(), database })
    }

    /// Does something with the database. Opening it again waits for this to end.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, CatalogError>) -> Result<T, CatalogError> {
        match &*self.database.read() {
            Some(database) => work(database),
            None => Err(CatalogError::Closed),
        }
    }

    /// Opens the database again.
    pub(super) fn reopen(&self) -> Result<(), CatalogError> {
        let mut database = self.database.write();
        // The old one has to let go of the file first.
        *database = None;
        *database = Some(Database::create(&self.file)?);
        Ok(())
    }
}
