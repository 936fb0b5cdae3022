//! `[storage]`

use std::path::PathBuf;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Where bytes and rows live. Needs a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Folder that holds everything durable. Empty: the platform's data folder (`~/.local/share/harbinger` on Linux).
    pub data: PathBuf,
    /// The memory tier.
    pub memory: Memory,
    /// The disk tier, a folder below `data`.
    pub disk: Disk,
}

/// The memory tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Bytes held at most.
    #[serde(serialize_with = "super::size::exact")]
    pub limit: ByteSize,
    /// Content larger than this stays on disk, from where it is sent without passing through the process.
    #[serde(serialize_with = "super::size::exact")]
    pub max_entry: ByteSize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { limit: ByteSize::mib(64), max_entry: ByteSize::kib(256) }
    }
}

/// The disk tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Bytes held at most.
    #[serde(serialize_with = "super::size::exact")]
    pub limit: ByteSize,
}

impl Default for Disk {
    fn default() -> Self {
        Self { limit: ByteSize::gib(50) }
    }
}
