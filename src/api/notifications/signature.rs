//! Who may notify: whoever knows the secret.
//!
//! What is compared are hashes, so that the time that it takes tells nothing of the secret.

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::super::error::ApiError;
use crate::oci::{Algorithm, Digest, ErrorCode};

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// What a sender shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The secret itself.
    Secret(String),
    /// The HMAC-SHA256 of the body, with the secret as the key, in hexadecimal.
    Signature(String),
}

/// What a request shows, if it shows anything.
pub(super) fn proof(request: &HttpRequest) -> Option<Proof> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(signature) = text("x-hub-signature-256").and_then(|value| value.strip_prefix("sha256=")) {
        return Some(Proof::Signature(signature.to_ascii_lowercase()));
    }
    let shown = text(header::AUTHORIZATION.as_str())?;
    let secret = match shown.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim().to_owned(),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
            pair.split_once(':')?.1.to_owned()
        }
        _ => shown.to_owned(),
    };
    Some(Proof::Secret(secret))
}

impl Proof {
    /// Checks what can be checked without the body.
    pub(super) fn check_header(&self, secret: &SecretString) -> Result<(), ApiError> {
        match self {
            Self::Secret(shown) => are_same(shown.as_bytes(), secret.expose_secret().as_bytes()),
            Self::Signature(_) => Ok(()),
        }
    }

    /// Checks the rest.
    pub(super) fn check_body(&self, secret: &SecretString, body: &[u8]) -> Result<(), ApiError> {
        match self {
            Self::Secret(_) => Ok(()),
            Self::Signature(shown) => are_same(shown.as_bytes(), hmac(secret.expose_secret().as_bytes(), body).hex().as_bytes()),
        }
    }
}

/// 401: nobody is listened to.
pub(super) fn not_configured() -> ApiError {
    refused("no notifications are taken here; set notifications.secret")
}

/// 401: nothing was shown.
pub(super) fn missing() -> ApiError {
    refused("show notifications.secret: as a Bearer token, as the password of Basic authorization, or by X-Hub-Signature-256")
}

fn are_same(shown: &[u8], known: &[u8]) -> Result<(), ApiError> {
    let hash = |bytes| Digest::of(Algorithm::Sha256, bytes);
    if hash(shown) == hash(known) {
        Ok(())
    } else {
        Err(refused("the secret or the signature is not that of notifications.secret"))
    }
}

fn refused(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
}

/// RFC 2104, with SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> Digest {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        let hash = Digest::of(Algorithm::Sha256, key);
        block[..hash.as_bytes().len()].copy_from_slice(hash.as_bytes());
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let keyed = |with: u8, message: &[u8]| {
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(&block.map(|byte| byte ^ with));
        hasher.update(message);
        hasher.finish()
    };
    let inner = keyed(0x36, message);
    keyed(0x5c, inner.as_bytes())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_hmac_is_that_of_rfc_4231() {
        let short = hmac(b"Jefe", b"what do ya want for nothing?").hex();
        assert_eq!(short, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First").hex();
        assert_eq!(long, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn a_secret_is_shown_in_three_ways_and_signed_with_in_one() {
        let secret = SecretString::from("0123456789abcdef");
        let shown = |name: &'static str, value: &str| {
            let request = TestRequest::post().insert_header((name, value)).to_http_request();
            proof(&request)
                .is_some_and(|proof| proof.check_header(&secret).and_then(|()| proof.check_body(&secret, b"{}")).is_ok())
        };
        assert!(shown("authorization", "Bearer 0123456789abcdef"));
        assert!(shown("authorization", "0123456789abcdef"));
        assert!(shown("authorization", &format!("Basic {}", BASE64_STANDARD.encode("any:0123456789abcdef"))));
        assert!(shown("x-hub-signature-256", &format!("sha256={}", hmac(b"0123456789abcdef", b"{}").hex())));
        for wrong in ["Bearer 0123456789abcdeF", "Bearer", "", "Basic !", "Basic YTpi", "Digest 0123456789abcdef"] {
            assert!(!shown("authorization", wrong), "{wrong}");
        }
        assert!(!shown("x-hub-signature-256", &format!("sha256={}", hmac(b"0123456789abcdef", b"{} ").hex())));
        assert!(!shown("x-hub-signature-256", "sha256=") && !shown("x-hub-signature", "sha1=0123456789abcdef"));
    }
}
