//! Places at which clients can read a content themselves.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use object_store::{
    path::Path,
    signer::{Method, Signer},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::Url;

use super::{Bucket, Shared, failure::explain};
use crate::oci::Digest;

/// Clouds sign nothing for longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// How clients are sent to contents.
#[derive(Debug, Clone)]
pub struct Locations {
    /// For how long a URL works at least; seven days at most.
    pub expires: Duration,
    /// A content delivery network before the bucket.
    pub cdn: Option<Cdn>,
}

/// A content delivery network that fetches from the bucket.
#[derive(Debug, Clone)]
pub struct Cdn {
    /// Where it answers; what stands for the root of the bucket.
    pub url: Url,
    /// With a key, the URL carries `?verify=<seconds>-<MAC>`: seconds since 1970, and in unpadded base64url the HMAC-SHA256 of the
    /// path and those seconds as text. The network checks it, decides how long it is valid, and reads the bucket with rights of
    /// its own. Without a key, the URL is the one that the bucket's owner signed, path and query, at the network's host: it passes both
    /// on.
    pub key: Option<SecretString>,
}

/// What signs for the bucket.
#[derive(Clone)]
pub(super) struct Signing(Option<Arc<dyn Signer>>);

impl Default for Locations {
    fn default() -> Self {
        Self { expires: Duration::from_secs(15 * 60), cdn: None }
    }
}

impl Signing {
    pub(super) fn new(bucket: &Bucket) -> Self {
        Self(bucket.signer.clone())
    }
}

impl Shared {
    pub(super) async fn location(self: &Arc<Self>, digest: &Digest, size: u64) -> Option<Url> {
        // Clients are not sent to a bucket that fails.
        if self.breaker.is_open() || self.size(digest).await? != size {
            return None;
        }
        let path = self.bucket.blob(digest);
        let locations = self.locations.load_full();
        if let Some(Cdn { url, key: Some(key) }) = &locations.cdn {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            return Some(verifiable(url, &path, key.expose_secret().as_bytes(), now));
        }
        let signed = self.signed(path, locations.expires.min(LONGEST)).await?;
        match &locations.cdn {
            Some(cdn) => Some(moved(&signed, &cdn.url)),
            None => Some(signed),
        }
    }

    /// Credentials may have to be fetched for it: it has the budget of a lookup.
    async fn signed(&self, path: Path, expires: Duration) -> Option<Url> {
        let signer = self.signing.0.clone()?;
        let budget = self.lookup_timeout;
        let signing = self.runtime.spawn(async move { timeout(budget, signer.signed_url(Method::GET, &path, expires)).await });
        match signing.await {
            Ok(Ok(Ok(url))) => Some(url),
            Ok(Ok(Err(error))) => {
                tracing::warn!(error = explain(&error), "a URL of the bucket cannot be signed; the content is sent from here");
                None
            }
            _ => None,
        }
    }
}

/// The same path and query at another host, below its path.
fn moved(signed: &Url, cdn: &Url) -> Url {
    let mut url = cdn.clone();
    url.set_path(&format!("{}{}", cdn.path().trim_end_matches('/'), signed.path()));
    url.set_query(signed.query());
    url
}

/// The object at the network, with a proof that it was us who told the URL, at `now` in seconds since 1970.
fn verifiable(cdn: &Url, object: &Path, key: &[u8], now: u64) -> Url {
    let mut url = cdn.clone();
    url.set_path(&format!("{}/{object}", cdn.path().trim_end_matches('/')));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mac = hmac::sign(&key, format!("{}{now}", url.path()).as_bytes());
    url.set_query(Some(&format!("verify={now}-{}", BASE64_URL_SAFE_NO_PAD.encode(mac))));
    url
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Signing" } else { "no signing" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_signed_url_moves_with_path_and_query() {
        let signed = url("http://h:9000/box/p/blobs/k%2B?X-Amz-Signature=a%2Fb&X-Amz-Expires=9");
        let query = "?X-Amz-Signature=a%2Fb&X-Amz-Expires=9";
        for (cdn, start) in [
            ("https://cdn.example", "https://cdn.example/box/p/blobs/k%2B"),
            ("https://cdn.example:8443/a/", "https://cdn.example:8443/a/box/p/blobs/k%2B"),
        ] {
            assert_eq!(moved(&signed, &url(cdn)).as_str(), format!("{start}{query}"));
        }
    }

    /// The MACs are from `printf '%s' '<path><seconds>' | openssl dgst -sha256 -hmac secret -binary | basenc --base64url`.
    #[test]
    fn a_network_can_verify_what_it_is_asked_for() {
        let object = Path::from("p/blobs/sha256/3f/3f0a");
        for (cdn, expected) in [
            (
                "https://cdn.example",
                "https://cdn.example/p/blobs/sha256/3f/3f0a?verify=1484063137-enH8sWY0gq0gzFOjSGCyfQx5_6LeT1tHwcfvO9SssIM",
            ),
            (
                "https://cdn.example/a/",
                "https://cdn.example/a/p/blobs/sha256/3f/3f0a?verify=1484063137-RO-dHXTJQk12xafCz_o1gownM-OERJiU3o_Wvx_3iGs",
            ),
        ] {
            assert_eq!(verifiable(&url(cdn), &object, b"secret", 1_484_063_137).as_str(), expected);
        }
    }
}
