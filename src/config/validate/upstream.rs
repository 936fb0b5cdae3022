//! One `[[upstream]]`.

use std::{fs::File, time::Duration};

use url::Url;

use super::{Checked, HOUR, MOMENT, invalid, positive, within};
use crate::config::{Mode, Upstream, UpstreamKind, normal};

/// Checks an upstream whose keys begin with `path`.
pub(super) fn validate(upstream: &Upstream, path: &str) -> Checked {
    names(upstream, path)?;
    let key = |field: &str| format!("{path}.{field}");
    match &upstream.url {
        None if upstream.kind == UpstreamKind::Parent => {
            return invalid(&key("url"), "is needed: the name is the registry's and does not tell where the parent is");
        }
        None => {
            return invalid(&key("url"), format!("'{}' alone does not tell where it is; add url = \"https://…\"", upstream.name));
        }
        Some(url) => check_url(&key("url"), url)?,
    }
    credentials(upstream, path)?;
    readable_files(upstream, path)?;
    if let Some(proxy) = &upstream.proxy
        && (!matches!(proxy.scheme(), "http" | "https") || proxy.host_str().is_none())
    {
        return invalid(&key("proxy"), "must begin with http:// or https://");
    }
    within(&key("connect_timeout"), upstream.connect_timeout, MOMENT, HOUR)?;
    within(&key("first_byte_timeout"), upstream.first_byte_timeout, MOMENT, HOUR)?;
    within(&key("idle_timeout"), upstream.idle_timeout, MOMENT, HOUR)?;
    within(&key("breaker_pause"), upstream.breaker_pause, Duration::ZERO, HOUR)?;
    positive(&key("max_concurrency"), upstream.max_concurrency)?;
    positive(&key("breaker_failures"), upstream.breaker_failures as usize)?;
    if upstream.retries > 10 { invalid(&key("retries"), "must be 10 at most") } else { Ok(()) }
}

fn names(upstream: &Upstream, path: &str) -> Checked {
    let lists = [("aliases", &upstream.aliases), ("hosts", &upstream.hosts), ("realms", &upstream.realms)];
    let listed = lists
        .into_iter()
        .flat_map(|(field, names)| names.iter().enumerate().map(move |(position, name)| (format!("{field}[{position}]"), name)));
    for (field, name) in [("name".to_owned(), &upstream.name)].into_iter().chain(listed) {
        if normal(name).is_none() {
            let cause = format!("'{name}' must be a host name or a word, perhaps with ':port': no 'https://', no '/'");
            return invalid(&format!("{path}.{field}"), cause);
        }
    }
    Ok(())
}

fn check_url(key: &str, url: &Url) -> Checked {
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return invalid(key, "must begin with https:// or http:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid(key, "must hold no user name or password; use the keys username and password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return invalid(key, "must hold neither '?' nor '#'");
    }
    Ok(())
}

fn credentials(upstream: &Upstream, path: &str) -> Checked {
    let key = |field: &str| format!("{path}.{field}");
    let password = upstream.password.is_some() || upstream.password_file.is_some();
    if upstream.username.is_some() && !password {
        return invalid(&key("username"), "needs a password or a password_file");
    }
    if password && upstream.username.is_none() {
        let field = if upstream.password.is_some() { "password" } else { "password_file" };
        return invalid(&key(field), "needs a username; an access token has one too");
    }
    if upstream.password.is_some() && upstream.password_file.is_some() {
        return invalid(&key("password_file"), "is given beside password; keep one of them");
    }
    let sources = [
        ("username", upstream.username.is_some()),
        ("docker_config", upstream.docker_config.is_some()),
        ("credential_helper", upstream.credential_helper.is_some()),
    ];
    let mut given = sources.iter().filter(|(_, given)| *given).map(|(field, _)| *field);
    let Some(first) = given.next() else {
        return Ok(());
    };
    if let Some(second) = given.next() {
        return invalid(&key(second), format!("is given beside {first}; keep one source of credentials"));
    }
    if let Some(helper) = &upstream.credential_helper
        && (helper.is_empty() || !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)))
    {
        return invalid(&key("credential_helper"), "must be the part after 'docker-credential-', for example ecr-login");
    }
    if upstream.mode == Mode::Public {
        let cause = "credentials are configured, so private content would be readable by everyone who reaches this server; write \
                     mode = \"shared\" if that is meant";
        return invalid(&key(first), cause);
    }
    Ok(())
}

fn readable_files(upstream: &Upstream, path: &str) -> Checked {
    for (field, file) in [
        ("password_file", &upstream.password_file),
        ("docker_config", &upstream.docker_config),
        ("ca_file", &upstream.ca_file),
        ("client_cert_file", &upstream.client_cert_file),
    ] {
        if let Some(file) = file
            && let Err(error) = File::open(file)
        {
            return invalid(&format!("{path}.{field}"), format!("{} cannot be read: {error}", file.display()));
        }
    }
    Ok(())
}
