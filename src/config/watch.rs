//! `[watch]`

use std::time::Duration;

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
    /// A tag, or a list of tags, is not asked for again before this.
    #[serde(with = "humantime_serde")]
    pub min_interval: Duration,
    /// Whether upstreams in mode `shared` are asked for the tags of repositories of which ever new ones are pulled here, so that a
    /// new one is known before it is pulled. Lists of more than 10,000 tags, or of more than ten pages, are left alone.
    pub tag_lists: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            enabled: true,
            requests_per_minute: 60,
            requests_per_minute_each: 30,
            min_interval: Duration::from_secs(30),
            tag_lists: true,
        }
    }
}
