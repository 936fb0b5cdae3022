//! Conditional requests (RFC 9110, section 13). The entity tag of a content is its digest in quotes.

use actix_web::http::header::{self, HeaderMap};

use crate::oci::Digest;

/// Whether `If-None-Match` names `digest`, so that the client has it already: 304. Weak comparison, lists, `*`.
pub(super) fn has_already(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| names(tag.trim(), digest))
}

/// Whether the request has an `If-None-Match` at all.
pub(super) fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_NONE_MATCH)
}

fn names(tag: &str, digest: &Digest) -> bool {
    if tag == "*" {
        return true;
    }
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    // Some clients leave the quotes out.
    let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    tag.parse() == Ok(*digest)
}

/// The value of `Range` if it is to be honoured: `If-Range` has to name the very same content, by a strong tag.
pub(super) fn range<'a>(headers: &'a HeaderMap, digest: &Digest) -> Option<&'a str> {
    let range = headers.get(header::RANGE)?.to_str().ok()?;
    let Some(condition) = headers.get(header::IF_RANGE) else {
        return Some(range);
    };
    let tag = condition.to_str().ok()?.trim().strip_prefix('"')?.strip_suffix('"')?;
    (tag.parse() == Ok(*digest)).then_some(range)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::oci::Algorithm;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn if_none_match() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let other = Digest::of(Algorithm::Sha256, b"y");
        for value in [
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            format!("\"{other}\", \"{digest}\""),
            digest.to_string(),
            "*".to_owned(),
        ] {
            assert!(has_already(&headers(header::IF_NONE_MATCH, &value), &digest), "{value}");
        }
        for value in [format!("\"{other}\""), String::new(), "\"".to_owned(), "\"*\"".to_owned(), format!("\"{digest}")] {
            assert!(!has_already(&headers(header::IF_NONE_MATCH, &value), &digest), "{value}");
        }
        assert!(!has_already(&HeaderMap::new(), &digest));
        let many = vec![format!("\"{other}\""); 300].join(",");
        assert!(!has_already(&headers(header::IF_NONE_MATCH, &many), &digest));
    }

    #[test]
    fn if_range() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let mut request = headers(header::RANGE, "bytes=0-1");
        assert_eq!(range(&request, &digest), Some("bytes=0-1"));
        for (value, honoured) in [
            (format!("\"{digest}\""), true),
            (format!("W/\"{digest}\""), false),
            ("\"other\"".to_owned(), false),
            ("Mon, 23 Nov 2026 00:00:00 GMT".to_owned(), false),
        ] {
            request.insert(header::IF_RANGE, HeaderValue::from_str(&value).unwrap());
            assert_eq!(range(&request, &digest).is_some(), honoured, "{value}");
        }
    }
}
