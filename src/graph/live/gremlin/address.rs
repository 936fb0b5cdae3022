//! `ws://HOST[:PORT]/gremlin`

use url::Url;

use crate::graph::live::LiveError;

const PORT: u16 = 8182;
const EXAMPLE: &str = "ws://127.0.0.1:8182/gremlin (TLS, as wss://, is not spoken: put a tunnel before it)";

/// Reads an address, and adds what is left out of it.
pub(super) fn read(text: &str) -> Result<Url, LiveError> {
    let bad = || LiveError::Address(text.to_owned(), EXAMPLE);
    let mut url = Url::parse(text).map_err(|_| bad())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if url.scheme() != "ws" || url.host_str().is_none_or(str::is_empty) || !plain {
        return Err(bad());
    }
    // A port that is the scheme's own is not told from none.
    let says_port = text.trim_start_matches("ws://").split('/').next().is_some_and(|host| host.ends_with(":80"));
    if url.port().is_none() && !says_port {
        url.set_port(Some(PORT)).map_err(|()| bad())?;
    }
    if url.path() == "/" {
        url.set_path("/gremlin");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_added() {
        for (text, whole) in [
            ("ws://127.0.0.1", "ws://127.0.0.1:8182/gremlin"),
            ("ws://db.example:9/", "ws://db.example:9/gremlin"),
            ("ws://db.example:80/x", "ws://db.example/x"),
        ] {
            assert_eq!(read(text).unwrap().as_str(), whole);
        }
        for text in ["", "db.example", "wss://a/gremlin", "http://a", "ws://u:p@a/"] {
            assert!(read(text).unwrap_err().to_string().contains("ws://127.0.0.1:8182/gremlin"), "{text}");
        }
    }
}
