//! Values from environment variables.

use secrecy::{ExposeSecret, SecretString};
use toml::{Table, Value};

use super::{
    Config, ConfigError, Place, Upstream,
    error::did_you_mean,
    file,
    load::SetBy,
    reference::{Kind, reference},
};

const PREFIX: &str = "HARBINGER_";
const UPSTREAM: &str = "HARBINGER_UPSTREAM__";

/// Puts the variables over a configuration, and notes which variable set which key.
pub(super) fn apply(config: Config, variables: &[(String, String)], set_by: &mut SetBy) -> Result<Config, ConfigError> {
    let mut config = config;
    let mut ours: Vec<_> = variables.iter().filter(|(name, value)| is_ours(name, value)).collect();
    ours.sort();
    for (name, value) in ours {
        let wrong = |key: &str, cause: String| ConfigError { place: Place::Named(name.clone()), key: key.to_owned(), cause };
        let meant = meaning(name, &config.upstream).map_err(|cause| wrong("", cause))?;
        let value = typed(meant.kind, value).map_err(|cause| wrong(&meant.key, cause))?;
        config = set(config, &meant, value).map_err(|cause| wrong(&meant.key, cause))?;
        set_by.insert(meant.key, name.clone());
    }
    Ok(config)
}

/// Kubernetes announces a service `harbinger` to all pods by variables that begin like ours.
fn is_ours(name: &str, value: &str) -> bool {
    let service = name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
        || name.ends_with("_PORT") && value.contains("://");
    name.starts_with(PREFIX) && name != "HARBINGER_CONFIG" && (name.contains("__") || !service)
}

/// The key that a variable means.
struct Meant {
    key: String,
    kind: Kind,
    /// The position of the upstream that it is a field of.
    upstream: Option<usize>,
    /// Section, perhaps subsection, and field; of an upstream only the field.
    path: Vec<String>,
}

fn meaning(variable: &str, upstreams: &[Upstream]) -> Result<Meant, String> {
    let upstream = variable.strip_prefix(UPSTREAM).map(|rest| upstream_of(rest, upstreams)).transpose()?;
    let path = match upstream {
        Some((_, field)) => format!("upstream.{}", field.to_ascii_lowercase()),
        None => variable[PREFIX.len()..].replace("__", ".").to_ascii_lowercase(),
    };
    let keys = reference();
    let Some(known) = keys.iter().find(|key| key.path == path) else {
        let near = did_you_mean(&path, keys.iter().map(|key| key.path.as_str()));
        let near = near.map(|near| match upstream {
            Some((_, field)) => {
                let prefix = &variable[..variable.len() - field.len()];
                format!("{prefix}{}", near.trim_start_matches("upstream.").to_ascii_uppercase())
            }
            None => format!("{PREFIX}{}", near.replace('.', "__").to_ascii_uppercase()),
        });
        return Err(match near {
            Some(near) => format!("no such key; did you mean {near}?"),
            None => "no such key; docs/configuration.md lists them all".to_owned(),
        });
    };
    let (key, path) = match (upstream, path.split_once('.')) {
        (Some((position, _)), Some((_, field))) => (format!("upstream[{position}].{field}"), vec![field.to_owned()]),
        _ => (path.clone(), path.split('.').map(str::to_owned).collect()),
    };
    Ok(Meant { key, kind: known.kind, upstream: upstream.map(|(position, _)| position), path })
}

/// Splits `DOCKER_IO__PASSWORD`. Names may hold `__` themselves, so the configured names decide where the field begins.
fn upstream_of<'a>(rest: &'a str, upstreams: &[Upstream]) -> Result<(usize, &'a str), String> {
    let field = |upstream: &Upstream| rest.strip_prefix(slug(&upstream.name).as_str())?.strip_prefix("__");
    let found: Vec<_> = upstreams.iter().enumerate().filter_map(|(at, upstream)| Some((at, field(upstream)?))).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => {
            let known: Vec<_> = upstreams.iter().map(|upstream| slug(&upstream.name)).collect();
            Err(format!("no upstream is configured that is spelled so; there are: {}", known.join(", ")))
        }
        several => {
            let names: Vec<_> = several.iter().map(|&(at, _)| upstreams[at].name.as_str()).collect();
            Err(format!("means several upstreams: {}; set the key in the file", names.join(", ")))
        }
    }
}

/// An upstream's name as a part of a variable's name.
fn slug(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

fn typed(kind: Kind, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Kind::Switch => Value::Boolean(text.parse().map_err(|_| format!("must be true or false, not '{text}'"))?),
        Kind::Integer => Value::Integer(text.parse().map_err(|_| format!("must be a number, not '{text}'"))?),
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
}

fn set(config: Config, meant: &Meant, value: Value) -> Result<Config, String> {
    let passwords: Vec<Option<SecretString>> = config.upstream.iter().map(|upstream| upstream.password.clone()).collect();
    let proxies: Vec<_> = config.upstream.iter().map(|upstream| upstream.proxy.clone()).collect();
    let mut table = Table::try_from(config).map_err(|error| error.to_string())?;
    // Writing masks secrets; they are put back before the variable is.
    let items = table.get_mut("upstream").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_table_mut);
    for ((item, password), proxy) in items.zip(passwords).zip(proxies) {
        if let Some(password) = password {
            item.insert("password".to_owned(), Value::String(password.expose_secret().to_owned()));
        }
        if let Some(proxy) = proxy {
            item.insert("proxy".to_owned(), Value::String(proxy.into()));
        }
    }
    let mut at = match meant.upstream {
        Some(position) => table.get_mut("upstream").and_then(|list| list.get_mut(position)).and_then(Value::as_table_mut),
        None => Some(&mut table),
    };
    let (field, sections) = meant.path.split_last().ok_or("no such key")?;
    for section in sections {
        at = at.and_then(|table| table.get_mut(section)).and_then(Value::as_table_mut);
    }
    at.ok_or("no such section")?.insert(field.clone(), value);
    Config::deserialize_table(table).map_err(|error| file::cause(&meant.key, error.message()))
}
