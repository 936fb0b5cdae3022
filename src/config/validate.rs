//! What types cannot say about a configuration.

use std::time::Duration;

use bytesize::ByteSize;

use super::{Config, Customer, Disk, Names, Pattern, Prefetch, Rule, Upstream};
use crate::oci::RepositoryName;

mod notifications;
mod object;
mod redirect;
mod upstream;

/// A key with a value that makes no sense, and why.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) key: String,
    pub(super) cause: String,
}

type Checked = Result<(), Invalid>;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const MOMENT: Duration = Duration::from_millis(1);

/// Finds the first value that makes no sense.
pub(super) fn validate(config: &Config) -> Checked {
    server(config)?;
    cache(config)?;
    hosted(config)?;
    storage(config)?;
    redirect::validate(config)?;
    logging(config)?;
    prefetch(&config.prefetch)?;
    customers(&config.customer)?;
    notifications::validate(config)?;
    for (position, one) in config.upstream.iter().enumerate() {
        upstream::validate(one, &format!("upstream[{position}]"))?;
    }
    let names = Names::new(&config.upstream).map_err(|error| Invalid { key: "upstream".to_owned(), cause: error.to_string() })?;
    for (position, one) in config.cache.rule.iter().enumerate() {
        rule(one, &format!("cache.rule[{position}]"), &names, &config.upstream)?;
    }
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
    within("cache.unused_ttl", cache.unused_ttl, Duration::ZERO, YEAR)?;
    positive("cache.max_fills", cache.max_fills)
}

fn rule(rule: &Rule, path: &str, names: &Names, upstreams: &[Upstream]) -> Checked {
    if rule.repositories.is_empty() {
        return invalid(&format!("{path}.repositories"), "must name at least one pattern, such as 'docker.io/library/*'");
    }
    for (position, text) in rule.repositories.iter().enumerate() {
        if let Err(error) = names.pattern(text, upstreams) {
            return invalid(&format!("{path}.repositories[{position}]"), error.to_string());
        }
    }
    within(&format!("{path}.tag_ttl"), rule.tag_ttl.unwrap_or_default(), Duration::ZERO, YEAR)?;
    within(&format!("{path}.unused_ttl"), rule.unused_ttl.unwrap_or_default(), Duration::ZERO, YEAR)?;
    for (position, text) in rule.immutable_tags.iter().flatten().enumerate() {
        if let Err(error) = Pattern::of_tags(text) {
            return invalid(&format!("{path}.immutable_tags[{position}]"), error.to_string());
        }
    }
    Ok(())
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
    for (key, size) in [("storage.memory.limit", storage.memory.limit), ("storage.memory.max_entry", storage.memory.max_entry)] {
        more_than_nothing(key, size)?;
    }
    if storage.memory.max_entry > storage.memory.limit {
        return invalid("storage.memory.max_entry", "must not be larger than storage.memory.limit");
    }
    if !(0.0..=4.0).contains(&storage.size_exponent) {
        return invalid("storage.size_exponent", "must be between 0 and 4");
    }
    within("storage.scrub_interval", storage.scrub_interval, MOMENT, YEAR)?;
    disks(&storage.disk)?;
    object::validate(&storage.object)
}

fn disks(disks: &[Disk]) -> Checked {
    if disks.is_empty() {
        return invalid("storage.disk", "there must be at least one; leave the key out for one of 50 GiB in the data folder");
    }
    for (position, disk) in disks.iter().enumerate() {
        let key = |field: &str| {
            if disks.len() == 1 { format!("storage.disk.{field}") } else { format!("storage.disk[{position}].{field}") }
        };
        more_than_nothing(&key("limit"), disk.limit)?;
        let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if disk.name.is_empty() || disk.name.len() > 32 || !disk.name.bytes().all(is_legal) {
            return invalid(&key("name"), "must be 1 to 32 lower-case letters, digits and '-'");
        }
        if ["memory", "object", "hosted", "catalog"].contains(&disk.name.as_str()) {
            return invalid(&key("name"), format!("'{}' is the name of something else; take another one", disk.name));
        }
        if disks[..position].iter().any(|other| other.name == disk.name) {
            return invalid(&key("name"), format!("'{}' is the name of an earlier disk too; each needs its own", disk.name));
        }
        if disks[..position].iter().any(|other| other.folder.starts_with(&disk.folder) || disk.folder.starts_with(&other.folder))
        {
            return invalid(
                &key("folder"),
                "lies in the folder of an earlier disk, or the reverse; each needs a folder of its own",
            );
        }
    }
    Ok(())
}

fn more_than_nothing(key: &str, size: ByteSize) -> Checked {
    if size == ByteSize::b(0) { invalid(key, "must be more than nothing") } else { Ok(()) }
}

fn prefetch(prefetch: &Prefetch) -> Checked {
    if !(0.0..=10.0).contains(&prefetch.share) {
        return invalid("prefetch.share", "must be between 0 and 10; 0.15 is 15 % of what clients are sent");
    }
    for (key, share) in [("prefetch.pulls_share", prefetch.pulls_share), ("prefetch.disk_share", prefetch.disk_share)] {
        if !(0.0..=1.0).contains(&share) {
            return invalid(key, "must be between 0 and 1");
        }
    }
    positive("prefetch.parallel", prefetch.parallel)?;
    positive("prefetch.pull_parallel", prefetch.pull_parallel)
}

fn customers(customers: &[Customer]) -> Checked {
    for (position, customer) in customers.iter().enumerate() {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&customer.name.len()) || !customer.name.bytes().all(is_legal) {
            let cause = "must be 1 to 64 letters, digits, '.', '_' and '-', as the header that names customers is read";
            return invalid(&format!("customer[{position}].name"), cause);
        }
        if customers[..position].iter().any(|other| other.name == customer.name) {
            return invalid(&format!("customer[{position}].name"), format!("'{}' is there twice", customer.name));
        }
        if !(0.01..=1000.0).contains(&customer.weight) {
            return invalid(&format!("customer[{position}].weight"), "must be between 0.01 and 1000; an ordinary customer has 1");
        }
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
        let most = match most {
            MINUTE => "a minute",
            HOUR => "an hour",
            _ => "a year",
        };
        return invalid(key, format!("must be {most} at most"));
    }
    Ok(())
}
