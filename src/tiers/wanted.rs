//! Who wants a content, as far as tiers care.

use std::{sync::Arc, time::Duration};

/// A request for a content.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// How much the request counts: 1 for an ordinary customer's.
    pub weight: f32,
    /// Whose it is, for the accounts of who fills the tiers; `None` for nobody in particular.
    pub customer: Option<Arc<str>>,
    /// The content may leave when nobody has asked for it for this long.
    pub unused_ttl: Option<Duration>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { weight: 1.0, customer: None, unused_ttl: None }
    }
}
