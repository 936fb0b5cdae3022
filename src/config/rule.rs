//! `[[cache.rule]]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What holds for some repositories instead of the values of `[cache]`. Of the rules that match a repository, the first one
/// that sets a value decides about that value.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which repositories: patterns of upstream and repository, `docker.io/library/*` or `ghcr.io/acme/**`. `*` stands for any
    /// text without a `/`, `**` for any text.
    pub repositories: Vec<String>,
    /// As `cache.tag_ttl`, for these repositories.
    #[serde(default, with = "humantime_serde::option", skip_serializing_if = "Option::is_none")]
    pub tag_ttl: Option<Duration>,
    /// As `cache.unused_ttl`, for these repositories.
    #[serde(default, with = "humantime_serde::option", skip_serializing_if = "Option::is_none")]
    pub unused_ttl: Option<Duration>,
    /// Patterns of tags that never move, such as `v*`: once known, such a tag is served without ever asking the upstream again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable_tags: Option<Vec<String>>,
}
