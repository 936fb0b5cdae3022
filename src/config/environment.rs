//! Values from environment variables.

use secrecy::ExposeSecret;
use toml::{Table, Value};

use super::{
    Config, ConfigError, Place, Upstream,
    error::did_you_mean,
    file,
    load::SetBy,
    reference::{Key, Kind, LISTS, reference},
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
        let table = written(&config).map_err(|cause| wrong("", cause))?;
        let meant = meaning(name, &table, &config.upstream).map_err(|cause| wrong("", cause))?;
        let value = typed(meant.kind, value).map_err(|cause| wrong(&meant.key, cause))?;
        config = set(table, &meant, value).map_err(|cause| wrong(&meant.key, cause))?;
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
#[derive(Debug)]
struct Meant {
    /// As it is told: `cache.rule[0].tag_ttl`.
    key: String,
    kind: Kind,
    /// The section that it is a field of, or the list of tables.
    section: String,
    /// Which of the list.
    position: Option<usize>,
    field: String,
}

fn meaning(variable: &str, table: &Table, upstreams: &[Upstream]) -> Result<Meant, String> {
    let Words { path, position } = words(variable, upstreams)?;
    let keys = reference();
    let Some(known) = keys.iter().find(|key| key.path == path) else {
        return Err(match did_you_mean(&path, keys.iter().map(|key| key.path.as_str())) {
            Some(near) => format!("no such key; did you mean {}?", spelled(variable, near, upstreams)),
            None => "no such key; docs/configuration.md lists them all".to_owned(),
        });
    };
    let (section, field) = known.path.rsplit_once('.').unwrap_or(("", &known.path));
    let position = match (LISTS.contains(&section), position) {
        (true, position) => Some(item(table, section, position, &spelled_at(known, "0"))?),
        (false, None) => None,
        (false, Some(_)) => return Err(format!("there is only one [{section}]; leave the number out")),
    };
    let key = position.map_or_else(|| known.path.clone(), |position| format!("{section}[{position}].{field}"));
    Ok(Meant { key, kind: known.kind, section: section.to_owned(), position, field: field.to_owned() })
}

/// What the words of a variable say.
struct Words {
    /// The path of a key, as the reference has it.
    path: String,
    position: Option<usize>,
}

fn words(variable: &str, upstreams: &[Upstream]) -> Result<Words, String> {
    if let Some(rest) = variable.strip_prefix(UPSTREAM) {
        let (position, field) = upstream_of(rest, upstreams)?;
        return Ok(Words { path: format!("upstream.{}", field.to_ascii_lowercase()), position: Some(position) });
    }
    let (mut path, mut position) = (Vec::new(), None);
    for word in variable[PREFIX.len()..].split("__") {
        match word.parse() {
            Ok(number) if position.is_none() => position = Some(number),
            _ => path.push(word.to_ascii_lowercase()),
        }
    }
    Ok(Words { path: path.join("."), position })
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

/// The variable that was meant, when it was the key `near`.
fn spelled(variable: &str, near: &str, upstreams: &[Upstream]) -> String {
    let upstream = variable.strip_prefix(UPSTREAM).and_then(|rest| upstream_of(rest, upstreams).ok());
    if let Some((_, field)) = upstream {
        let prefix = &variable[..variable.len() - field.len()];
        return format!("{prefix}{}", near.trim_start_matches("upstream.").to_ascii_uppercase());
    }
    let number = variable.split("__").find(|word| word.parse::<usize>().is_ok());
    match (near.rsplit_once('.'), number) {
        (Some((section, field)), Some(number)) if LISTS.contains(&section) => in_capitals(&format!("{section}.{number}.{field}")),
        _ => in_capitals(near),
    }
}

/// The variable of a key of a list of tables.
fn spelled_at(key: &Key, position: &str) -> String {
    let (section, field) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
    in_capitals(&format!("{section}.{position}.{field}"))
}

fn in_capitals(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// Which item of a list is meant. Where there is one item only, its position may be left out.
fn item(table: &Table, list: &str, position: Option<usize>, example: &str) -> Result<usize, String> {
    let mut at = Some(table);
    let mut length = 0;
    for section in list.split('.') {
        let value = at.and_then(|table| table.get(section));
        at = value.and_then(Value::as_table);
        // A list that was written as a single table has one item.
        length = value.map_or(0, |value| value.as_array().map_or(1, Vec::len));
    }
    match (position, length) {
        (_, 0) => Err(format!("there is no [[{list}]]; a variable changes one that the file has")),
        (Some(position), _) if position < length => Ok(position),
        (None, 1) => Ok(0),
        (Some(position), _) => {
            Err(format!("there is no [[{list}]] number {position}: the file has {length}, the first one is 0"))
        }
        (None, _) => Err(format!("there are {length} [[{list}]]; say which by its position, as in {example}")),
    }
}

fn typed(kind: Kind, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Kind::Switch => Value::Boolean(text.parse().map_err(|_| format!("must be true or false, not '{text}'"))?),
        Kind::Number => Value::Float(text.parse().map_err(|_| format!("must be a number, not '{text}'"))?),
        Kind::Integer => Value::Integer(text.parse().map_err(|_| format!("must be a number, not '{text}'"))?),
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
}

/// A configuration as data. Writing masks secrets; they are put back.
fn written(config: &Config) -> Result<Table, String> {
    let mut table = Table::try_from(config).map_err(|error| error.to_string())?;
    let items = table.get_mut("upstream").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_table_mut);
    for (item, upstream) in items.zip(&config.upstream) {
        if let Some(password) = &upstream.password {
            item.insert("password".to_owned(), Value::String(password.expose_secret().to_owned()));
        }
        if let Some(proxy) = &upstream.proxy {
            item.insert("proxy".to_owned(), Value::String(proxy.to_string()));
        }
    }
    let object = table.get_mut("storage").and_then(|storage| storage.get_mut("object")).and_then(Value::as_table_mut);
    if let (Some(object), Some(secret)) = (object, &config.storage.object.secret_access_key) {
        object.insert("secret_access_key".to_owned(), Value::String(secret.expose_secret().to_owned()));
    }
    if let Some(secret) = &config.notifications.secret
        && let Some(section) = table.get_mut("notifications").and_then(Value::as_table_mut)
    {
        section.insert("secret".to_owned(), Value::String(secret.expose_secret().to_owned()));
    }
    let items = table.get_mut("notify").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_table_mut);
    for (item, notify) in items.zip(&config.notify) {
        if let Some(secret) = &notify.secret {
            item.insert("secret".to_owned(), Value::String(secret.expose_secret().to_owned()));
        }
    }
    Ok(table)
}

fn set(mut table: Table, meant: &Meant, value: Value) -> Result<Config, String> {
    let mut sections = meant.section.split('.');
    let first = sections.next().and_then(|section| table.get_mut(section));
    let section = sections.fold(first, |value, section| value?.get_mut(section));
    let place = match (section, meant.position) {
        (Some(Value::Array(items)), Some(position)) => items.get_mut(position),
        (section, _) => section,
    };
    place.and_then(Value::as_table_mut).ok_or("no such section")?.insert(meant.field.clone(), value);
    Config::deserialize_table(table).map_err(|error| file::cause(&meant.key, error.message()))
}
