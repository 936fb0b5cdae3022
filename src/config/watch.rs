//! `[watch]`

use serde::{Deserialize, Serialize};

/// Looking whether tags have moved before somebody asks for them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Whether upstreams are asked at all. Needs a restart.
    pub enabled: bool,
    /// Questions a minute of all upstreams together, at most. They are HEADs of manifests, which registries do not count as pulls.
    pub requests_per_minute: u32,
    /// Questions a minute of one upstream, at most.
    pub requests_per_minute_each: u32,
}

impl Default for Watch {
    fn default() -> Self {
        Self { enabled: true, requests_per_minute: 60, requests_per_minute_each: 30 }
    }
}
