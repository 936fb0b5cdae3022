//! The list of all keys, read from the sources of the sections, so that a field's comment is its only description.

use std::fmt::Write;

use super::Config;

/// One key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its path: `server.listen`; `upstream.url` for a key of each upstream.
    pub path: String,
    /// What its value looks like.
    pub kind: Kind,
    /// What it means.
    pub meaning: String,
    /// Whether a change needs a restart.
    pub restart: bool,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `"text"`
    Text,
    /// `true` or `false`
    Switch,
    /// `12`
    Integer,
    /// `1.5`
    Number,
    /// `["a", "b"]`; in the environment `a,b`.
    List,
    /// `"1m 30s"`
    Duration,
    /// `"64 MiB"`
    Size,
    /// `"127.0.0.1:5000"`
    Address,
    /// A path, as text.
    Path,
    /// `"https://host"`
    Url,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

/// Rust source, the struct in it that is the section, and the section's path.
const SECTIONS: [(&str, &str, &str); 18] = [
    (include_str!("server.rs"), "Server", "server"),
    (include_str!("cache.rs"), "Cache", "cache"),
    (include_str!("rule.rs"), "Rule", "cache.rule"),
    (include_str!("hosted.rs"), "Hosted", "hosted"),
    (include_str!("storage.rs"), "Storage", "storage"),
    (include_str!("storage.rs"), "Memory", "storage.memory"),
    (include_str!("storage.rs"), "Disk", "storage.disk"),
    (include_str!("object.rs"), "Object", "storage.object"),
    (include_str!("redirect.rs"), "Redirect", "redirect"),
    (include_str!("customer.rs"), "Customer", "customer"),
    (include_str!("logging.rs"), "Logging", "logging"),
    (include_str!("graph.rs"), "Graph", "graph"),
    (include_str!("demand_log.rs"), "DemandLog", "demand_log"),
    (include_str!("prefetch.rs"), "Prefetch", "prefetch"),
    (include_str!("watch.rs"), "Watch", "watch"),
    (include_str!("notifications.rs"), "Notifications", "notifications"),
    (include_str!("notifications.rs"), "Notify", "notify"),
    (include_str!("upstream.rs"), "Upstream", "upstream"),
];

/// The sections that there are any number of: lists of tables.
pub(super) const LISTS: [&str; 5] = ["cache.rule", "storage.disk", "notify", "customer", "upstream"];

/// All keys, in the order of the sections.
pub fn reference() -> Vec<Key> {
    SECTIONS.iter().flat_map(|&(source, name, path)| section(source, name, path)).collect()
}

fn section(source: &str, name: &str, path: &str) -> Vec<Key> {
    // These are set up once.
    let whole_restarts = ["storage", "graph", "demand_log", "notifications", "notify"].iter().any(|once| path.starts_with(once));
    let start = format!("pub struct {name} {{");
    let lines = source.lines().skip_while(|line| *line != start).skip(1).take_while(|line| *line != "}");
    let mut keys = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in lines.map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.trim());
        } else if let Some((field, kind)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": ")) {
            let text = std::mem::take(&mut comment).join(" ");
            let restart = whole_restarts || text.contains("Needs a restart.");
            let meaning = text.replace(" Needs a restart.", "");
            if let Some(kind) = kind_of(kind.trim_end_matches(',')) {
                keys.push(Key { path: format!("{path}.{field}"), kind, meaning, restart });
            }
        }
    }
    keys
}

/// `None` for a section of its own.
fn kind_of(rust: &str) -> Option<Kind> {
    let inner = rust.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(rust);
    Some(match inner {
        "String" | "SecretString" => Kind::Text,
        "bool" => Kind::Switch,
        "usize" | "u32" | "u64" => Kind::Integer,
        "Vec<String>" | "Vec<Network>" => Kind::List,
        "Duration" => Kind::Duration,
        "ByteSize" => Kind::Size,
        "SocketAddr" => Kind::Address,
        "PathBuf" => Kind::Path,
        "Url" => Kind::Url,
        "MissingReferences" => Kind::Choice(&["refuse", "allow"]),
        "OnDelete" => Kind::Choice(&["follow", "keep"]),
        "f64" => Kind::Number,
        "Privacy" => Kind::Choice(&["off", "hashed", "full"]),
        "DiskClass" => Kind::Choice(&["any", "ssd", "hdd"]),
        "Mode" => Kind::Choice(&["public", "shared"]),
        "UpstreamKind" => Kind::Choice(&["registry", "parent"]),
        "RedirectMode" => Kind::Choice(&["never", "large", "always"]),
        "CdnSigning" => Kind::Choice(&["origin", "hmac"]),
        "AccessLog" => Kind::Choice(&["off", "text", "json"]),
        _ => return None,
    })
}

