//! What came of asking.

use std::time::Duration;

use crate::oci::{Digest, Tag};

/// What an upstream said of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It names what it named before.
    Same,
    /// It names this.
    Names(Digest),
    /// There is no such tag.
    Gone,
    /// It never moves: nobody has to be asked.
    Fixed,
    /// Nothing: the upstream is away.
    Failed,
    /// Nothing: the upstream wants to be left alone for so long.
    Limited(Duration),
}

/// What an upstream said of a repository's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// It has these.
    Tags(Vec<Tag>),
    /// Nothing of use: there are too many, or it tells no lists, or not of this repository.
    Useless,
    /// Nothing: the upstream is away.
    Failed,
    /// Nothing: the upstream wants to be left alone for so long.
    Limited(Duration),
}

impl Listed {
    /// As a word.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Tags(_) => "tags",
            Self::Useless => "useless",
            Self::Failed => "failed",
            Self::Limited(_) => "limited",
        }
    }
}

impl Answer {
    /// As a word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Names(_) => "names",
            Self::Gone => "gone",
            Self::Fixed => "fixed",
            Self::Failed => "failed",
            Self::Limited(_) => "limited",
        }
    }
}
