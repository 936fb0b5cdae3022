//! `[prefetch]`

use std::path::PathBuf;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// What may be fetched before it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prefetch {
    /// Whether anything is. Needs a restart.
    pub enabled: bool,
    /// A model that says what is likely, as an ONNX file, instead of what is learned here; it takes a build with the cargo feature
    /// `onnx`. What is learned here goes on learning, and when the model's bytes are not asked for, a fixed rule decides. Needs a
    /// restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Bytes that may be fetched so in 24 hours, as a share of what clients were sent in them. The rest of an image that a client
    /// is pulling counts only when it was not asked for after all.
    pub share: f64,
    /// Bytes that may be fetched so in 24 hours in any case.
    #[serde(serialize_with = "super::size::exact")]
    pub floor: ByteSize,
    /// Bytes per second that all of it takes together, apart from the rest of an image that a client is pulling; 0 for no limit. The
    /// more, the sooner things are here, and the longer one in a hundred answers waits.
    #[serde(serialize_with = "super::size::exact")]
    pub rate: ByteSize,
    /// Blob transfers under way at once for what is expected later; at one upstream never more than a quarter of its `max_concurrency`.
    pub parallel: usize,
    /// Blob transfers under way at once for the rest of images that clients are pulling; at one upstream never more than half of
    /// its `max_concurrency`.
    pub pull_parallel: usize,
    /// Of the pulls that an upstream counts and has left, the share that may be used so.
    pub pulls_share: f64,
    /// Of the disks' limits together, the share that may be taken by what nobody has asked for yet.
    pub disk_share: f64,
}

impl Default for Prefetch {
    fn default() -> Self {
        Self {
            enabled: true,
            model: None,
            share: 0.15,
            floor: ByteSize::gib(1),
            rate: ByteSize::mib(16),
            parallel: 4,
            pull_parallel: 16,
            pulls_share: 0.1,
            disk_share: 0.3,
        }
    }
}
