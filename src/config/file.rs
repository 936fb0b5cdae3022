//! The configuration file: its text, and where in it each key stands.

use std::{ops::Range, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, ConfigError, Place, error::did_you_mean};

/// Larger files are not configurations.
const MAX_BYTES: u64 = 1 << 20;

/// A file that was read and holds a well-formed configuration.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    text: String,
    keys: Vec<Key>,
    /// The same as data.
    pub(super) table: toml::Table,
}

/// A key of the file, and the bytes at which it and its value stand.
#[derive(Debug)]
struct Key {
    path: String,
    key: Range<usize>,
    value: Range<usize>,
}

impl File {
    /// Reads a file and checks that each key is known and each value of the right type.
    pub(super) fn read(path: PathBuf) -> Result<Self, ConfigError> {
        let whole = |cause: String| ConfigError { place: Place::File(path.clone(), None), key: String::new(), cause };
        let length = std::fs::metadata(&path).map_err(|error| whole(format!("cannot be read: {error}")))?.len();
        if length > MAX_BYTES {
            return Err(whole(format!("is no configuration: it is larger than {MAX_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| whole(format!("cannot be read: {error}")))?;
        Self::parse(path, text)
    }

    fn parse(path: PathBuf, text: String) -> Result<Self, ConfigError> {
        let mut file = Self { path, text, keys: Vec::new(), table: toml::Table::new() };
        let mut keys = Vec::new();
        match DeTable::parse(&file.text) {
            Ok(tree) => list(tree.get_ref(), "", &mut keys),
            Err(error) => return Err(file.error(&error)),
        }
        file.keys = keys;
        toml::from_str::<Config>(&file.text).map_err(|error| file.error(&error))?;
        file.table = toml::from_str(&file.text).map_err(|error| file.error(&error))?;
        Ok(file)
    }

    /// Where a key stands, if it does.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        let key = self.keys.iter().find(|key| key.path == path)?;
        Some(Place::File(self.path.clone(), Some(self.line(key.key.start))))
    }

    fn error(&self, error: &toml::de::Error) -> ConfigError {
        let offset = error.span().map(|span| span.start);
        let key = offset.map(|offset| self.key_at(offset)).unwrap_or_default();
        let line = offset.map(|offset| self.line(offset));
        ConfigError { place: Place::File(self.path.clone(), line), cause: cause(&key, error.message()), key }
    }

    fn key_at(&self, offset: usize) -> String {
        let around = self.keys.iter().filter(|key| key.key.contains(&offset) || key.value.contains(&offset));
        around.max_by_key(|key| key.path.len()).map(|key| key.path.clone()).unwrap_or_default()
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
    }
}

fn list(table: &DeTable<'_>, above: &str, keys: &mut Vec<Key>) {
    for (key, value) in table {
        let dot = if above.is_empty() { "" } else { "." };
        let path = format!("{above}{dot}{}", key.get_ref());
        list_value(value, path, key.span(), keys);
    }
}

fn list_value(value: &Spanned<DeValue<'_>>, path: String, key: Range<usize>, keys: &mut Vec<Key>) {
    match value.get_ref() {
        DeValue::Table(table) => list(table, &path, keys),
        DeValue::Array(array) => {
            for (position, item) in array.iter().enumerate() {
                list_value(item, format!("{path}[{position}]"), item.span(), keys);
            }
        }
        _ => {}
    }
    keys.push(Key { path, key, value: value.span() });
}

/// What is wrong, in words that repeat no secret.
pub(super) fn cause(key: &str, message: &str) -> String {
    match key.rsplit('.').next() {
        Some("password" | "secret_access_key" | "secret") => return "must be text in quotes".to_owned(),
        Some("url") if key == "storage.object.url" => return "must be text: \"s3://bucket/prefix\"".to_owned(),
        Some("url" | "proxy" | "endpoint") if !message.contains("unknown field") => {
            return "must be a URL: \"https://host\"".to_owned();
        }
        _ => {}
    }
    let first_line = message.lines().next().unwrap_or_default();
    let Some(rest) = first_line.strip_prefix("unknown field `") else {
        return first_line.to_owned();
    };
    let mut words = rest.split('`').step_by(2);
    let word = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    match did_you_mean(word, known.iter().copied()) {
        Some(near) => format!("unknown key '{word}'; did you mean '{near}'?"),
        None => format!("unknown key '{word}'; known are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        File::parse("h.toml".into(), text.to_owned()).map(|_| ()).expect_err(text).to_string()
    }

    #[test]
    fn messages_name_file_line_key_cause_and_cure() {
        for (text, expected) in [
            (
                "[server]\nlisten = \"127.0.0.1:1\"\nregoin = \"x\"\n",
                "h.toml, line 3: server.regoin: unknown key 'regoin'; did you mean 'region'?",
            ),
            ("\n[sever]\n", "h.toml, line 2: sever: unknown key 'sever'; did you mean 'server'?"),
            ("[logging]\nzzz = 1", "h.toml, line 2: logging.zzz: unknown key 'zzz'; known are: level, json, access"),
            (
                "[[upstream]]\nname = \"a.io\"\n\n[[upstream]]\nname = \"b.io\"\nalias = [\"x\"]",
                "h.toml, line 6: upstream[1].alias: unknown key 'alias'; did you mean 'aliases'?",
            ),
            ("[[upstream]]\nname = \"a.io\"\npassword = 1234", "h.toml, line 3: upstream[0].password: must be text in quotes"),
            (
                "[[upstream]]\nname = \"a.io\"\nurl = \"//me:secret@host\"",
                "h.toml, line 3: upstream[0].url: must be a URL: \"https://host\"",
            ),
            ("[[upstream]]\nurl = \"https://a.io\"", "h.toml, line 1: upstream[0]: missing field `name`"),
        ] {
            assert_eq!(error(text), expected);
        }
    }

    #[test]
    fn values_of_the_wrong_kind_name_line_and_key() {
        for (text, expected) in [
            ("[cache]\n\ntag_ttl = \"soon\"", "h.toml, line 3: cache.tag_ttl: "),
            ("cache.tag_ttl = 5", "h.toml, line 1: cache.tag_ttl: "),
            ("[server]\nlisten = \"nowhere\"", "h.toml, line 2: server.listen: "),
            ("[storage.memory]\nlimit = \"64 bananas\"", "h.toml, line 2: storage.memory.limit: "),
            ("[cache]\non_delete = \"forget\"", "h.toml, line 2: cache.on_delete: "),
            ("[cache]\nmax_fills = -1", "h.toml, line 2: cache.max_fills: "),
            ("[server\n", "h.toml, line 1: "),
        ] {
            let error = error(text);
            assert!(error.starts_with(expected) && error.len() > expected.len(), "{error}");
        }
    }
}
