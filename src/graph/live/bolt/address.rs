//! `bolt://HOST[:PORT][/DATABASE]`

use std::str::FromStr;

use url::Url;

use crate::graph::live::LiveError;

const PORT: u16 = 7687;
const EXAMPLE: &str = "bolt://127.0.0.1:7687/neo4j (TLS, as bolt+s://, is not spoken: put a tunnel before it)";

/// Where a Neo4j is, and which of its databases is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    /// `None` for the one that the server gives to who does not say.
    pub(super) database: Option<String>,
}

impl FromStr for Address {
    type Err = LiveError;

    fn from_str(text: &str) -> Result<Self, LiveError> {
        let bad = || LiveError::Address(text.to_owned(), EXAMPLE);
        let url = Url::parse(text).map_err(|_| bad())?;
        let database = url.path().trim_matches('/');
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        if !matches!(url.scheme(), "bolt" | "neo4j") || !plain || database.contains(['/', '%']) {
            return Err(bad());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(PORT),
            database: (!database.is_empty()).then(|| database.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_is_read() {
        for (text, host, port, database) in [
            ("bolt://127.0.0.1", "127.0.0.1", 7687, None),
            ("bolt://db.example:7000/graph", "db.example", 7000, Some("graph")),
            ("neo4j://[::1]:1/", "::1", 1, None),
        ] {
            let address = Address { host: host.to_owned(), port, database: database.map(str::to_owned) };
            assert_eq!(text.parse::<Address>().unwrap(), address, "{text}");
        }
    }

    #[test]
    fn what_is_no_such_address_is_refused_with_an_example() {
        for text in ["", "127.0.0.1:7687", "http://a", "bolt+s://a", "bolt://", "bolt://u:p@a", "bolt://a/b/c", "bolt://a?x=1"] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("bolt://127.0.0.1:7687/neo4j"), "{text}: {error}");
        }
    }
}
