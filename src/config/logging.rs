//! `[logging]`

use serde::{Deserialize, Serialize};

/// What is written to standard error (messages) and standard output (the access log).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// Which messages are written: a level (`error`, `warn`, `info`, `debug`, `trace`) or `target=level` pairs.
    pub level: String,
    /// Whether messages are JSON objects, one a line. Needs a restart.
    pub json: bool,
    /// One line per request on standard output. Needs a restart.
    pub access: AccessLog,
}

/// The form of the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// None.
    Off,
    /// Words for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: "info".to_owned(), json: false, access: AccessLog::Text }
    }
}
