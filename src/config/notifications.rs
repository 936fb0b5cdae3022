//! `[notifications]` and `[[notify]]`

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::upstream::masked;

/// What registries and other edges may tell: that a tag has moved, or what is pulled there.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    /// What who sends shows, or signs with: 16 characters at least. Without it, nobody is listened to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "masked")]
    pub secret: Option<SecretString>,
}

/// Another edge that is told of what happens here.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Where it listens: `https://edge.example/api/v1/notifications`.
    pub url: Url,
    /// Its `notifications.secret`.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "masked")]
    pub secret: Option<SecretString>,
}

/// As it is written: with secrets masked.
impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// As it is written: with secrets masked.
impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
