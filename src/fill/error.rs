//! Why a transfer failed.

use std::{error::Error, fmt};

use crate::upstream::UpstreamError;

/// A failed transfer. Cheap to clone: everyone who followed it has it.
#[derive(Debug, Clone)]
pub struct FillError {
    /// What to decide by.
    pub kind: FillErrorKind,
    source: Option<UpstreamError>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillErrorKind {
    /// The upstream did not deliver; the cause is the error's source.
    Upstream,
    /// The bytes do not have the digest that was asked for.
    DigestMismatch,
    /// A small file that was to be verified cannot be read. Nothing of it has been sent.
    Unreadable,
    /// Everyone had left, and the transfer was given up.
    Abandoned,
    /// The disk could not take it, and nobody followed.
    NotKept,
    /// It is longer than whoever had it brought allowed, and nobody followed.
    TooLong,
    /// The transfer's task failed. A defect.
    Panicked,
}

impl FillError {
    pub(super) const fn new(kind: FillErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// The upstream's failure, if that is what it was.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        self.source.as_ref()
    }
}

impl From<UpstreamError> for FillError {
    fn from(error: UpstreamError) -> Self {
        Self { kind: FillErrorKind::Upstream, source: Some(error) }
    }
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.source) {
            (FillErrorKind::Upstream, Some(error)) => fmt::Display::fmt(error, f),
            (FillErrorKind::Upstream, None) => f.write_str("the upstream failed"),
            (FillErrorKind::DigestMismatch, _) => f.write_str("the bytes do not match the digest"),
            (FillErrorKind::Unreadable, _) => f.write_str("a file of the cache cannot be read"),
            (FillErrorKind::Abandoned, _) => f.write_str("the transfer was given up because nobody followed it any more"),
            (FillErrorKind::NotKept, _) => f.write_str("the content could not be kept, and nobody followed its transfer"),
            (FillErrorKind::TooLong, _) => f.write_str("the content is longer than its manifest says"),
            (FillErrorKind::Panicked, _) => f.write_str("the transfer failed unexpectedly"),
        }
    }
}

impl Error for FillError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| error as &(dyn Error + 'static))
    }
}
