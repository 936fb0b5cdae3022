//! `[notifications]` and `[[notify]]`

use secrecy::{ExposeSecret, SecretString};

use super::{Checked, Config, invalid};

/// Shorter secrets can be guessed.
const SHORTEST: usize = 16;

/// Checks who may tell, and who is told.
pub(super) fn validate(config: &Config) -> Checked {
    secret("notifications.secret", config.notifications.secret.as_ref())?;
    for (position, notify) in config.notify.iter().enumerate() {
        let key = |field: &str| format!("notify[{position}].{field}");
        if !matches!(notify.url.scheme(), "http" | "https") || notify.url.host_str().is_none_or(str::is_empty) {
            return invalid(&key("url"), "must begin with https:// or http:// and name a host");
        }
        if !notify.url.username().is_empty() || notify.url.password().is_some() {
            return invalid(&key("url"), "must hold no user name or password; use the key secret");
        }
        secret(&key("secret"), notify.secret.as_ref())?;
    }
    Ok(())
}

fn secret(key: &str, secret: Option<&SecretString>) -> Checked {
    match secret {
        Some(secret) if secret.expose_secret().len() < SHORTEST => {
            invalid(key, format!("must be {SHORTEST} characters at least, so that it cannot be guessed"))
        }
        _ => Ok(()),
    }
}
