//! What a request needs leave for.

use std::fmt;

use crate::oci::RepositoryName;

/// What a request is about, as token services name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// A repository, which is to be read.
    Repository(&'a RepositoryName),
    /// The list of all repositories.
    Catalog,
}

impl Scope<'_> {
    /// The repository's name; empty for the list of all.
    pub(super) fn repository(&self) -> &str {
        match self {
            Self::Repository(name) => name.as_str(),
            Self::Catalog => "",
        }
    }
}

impl<'a> From<&'a RepositoryName> for Scope<'a> {
    fn from(name: &'a RepositoryName) -> Self {
        Self::Repository(name)
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(name) => write!(f, "repository:{name}:pull"),
            Self::Catalog => f.write_str("registry:catalog:*"),
        }
    }
}
