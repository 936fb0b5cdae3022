//! How much may be asked.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// How much may be asked, and for whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Questions a minute, of all upstreams together.
    pub requests_per_minute: u32,
    /// Questions a minute of one upstream.
    pub requests_per_minute_each: u32,
    /// Whether repositories that release under new tags are asked for their lists of tags.
    pub tag_lists: bool,
    /// Upstreams that are not asked.
    pub off: HashSet<Arc<str>>,
    /// A tag, or a list of tags, is not asked for again before this.
    pub nearest: Duration,
    /// After this a tag is worth a question, if any is left.
    pub farthest: Duration,
    /// How much customers count; whoever is not here counts as 1.
    pub weights: HashMap<Arc<str>, f32>,
}

impl Settings {
    pub(super) fn weight(&self, customer: Option<&str>) -> f32 {
        customer.and_then(|name| self.weights.get(name)).copied().unwrap_or(1.0)
    }

    pub(super) fn is_off(&self, route: &str) -> bool {
        self.off.contains(route)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            requests_per_minute: 60,
            requests_per_minute_each: 30,
            tag_lists: true,
            off: HashSet::new(),
            nearest: Duration::from_secs(30),
            farthest: Duration::from_secs(3600),
            weights: HashMap::new(),
        }
    }
}
