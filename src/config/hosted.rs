//! `[hosted]`

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Repositories that live here and are pushed to, beside those that mirror an upstream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hosted {
    /// A repository is hosted when its name begins with one of these (each ends with `/`) and the request names no upstream.
    /// Empty: none is, and every push is refused.
    pub prefixes: Vec<String>,
    /// What becomes of a pushed manifest that names blobs or manifests which its repository does not have.
    pub missing_references: MissingReferences,
    /// An upload that nothing has been written to for this long is given up.
    #[serde(with = "humantime_serde")]
    pub upload_ttl: Duration,
    /// Uploads under way at once, per customer.
    pub max_uploads: usize,
    /// Bytes in uploads under way, per customer. Also the largest blob that can be pushed.
    #[serde(serialize_with = "super::size::exact")]
    pub max_upload_bytes: ByteSize,
    /// How often bytes that no repository has any more are deleted; 0 never.
    #[serde(with = "humantime_serde")]
    pub gc_interval: Duration,
    /// Bytes are kept at least this long after they were written, whether a repository has them or not.
    #[serde(with = "humantime_serde")]
    pub gc_grace: Duration,
}

/// What becomes of a manifest that names what its repository does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingReferences {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken: sparse indexes and images may be pushed.
    Allow,
}

impl Default for Hosted {
    fn default() -> Self {
        Self {
            prefixes: vec!["local/".to_owned()],
            missing_references: MissingReferences::Refuse,
            upload_ttl: Duration::from_secs(24 * 3600),
            max_uploads: 1000,
            max_upload_bytes: ByteSize::gib(100),
            gc_interval: Duration::from_secs(3600),
            gc_grace: Duration::from_secs(3600),
        }
    }
}
