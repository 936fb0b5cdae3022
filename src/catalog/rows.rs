//! Rows, as values and as the tuples that redb stores.

use std::time::{Duration, SystemTime};

use super::keys::{algorithm_code, algorithm_of};
use crate::oci::{Digest, MediaType};

/// `(size or u64::MAX, media type or "")`
pub(super) type LinkValue<'a> = (u64, &'a str);

/// `(algorithm, digest, media type, size, milliseconds since 1970)`
pub(super) type TagValue<'a> = (u8, &'a [u8], &'a str, u64, u64);

const UNKNOWN_SIZE: u64 = u64::MAX;

/// That a content may be read in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The content's length in bytes, when it was known.
    pub size: Option<u64>,
    /// The media type to serve it under; `None` for a blob.
    pub media_type: Option<MediaType>,
}

impl Link {
    pub(super) fn to_value(&self) -> LinkValue<'_> {
        (self.size.unwrap_or(UNKNOWN_SIZE), self.media_type.as_ref().map_or("", MediaType::as_str))
    }

    pub(super) fn from_value((size, media_type): LinkValue<'_>) -> Option<Self> {
        Some(Self { size: (size != UNKNOWN_SIZE).then_some(size), media_type: media_type.parse().ok() })
    }
}

/// What a tag named, and when the upstream last said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRow {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size: u64,
    /// When the upstream last confirmed it.
    pub confirmed: SystemTime,
}

impl TagRow {
    /// How long ago the upstream confirmed it; `None` when that lies in the future, because the clock was set back.
    pub fn age(&self) -> Option<Duration> {
        self.confirmed.elapsed().ok()
    }

    pub(super) fn to_value(&self) -> TagValue<'_> {
        let confirmed = self.confirmed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let algorithm = algorithm_code(self.digest.algorithm());
        (algorithm, self.digest.as_bytes(), self.media_type.as_str(), self.size, confirmed.as_millis() as u64)
    }

    pub(super) fn from_value((algorithm, digest, media_type, size, confirmed): TagValue<'_>) -> Option<Self> {
        Some(Self {
            digest: Digest::from_bytes(algorithm_of(algorithm)?, digest)?,
            media_type: media_type.parse().ok()?,
            size,
            confirmed: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(confirmed))?,
        })
    }
}
