//! Models on disk: one row each in a database (redb), under the version of their features.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};
use serde::{Serialize, de::DeserializeOwned};

use super::error::LearnError;

/// By name: the version of the features, and the model as JSON.
const MODELS: TableDefinition<'_, &str, (u32, &[u8])> = TableDefinition::new("models");
/// Models of other versions, by name and version.
const ASIDE: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("aside");

/// Bytes of the file that are kept in memory at most.
const CACHE: usize = 1 << 20;

/// The database of models.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the database in `file`, which is made if it is not there. One that is damaged is set aside under another name: what it
    /// held is learned again.
    ///
    /// # Errors
    ///
    /// [`LearnError::InUse`] if another process has it open, [`LearnError::Stuck`] and [`LearnError::Database`] if the disk fails.
    pub fn open(file: &Path) -> Result<Self, LearnError> {
        match create(file) {
            Err(redb::Error::DatabaseAlreadyOpen) => Err(LearnError::InUse(file.to_owned())),
            Err(error) if is_damage(&error) => {
                let aside = file.with_extension("aside.redb");
                tracing::error!(%error, aside = %aside.display(), "the models cannot be read: their file is set aside, and learning begins anew");
                std::fs::rename(file, aside).map_err(|source| LearnError::Stuck { file: file.to_owned(), source })?;
                create(file).map(|database| Self { database }).map_err(LearnError::database)
            }
            opened => opened.map(|database| Self { database }).map_err(LearnError::database),
        }
    }

    /// Keeps `model`, whose rows have the features of `version`, under `name`. It survives a crash once this returns.
    ///
    /// # Errors
    ///
    /// [`LearnError::Database`] if the disk fails; what was kept before is still there then.
    pub fn save<T: Serialize>(&self, name: &str, version: u32, model: &T) -> Result<(), LearnError> {
        let bytes = serde_json::to_vec(model)?;
        let write = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            transaction.open_table(MODELS)?.insert(name, (version, &*bytes))?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(LearnError::database)
    }

    /// The model under `name`. None if there is none, or if the one that is there cannot be used: one with the features of another
    /// version, or one that cannot be read, is set aside and learned anew.
    ///
    /// # Errors
    ///
    /// [`LearnError::Database`] if the disk fails.
    pub fn load<T: DeserializeOwned>(&self, name: &str, version: u32) -> Result<Option<T>, LearnError> {
        let Some((found, bytes)) = self.read(name).map_err(LearnError::database)? else { return Ok(None) };
        if found != version {
            tracing::info!(
                model = name,
                found,
                wanted = version,
                "a model was learned from other features: it is set aside and learned anew"
            );
        } else {
            match serde_json::from_slice(&bytes) {
                Ok(model) => return Ok(Some(model)),
                Err(error) => tracing::error!(model = name, %error, "a model cannot be read: it is set aside and learned anew"),
            }
        }
        self.set_aside(name, found, &bytes).map_err(LearnError::database)?;
        Ok(None)
    }

    fn read(&self, name: &str) -> Result<Option<(u32, Vec<u8>)>, redb::Error> {
        let table = match self.database.begin_read()?.open_table(MODELS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        let row = table.get(name)?;
        Ok(row.map(|row| {
            let (version, bytes) = row.value();
            (version, bytes.to_vec())
        }))
    }

    fn set_aside(&self, name: &str, version: u32, bytes: &[u8]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(MODELS)?.remove(name)?;
        transaction.open_table(ASIDE)?.insert((name, version), bytes)?;
        transaction.commit()?;
        Ok(())
    }
}

fn create(file: &Path) -> Result<Database, redb::Error> {
    let database = Database::builder().set_cache_size(CACHE).create(file)?;
    // A table of another type shows here, not when a model is saved.
    match database.begin_read()?.open_table(MODELS) {
        Ok(_) | Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(database)
}

fn is_damage(error: &redb::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        redb::Error::Io(error) => matches!(error.kind(), InvalidData | UnexpectedEof),
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::learn::{Ftrl, FtrlSettings, Model};

    fn model() -> Ftrl {
        let mut model = Ftrl::new(2, FtrlSettings::default()).unwrap();
        (0..100).for_each(|i| model.learn(&[i as f32 / 100.0, 1.0], i > 50));
        model
    }

    #[test]
    fn a_model_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.redb");
        Store::open(&file).unwrap().save("ftrl", 3, &model()).unwrap();
        let store = Store::open(&file).unwrap();
        let loaded: Ftrl = store.load("ftrl", 3).unwrap().unwrap();
        assert!((loaded.score(&[0.7, 1.0]) - model().score(&[0.7, 1.0])).abs() < 1e-12);
        assert_eq!(store.load::<Ftrl>("another", 3).unwrap(), None);
    }

    #[test]
    fn a_model_of_other_features_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("model.redb")).unwrap();
        assert_eq!(store.load::<Ftrl>("ftrl", 3).unwrap(), None);
        store.save("ftrl", 3, &model()).unwrap();
        assert_eq!(store.load::<Ftrl>("ftrl", 4).unwrap(), None);
        assert_eq!(store.load::<Ftrl>("ftrl", 3).unwrap(), None, "it is aside now");
        store.save("ftrl", 4, &model()).unwrap();
        assert!(store.load::<Ftrl>("ftrl", 4).unwrap().is_some());
        let aside = store.database.begin_read().unwrap().open_table(ASIDE).unwrap();
        assert!(aside.get(("ftrl", 3)).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.redb");
        std::fs::write(&file, b"this is not a database, but it is longer than nothing").unwrap();
        let store = Store::open(&file).unwrap();
        assert!(folder.path().join("model.aside.redb").exists());
        store.save("ftrl", 1, &"not a model").unwrap();
        assert_eq!(store.load::<Ftrl>("ftrl", 1).unwrap(), None);
        assert!(matches!(Store::open(&file), Err(LearnError::InUse(_))));
    }
}
