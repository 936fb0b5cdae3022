//! `[redirect]`

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Network;

/// Which clients are sent to the object store, or to a CDN in front of it, for blobs that are there. An upstream may have a
/// `redirect` of its own. A client that does not want it sends `X-Harbinger-No-Redirect: 1`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redirect {
    /// Blobs that clients are sent elsewhere for: none, those larger than `above`, or all. Needs `[storage.object]`.
    pub mode: RedirectMode,
    /// With `large`: blobs up to this size are served from here.
    #[serde(serialize_with = "super::size::exact")]
    pub above: ByteSize,
    /// How long the URL holds that a client gets. A transfer that has begun by then goes on.
    #[serde(with = "humantime_serde")]
    pub expires: Duration,
    /// Networks whose clients may be sent elsewhere (`10.0.0.0/8`, `2001:db8::/32`, or single addresses); empty: all. What
    /// counts is the address that the connection comes from.
    pub clients: Vec<Network>,
    /// Where a CDN serves what is in the bucket: clients are sent there. Absent: to the object store itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdn_url: Option<Url>,
    /// How URLs of the CDN are signed. `origin`: by the object store; the CDN hands path and query on to it. `hmac`: with the key
    /// in `cdn_key_file`, for a CDN that reads the bucket by itself: `?verify=`, the time in seconds since 1970, `-`, and in
    /// unpadded base64url the HMAC-SHA256 of the path and that time.
    pub cdn_signing: CdnSigning,
    /// File that holds the key for `cdn_signing = "hmac"`; at least 16 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdn_key_file: Option<PathBuf>,
}

/// For which blobs clients are sent elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedirectMode {
    /// For none.
    #[default]
    Never,
    /// For those above a size.
    Large,
    /// For all.
    Always,
}

/// Who signs the URLs of a CDN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CdnSigning {
    /// The object store.
    #[default]
    Origin,
    /// This server.
    Hmac,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            mode: RedirectMode::Never,
            above: ByteSize::mib(1),
            expires: Duration::from_secs(15 * 60),
            clients: Vec::new(),
            cdn_url: None,
            cdn_signing: CdnSigning::Origin,
            cdn_key_file: None,
        }
    }
}
