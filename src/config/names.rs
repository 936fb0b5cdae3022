//! What upstreams are called: one spelling for every name, and no name for two of them.

use std::{collections::HashMap, net::Ipv6Addr};

use super::{InvalidPattern, Named, Pattern, Upstream};

/// Docker Hub under all the names that clients use for it; the first one is what images are named after.
pub const DOCKER_HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// Names of registries, each leading to the position of one upstream in the list it was made of.
#[derive(Debug, Clone, Default)]
pub struct Names {
    names: HashMap<String, usize>,
    hosts: HashMap<String, usize>,
}

/// Why a list of upstreams cannot be told apart by name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNames {
    /// Not a host name, an address, or a plain word.
    #[error("'{0}' is not a registry name: a host name or a word, perhaps with ':port', nothing else")]
    Malformed(String),
    /// Two upstreams would answer to it.
    #[error("'{name}' means both upstream '{first}' and upstream '{second}'; remove one of them")]
    Overlap {
        /// What both are called.
        name: String,
        /// The upstream that comes first.
        first: String,
        /// The one that comes later.
        second: String,
    },
}

impl Names {
    /// Collects the names, aliases and hosts of upstreams. Docker Hub gets all its names, whichever of them is configured.
    ///
    /// # Errors
    /// [`InvalidNames`]: the first name that is malformed or means two upstreams.
    pub fn new<'a>(upstreams: impl IntoIterator<Item = &'a Upstream>) -> Result<Self, InvalidNames> {
        let mut table = Self::default();
        let mut owners: Vec<&str> = Vec::new();
        for (position, upstream) in upstreams.into_iter().enumerate() {
            owners.push(&upstream.name);
            for written in std::iter::once(&upstream.name).chain(&upstream.aliases) {
                for name in synonyms(&normal_or_error(written)?) {
                    claim(&mut table.names, name.clone(), position, &owners)?;
                    claim(&mut table.hosts, name, position, &owners)?;
                }
            }
            for written in &upstream.hosts {
                claim(&mut table.hosts, normal_or_error(written)?, position, &owners)?;
            }
        }
        Ok(table)
    }

    /// The upstream with this name or alias, however it is spelled.
    pub fn named(&self, text: &str) -> Option<usize> {
        self.names.get(&normal(text)?).copied()
    }

    /// A pattern of repositories of the upstreams that these names were made of.
    ///
    /// # Errors
    /// [`InvalidPattern`]
    pub fn pattern(&self, text: &str, upstreams: &[Upstream]) -> Result<Pattern, InvalidPattern> {
        let names: Vec<_> = upstreams.iter().map(Upstream::route_name).collect();
        let named = |text: &str| {
            let position = self.named(text)?;
            Some(Named { name: names.get(position)?, library: upstreams[position].has_library() })
        };
        Pattern::of_repositories(text, named)
    }

    /// The upstream that a `Host` header means. The port counts only if it is part of a configured name.
    pub fn at_host(&self, header: &str) -> Option<usize> {
        let host = normal(header)?;
        let found = self.hosts.get(&host).or_else(|| self.hosts.get(without_port(&host)));
        found.copied()
    }
}

fn claim(table: &mut HashMap<String, usize>, name: String, position: usize, owners: &[&str]) -> Result<(), InvalidNames> {
    match table.get(&name) {
        Some(&other) if other != position => {
            let (first, second) = (owners[other].to_owned(), owners[position].to_owned());
            Err(InvalidNames::Overlap { name, first, second })
        }
        _ => {
            table.insert(name, position);
            Ok(())
        }
    }
}

fn synonyms(name: &str) -> Vec<String> {
    if DOCKER_HUB.contains(&name) { DOCKER_HUB.map(str::to_owned).to_vec() } else { vec![name.to_owned()] }
}

fn normal_or_error(text: &str) -> Result<String, InvalidNames> {
    normal(text).ok_or_else(|| InvalidNames::Malformed(text.to_owned()))
}

