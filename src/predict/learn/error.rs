//! What can go wrong while learning.

use std::{io, path::PathBuf};

/// Why a model cannot be learned, kept or read.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// Settings that make no sense.
    #[error("the model's settings are wrong: {0}")]
    Settings(String),
    /// All labels are the same: there is nothing to tell apart.
    #[error("all {0} labels are the same: a model needs both outcomes; wait for more")]
    OneOutcome(usize),
    /// Too few rows.
    #[error("{rows} rows are too few to fit a model to: wait until there are {needed}")]
    TooFew {
        /// How many there are.
        rows: usize,
        /// How many there must be.
        needed: usize,
    },
    /// The solver gave up.
    #[error("the model cannot be fitted: {0}")]
    Fit(String),
    /// A saved model has another form than this version's.
    #[error("the saved model cannot be read: {0}")]
    State(#[from] serde_json::Error),
    /// Another process has the database of models open.
    #[error("{} is in use by another process: stop it, or use another data folder", .0.display())]
    InUse(PathBuf),
    /// The file of a database that is damaged cannot be moved away.
    #[error("{} is damaged and cannot be set aside: {source}; remove it", .file.display())]
    Stuck {
        /// The database.
        file: PathBuf,
        /// Why it cannot be moved.
        source: io::Error,
    },
    /// The database failed.
    #[error("the database of models failed: {0}")]
    Database(Box<redb::Error>),
}

impl LearnError {
    /// A failure of the database.
    pub(super) fn database(error: impl Into<redb::Error>) -> Self {
        Self::Database(Box::new(error.into()))
    }
}
