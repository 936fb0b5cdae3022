//! What can go wrong.

use std::{io, path::PathBuf, sync::Arc};

use super::codec::Damaged;

/// Why the graph cannot be opened, kept or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GraphError {
    /// Another process has it open: a server, which can be asked.
    #[error("the graph is in use by another process")]
    InUse,
    /// There is none yet.
    #[error("there is no graph in {}; a server with graph.enabled makes one", .0.display())]
    Missing(PathBuf),
    /// What was read makes no sense.
    #[error("the graph is damaged: {0}")]
    Damaged(Arc<str>),
    /// A later version has written it.
    #[error("the graph was written by a later version of harbinger (its format is {0}, this version reads 1): use that version")]
    Later(u64),
    /// The database failed.
    #[error("the graph's database failed: {0}")]
    Database(Arc<redb::Error>),
    /// A thread cannot be started.
    #[error("the graph's threads cannot be started: {0}")]
    Threads(Arc<io::Error>),
    /// It has been stopped.
    #[error("the graph is closed")]
    Closed,
}

impl GraphError {
    /// Whether the file is of no use, to this version at least.
    pub(super) const fn is_of_the_file(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Later(_))
    }
}

impl From<Damaged> for GraphError {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged.to_string().into())
    }
}

impl<E: Into<redb::Error>> From<E> for GraphError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                Self::Damaged(error.to_string().into())
            }
            error @ (redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => Self::Damaged(error.to_string().into()),
            error => Self::Database(Arc::new(error)),
        }
    }
}
