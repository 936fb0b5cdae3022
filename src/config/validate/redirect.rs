//! `[redirect]`

use std::{fs, path::Path, time::Duration};

use url::Url;

use super::{Checked, invalid};
use crate::config::{CdnSigning, Config, RedirectMode};

/// Object stores sign URLs for whole seconds, and for this long at most.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
const SHORTEST: Duration = Duration::from_secs(1);

/// A shorter key can be guessed.
const LEAST_KEY: usize = 16;

pub(super) fn validate(config: &Config) -> Checked {
    let redirect = &config.redirect;
    let of_upstreams =
        config.upstream.iter().enumerate().map(|(at, upstream)| (format!("upstream[{at}].redirect"), upstream.redirect));
    let modes = [("redirect.mode".to_owned(), Some(redirect.mode))].into_iter().chain(of_upstreams);
    for (key, mode) in modes {
        if config.storage.object.url.is_empty() && mode.is_some_and(|mode| mode != RedirectMode::Never) {
            return invalid(&key, "clients are sent to a bucket, and there is none; add [storage.object] with its url");
        }
    }
    if !(SHORTEST..=LONGEST).contains(&redirect.expires) {
        return invalid("redirect.expires", "must be between a second and 7 days: no object store signs a URL for longer");
    }
    if let Some(url) = &redirect.cdn_url {
        check_url(url)?;
    }
    let hmac = redirect.cdn_signing == CdnSigning::Hmac;
    if hmac && redirect.cdn_url.is_none() {
        return invalid("redirect.cdn_signing", "\"hmac\" signs the URLs of a CDN; add cdn_url = \"https://…\"");
    }
    match &redirect.cdn_key_file {
        None if hmac => invalid("redirect.cdn_signing", "\"hmac\" needs a key; add cdn_key_file = \"…\""),
        Some(_) if !hmac => invalid("redirect.cdn_key_file", "is of use only with cdn_signing = \"hmac\"; add that or remove it"),
        Some(path) => check_key(path),
        None => Ok(()),
    }
}

fn check_url(url: &Url) -> Checked {
    let key = "redirect.cdn_url";
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return invalid(key, "must begin with https:// or http:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid(key, "must hold no user name or password: clients get to see it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return invalid(key, "must hold neither '?' nor '#'");
    }
    Ok(())
}

fn check_key(path: &Path) -> Checked {
    let key = "redirect.cdn_key_file";
    match fs::read(path) {
        Err(error) => invalid(key, format!("{} cannot be read: {error}", path.display())),
        Ok(bytes) if bytes.trim_ascii().len() < LEAST_KEY => {
            invalid(key, format!("{} holds less than {LEAST_KEY} bytes; make a longer key", path.display()))
        }
        Ok(_) => Ok(()),
    }
}
