//! What cannot change while running.

use toml::{Table, Value};

use super::{Config, reference};

impl Config {
    /// The keys that differ in `new` but take effect only after a restart.
    pub fn restart_needed(&self, new: &Self) -> Vec<String> {
        let (Ok(old), Ok(new)) = (Table::try_from(self), Table::try_from(new)) else {
            return Vec::new();
        };
        let fixed = reference().into_iter().filter(|key| key.restart).map(|key| key.path);
        fixed.filter(|path| values(&old, path) != values(&new, path)).collect()
    }
}

/// The values at a path: several where a section on the way is a list.
fn values<'a>(table: &'a Table, path: &str) -> Vec<&'a Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let values = match table.get(first) {
        Some(Value::Array(items)) if !rest.is_empty() => items.iter().collect(),
        value => value.into_iter().collect::<Vec<_>>(),
    };
    if rest.is_empty() {
        return values;
    }
    values.into_iter().filter_map(Value::as_table).flat_map(|table| self::values(table, rest)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytesize::ByteSize;

    use super::*;

    #[test]
    fn only_what_changed_and_is_fixed() {
        let old = Config::default();
        assert_eq!(old.restart_needed(&old), Vec::<String>::new());
        let mut new = old.clone();
        new.cache.tag_ttl = Duration::from_secs(1);
        new.server.shutdown_grace = Duration::from_secs(1);
        new.logging.level = "debug".to_owned();
        new.upstream = vec![crate::config::Upstream::new("a.io")];
        assert_eq!(old.restart_needed(&new), Vec::<String>::new());
        new.server.listen = ([127, 0, 0, 1], 1).into();
        new.server.min_write_rate = ByteSize::b(1025);
        new.storage.disk[0].limit = ByteSize::b(ByteSize::gib(50).as_u64() + 1);
        new.server.region = "eu".to_owned();
        new.server.customer_header = "x-team".to_owned();
        new.cache.max_fills = 1;
        new.logging.access = crate::config::AccessLog::Off;
        new.prefetch.model = Some("model.onnx".into());
        let fixed = ["server.listen", "server.region", "server.customer_header", "server.min_write_rate"];
        let others = ["cache.max_fills", "storage.disk.limit", "logging.access", "prefetch.model"];
        assert_eq!(old.restart_needed(&new), [&fixed[..], &others].concat());
    }
}
