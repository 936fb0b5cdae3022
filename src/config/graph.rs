//! `[graph]`

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// The layer graph. Needs a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graph {
    /// Whether there is one. Without it nothing is learned and nothing can be asked about it.
    pub enabled: bool,
    /// Memory that it takes at most. When it needs more, it forgets what is old and not in use; never what the catalog still has.
    #[serde(serialize_with = "super::size::exact")]
    pub memory: ByteSize,
    /// Whether anybody may ask about mirrors of public registries; otherwise only the operator may ask, about everything.
    pub public: bool,
}

impl Default for Graph {
    fn default() -> Self {
        Self { enabled: true, memory: ByteSize::gib(1), public: false }
    }
}
