//! `[[customer]]`

use serde::{Deserialize, Serialize};

/// A customer who counts otherwise than the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// The name, as `server.customer_header` brings it.
    pub name: String,
    /// How much a request of this customer counts when it is decided what stays in which tier; everybody else's counts 1.
    #[serde(default = "one")]
    pub weight: f64,
}

const fn one() -> f64 {
    1.0
}