/// The one spelling of a registry name: lower case, no trailing dot, no `:443`, IPv6 addresses in brackets and shortest
/// form. `None` when it cannot be the name of a registry.
pub fn normal(text: &str) -> Option<String> {
    if text.len() > 255 {
        return None;
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            let host = host.strip_suffix('.').unwrap_or(host);
            (is_host(host).then(|| host.to_ascii_lowercase())?, port)
        }
    };
    match port.map(parse_port) {
        None | Some(Some(443)) => Some(host),
        Some(Some(port)) => Some(format!("{host}:{port}")),
        Some(None) => None,
    }
}

fn is_host(text: &str) -> bool {
    text.split('.').all(|label| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
    })
}

fn parse_port(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok().filter(|&port| port > 0) } else { None }
}

fn without_port(normal: &str) -> &str {
    match normal.rsplit_once(':') {
        Some((host, _)) if !normal.ends_with(']') => host,
        _ => normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        for (written, expected) in [
            ("docker.io", Some("docker.io")),
            ("Docker.IO", Some("docker.io")),
            ("docker.io.", Some("docker.io")),
            ("docker.io:443", Some("docker.io")),
            ("docker.io.:443", Some("docker.io")),
            ("docker.io:5000", Some("docker.io:5000")),
            ("hub", Some("hub")),
            ("localhost:5000", Some("localhost:5000")),
            ("127.0.0.1:5000", Some("127.0.0.1:5000")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("[0:0::0001]:443", Some("[::1]")),
            ("::1", Some("[::1]")),
            ("[2001:DB8::1]", Some("[2001:db8::1]")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("-a", None),
            ("a b", None),
            ("a/b", None),
            ("a@b", None),
            ("a:b", None),
            ("a:", None),
            ("a:0", None),
            ("a:65536", None),
            ("a:+80", None),
            ("a:1:2", None),
            ("[::1", None),
            ("[::1]5000", None),
            ("[fe80::1%25eth0]", None),
            ("ex\u{e4}mple.org", None),
            ("evil.com#tenant", None),
            (&"a.".repeat(200), None),
        ] {
            assert_eq!(normal(written).as_deref(), expected, "{written:?}");
        }
    }

    fn upstream(name: &str, aliases: &[&str], hosts: &[&str]) -> Upstream {
        let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Upstream { aliases: own(aliases), hosts: own(hosts), ..Upstream::new(name) }
    }

    #[test]
    fn overlaps_name_both() {
        for (first, second, name) in [
            (upstream("a.io", &[], &[]), upstream("A.io:443", &[], &[]), "a.io"),
            (upstream("a.io", &["x"], &[]), upstream("b.io", &["X"], &[]), "x"),
            (upstream("a.io", &[], &["h.local"]), upstream("b.io", &[], &["h.local"]), "h.local"),
            (upstream("a.io", &[], &[]), upstream("b.io", &[], &["a.io"]), "a.io"),
            (upstream("docker.io", &[], &[]), upstream("b.io", &["registry-1.docker.io"], &[]), "docker.io"),
        ] {
            let (one, two) = (first.name.clone(), second.name.clone());
            let expected = InvalidNames::Overlap { name: name.to_owned(), first: one, second: two };
            assert_eq!(Names::new([&first, &second]).err(), Some(expected));
        }
        let twice = upstream("a.io", &["A.IO", "a.io:443"], &["a.io"]);
        assert!(Names::new([&twice]).is_ok(), "saying the same thing twice about one upstream is harmless");
        assert_eq!(Names::new([&upstream("a/b", &[], &[])]).err(), Some(InvalidNames::Malformed("a/b".to_owned())));
    }

    #[test]
    fn a_port_in_the_host_header_counts_only_where_configured() {
        let upstreams = [upstream("a.io", &[], &["mirror.local"]), upstream("b.io", &[], &["mirror.local:6000", "[::1]:6000"])];
        let names = Names::new(&upstreams).unwrap();
        assert_eq!(names.at_host("mirror.local"), Some(0));
        assert_eq!(names.at_host("Mirror.local.:5000"), Some(0));
        assert_eq!(names.at_host("mirror.local:6000"), Some(1));
        assert_eq!(names.at_host("[::1]:6000"), Some(1));
        assert_eq!(names.at_host("[::1]"), None);
        assert_eq!(names.at_host("other.local"), None);
        assert_eq!(names.named("mirror.local"), None, "a host is not a name");
    }
}
