//! `[demand_log]`

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// The demand log: every request and every change of a tag or manifest, kept for learning. Needs a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemandLog {
    /// Whether it is kept, and whom it names. Clients' addresses are never kept, only a keyed hash of them.
    pub privacy: Privacy,
    /// Size at which a new file is begun.
    #[serde(serialize_with = "super::size::exact")]
    pub segment_size: ByteSize,
    /// Bytes of all files at most; the oldest go first.
    #[serde(serialize_with = "super::size::exact")]
    pub max_size: ByteSize,
    /// Age at which a file goes.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

/// Whom the demand log names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Nobody: there is no log.
    Off,
    /// Customers by a keyed hash of their names.
    Hashed,
    /// Customers by their names.
    Full,
}

impl Default for DemandLog {
    fn default() -> Self {
        Self {
            privacy: Privacy::Hashed,
            segment_size: ByteSize::mib(64),
            max_size: ByteSize::gib(2),
            max_age: Duration::from_secs(30 * 24 * 3600),
        }
    }
}
