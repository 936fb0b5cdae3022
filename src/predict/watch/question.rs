//! What upstreams are asked.

use super::Subject;
use crate::events::Repository;

/// What an upstream is to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// What a tag names by now.
    Tag(Subject),
    /// Which tags a repository has by now.
    List(Repository),
}

impl Question {
    /// The repository that it is about.
    pub fn repository(&self) -> &Repository {
        match self {
            Self::Tag(subject) => &subject.repository,
            Self::List(repository) => repository,
        }
    }
}