/// The configuration reference as Markdown: `docs/configuration.md`.
pub fn reference_page() -> String {
    let mut page = include_str!("reference.md").to_owned();
    let defaults = defaults();
    let mut open = "";
    let keys = reference();
    for key in &keys {
        let (section, field) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
        if section != open {
            open = section;
            let header = if LISTS.contains(&section) { format!("[[{section}]]") } else { format!("[{section}]") };
            let _ = write!(page, "\n## `{header}`\n\n| key | value | default | change | meaning |\n|---|---|---|---|---|\n");
        }
        let default = default_of(&defaults, &key.path).unwrap_or_default();
        let change = if key.restart { "restart" } else { "reload" };
        let _ = writeln!(
            page,
            "| `{field}` | {} | {default} | {change} | {} |",
            key.kind.in_words(),
            key.meaning.replace('|', "\\|")
        );
    }
    page
}

impl Kind {
    fn in_words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Number => "number".to_owned(),
            Self::List => "list of texts".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Size => "size".to_owned(),
            Self::Address => "address:port".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Choice(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// The defaults as data; of a list of tables, the one item is here instead of the list.
fn defaults() -> toml::Table {
    let mut config = Config { upstream: vec![super::Upstream::new("")], ..Config::default() };
    config.customer = vec![super::Customer { name: String::new(), weight: 1.0 }];
    config.notify =
        "https://edge.example/api/v1/notifications".parse().map(|url| super::Notify { url, secret: None }).into_iter().collect();
    config.cache.rule = vec![super::Rule::default()];
    let mut table = toml::Table::try_from(config).unwrap_or_default();
    for path in LISTS {
        let (sections, list) = path.rsplit_once('.').unwrap_or(("", path));
        let mut inside = sections.split('.').filter(|section| !section.is_empty());
        let around = inside.try_fold(&mut table, |table, section| table.get_mut(section)?.as_table_mut());
        if let Some(around) = around
            && let Some(item) = around.get_mut(list).and_then(|items| items.as_array_mut()).and_then(|items| items.pop())
        {
            around.insert(list.to_owned(), item);
        }
    }
    table
}

fn default_of(defaults: &toml::Table, path: &str) -> Option<String> {
    let mut parts = path.split('.');
    let first = defaults.get(parts.next()?)?;
    let value = parts.try_fold(first, |value, part| value.get(part))?;
    if value.as_str() == Some("") { None } else { Some(format!("`{value}`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(value: &toml::Value, path: &str, found: &mut Vec<String>) {
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    leaves(value, &format!("{path}.{key}"), found);
                }
            }
            _ => found.push(path.trim_start_matches('.').to_owned()),
        }
    }

    #[test]
    fn every_key_is_described() {
        let keys = reference();
        let mut found = Vec::new();
        leaves(&toml::Value::Table(defaults()), "", &mut found);
        for path in found {
            assert!(keys.iter().any(|key| key.path == path), "{path} is not in the reference");
        }
        assert!(keys.iter().all(|key| !key.meaning.is_empty()));
        assert!(keys.iter().any(|key| key.path == "upstream.password"), "keys that are left out when absent are described too");
        for (source, name, path) in SECTIONS {
            let fields = source.lines().skip_while(|line| *line != format!("pub struct {name} {{"));
            let fields = fields.take_while(|line| *line != "}").filter(|line| line.starts_with("    pub ")).count();
            let listed = keys.iter().filter(|key| key.path.rsplit_once('.').is_some_and(|(section, _)| section == path)).count();
            let inside = |other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
            let sections = SECTIONS.iter().filter(|(.., other)| inside(other)).count();
            assert_eq!(listed + sections, fields, "a field of {name} is of a type that the reference does not know");
        }
    }

    /// Run with `UPDATE=1` to write the page anew.
    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, reference_page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == reference_page(),
            "docs/configuration.md is out of date: run UPDATE=1 cargo test --lib config::reference"
        );
    }
}
