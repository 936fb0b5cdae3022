//! Where clients are sent for blobs, as the configuration says it.

use std::fs;

use secrecy::SecretString;

use super::StartError;
use crate::{
    config::{CdnSigning, Redirect},
    tiers::{Cdn, Locations},
};

/// # Errors
/// When the key of the CDN cannot be read.
pub(super) fn locations(redirect: &Redirect) -> Result<Locations, StartError> {
    let key = match (&redirect.cdn_key_file, redirect.cdn_signing) {
        (Some(path), CdnSigning::Hmac) => {
            let wrong = |cause: String| StartError(format!("redirect.cdn_key_file: {}: {cause}", path.display()));
            let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
            Some(SecretString::from(text.trim()))
        }
        // An URL that nobody has signed is for nobody.
        (None, CdnSigning::Hmac) => return Err(StartError("redirect.cdn_key_file: a CDN with \"hmac\" needs a key".to_owned())),
        (_, CdnSigning::Origin) => None,
    };
    let cdn = redirect.cdn_url.clone().map(|url| Cdn { url, key });
    Ok(Locations { expires: redirect.expires, cdn })
}
