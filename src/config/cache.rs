//! `[cache]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Rule;

/// How long answers that can change are believed. Content named by digest never changes and has no time here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// A tag is served without asking the upstream for this long.
    #[serde(with = "humantime_serde")]
    pub tag_ttl: Duration,
    /// Tag lists and referrers lists are served without asking the upstream for this long.
    #[serde(with = "humantime_serde")]
    pub list_ttl: Duration,
    /// "Not found" is remembered for this long.
    #[serde(with = "humantime_serde")]
    pub negative_ttl: Duration,
    /// When the upstream fails or limits us, a tag or list that was fresh at most this long ago is still served.
    #[serde(with = "humantime_serde")]
    pub stale_if_error: Duration,
    /// When something stale can be served, an upstream that takes longer than this to revalidate it is not waited for.
    #[serde(with = "humantime_serde")]
    pub stale_patience: Duration,
    /// What happens to a cached tag that the upstream has deleted.
    pub on_delete: OnDelete,
    /// What nobody has asked for in this long leaves the cache, whether there is room or not; 0 never.
    #[serde(with = "humantime_serde")]
    pub unused_ttl: Duration,
    /// Blob transfers from upstreams under way at once; a further one waits its turn. Needs a restart.
    pub max_fills: usize,
    /// What holds for some repositories instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<Rule>,
}

/// What happens to a cached tag that the upstream has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// The tag answers 404 too, as soon as it is revalidated. Its manifest can still be read by digest while it is cached.
    Follow,
    /// The tag keeps answering with the last manifest it named, marked stale, for as long as that manifest is cached.
    Keep,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            tag_ttl: Duration::from_secs(60),
            list_ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            stale_if_error: Duration::from_secs(24 * 3600),
            stale_patience: Duration::from_millis(1500),
            on_delete: OnDelete::Follow,
            unused_ttl: Duration::ZERO,
            max_fills: 256,
            rule: Vec::new(),
        }
    }
}
