//! What types cannot say about a configuration.

use std::time::Duration;

use bytesize::ByteSize;

use super::{Config, Names};
use crate::oci::RepositoryName;

mod upstream;

/// A key with a value that makes no sense, and why.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) key: String,
    pub(super) cause: String,
}

type Checked = Result<(), Invalid>;

const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const MOMENT: Duration = Duration::from_millis(1);

/// Finds the first value that makes no sense.
pub(super) fn validate(config: &Config) -> Checked {
    server(config)?;
    cache(config)?;
    hosted(config)?;
    storage(config)?;
    logging(config)?;
    for (position, one) in config.upstream.iter().enumerate() {
        upstream::validate(one, &format!("upstream[{position}]"))?;
    }
    let names = Names::new(&config.upstream).map_err(|error| Invalid { key: "upstream".to_owned(), cause: error.to_string() })?;
    for (position, prefix) in config.hosted.prefixes.iter().enumerate() {
        let first = prefix.split('/').next().unwrap_or_default();
        if let Some(upstream) = names.named(first) {
            let cause = format!("'{first}' is the upstream {}: what begins so is its mirror", config.upstream[upstream].name);
            return invalid(&format!("hosted.prefixes[{position}]"), cause);
        }
    }
    Ok(())
}

fn server(config: &Config) -> Checked {
    let server = &config.server;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if server.customer_header.is_empty() || !server.customer_header.bytes().all(is_token) {
        return invalid("server.customer_header", "must be the name of a header: letters, digits and '-'");
    }
    if server.region.is_empty() || server.region.len() > 64 || !server.region.chars().all(|letter| letter.is_ascii_graphic()) {
        return invalid("server.region", "must be 1 to 64 visible ASCII characters without spaces");
    }
    positive("server.max_connections", server.max_connections)?;
    within("server.head_timeout", server.head_timeout, MOMENT, HOUR)?;
    within("server.keep_alive", server.keep_alive, MOMENT, HOUR)?;
    within("server.read_stall_timeout", server.read_stall_timeout, MOMENT, HOUR)?;
    within("server.write_stall_timeout", server.write_stall_timeout, MOMENT, HOUR)?;
    within("server.shutdown_grace", server.shutdown_grace, Duration::ZERO, HOUR)
}

fn cache(config: &Config) -> Checked {
    let cache = &config.cache;
    within("cache.tag_ttl", cache.tag_ttl, Duration::ZERO, YEAR)?;
    within("cache.list_ttl", cache.list_ttl, Duration::ZERO, YEAR)?;
    within("cache.negative_ttl", cache.negative_ttl, Duration::ZERO, HOUR)?;
    within("cache.stale_if_error", cache.stale_if_error, Duration::ZERO, YEAR)?;
    within("cache.stale_patience", cache.stale_patience, MOMENT, HOUR)?;
    positive("cache.max_fills", cache.max_fills)
}

fn hosted(config: &Config) -> Checked {
    let hosted = &config.hosted;
    for (position, prefix) in hosted.prefixes.iter().enumerate() {
        if prefix.strip_suffix('/').is_none_or(|name| name.parse::<RepositoryName>().is_err()) {
            let cause = format!("'{prefix}' must be the beginning of a repository name up to a '/', such as 'local/'");
            return invalid(&format!("hosted.prefixes[{position}]"), cause);
        }
    }
    within("hosted.upload_ttl", hosted.upload_ttl, MOMENT, YEAR)?;
    positive("hosted.max_uploads", hosted.max_uploads)?;
    if hosted.max_upload_bytes == ByteSize::b(0) {
        return invalid("hosted.max_upload_bytes", "must be more than nothing");
    }
    within("hosted.gc_interval", hosted.gc_interval, Duration::ZERO, YEAR)?;
    within("hosted.gc_grace", hosted.gc_grace, Duration::ZERO, YEAR)
}

fn storage(config: &Config) -> Checked {
    let storage = &config.storage;
    for (key, size) in [
        ("storage.memory.limit", storage.memory.limit),
        ("storage.memory.max_entry", storage.memory.max_entry),
        ("storage.disk.limit", storage.disk.limit),
    ] {
        if size == ByteSize::b(0) {
            return invalid(key, "must be more than nothing");
        }
    }
    if storage.memory.max_entry > storage.memory.limit {
        return invalid("storage.memory.max_entry", "must not be larger than storage.memory.limit");
    }
    Ok(())
}

fn logging(config: &Config) -> Checked {
    for part in config.logging.level.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str()) {
            return invalid("logging.level", format!("'{level}' is no level; use error, warn, info, debug, trace or off"));
        }
    }
    Ok(())
}

fn invalid(key: &str, cause: impl Into<String>) -> Checked {
    Err(Invalid { key: key.to_owned(), cause: cause.into() })
}

fn positive(key: &str, value: usize) -> Checked {
    if value == 0 { invalid(key, "must be at least 1") } else { Ok(()) }
}

fn within(key: &str, value: Duration, least: Duration, most: Duration) -> Checked {
    if value < least {
        return invalid(key, "must be longer than nothing");
    }
    if value > most {
        let most = if most == HOUR { "an hour" } else { "a year" };
        return invalid(key, format!("must be {most} at most"));
    }
    Ok(())
}
