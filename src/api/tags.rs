//! end-8: the tags of a repository.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderValue},
};
use serde::Serialize;

use super::{
    answer::{Answer, JSON, NO_CACHE},
    error::ApiError,
    freshness,
    routes::Ask,
};
use crate::oci::ErrorCode;

/// Largest page.
const MAX_PAGE: usize = 10_000;

pub(super) async fn answer(ask: Ask<'_>, name: &str) -> Result<Answer, ApiError> {
    #[derive(Serialize)]
    struct List<'a> {
        name: &'a str,
        tags: &'a [String],
    }

    let limit = ask.query.limit.as_deref().map(parse_limit).transpose()?;
    let listing = ask.service.registry.tags(&ask.target).await?;
    let page = page(&listing.entries, limit, ask.query.last.as_deref());
    // Strings cannot fail to be written as JSON.
    let json = serde_json::to_vec(&List { name, tags: page.entries }).unwrap_or_default();
    let answer = Answer::new(StatusCode::OK, listing.status).header(header::CACHE_CONTROL, NO_CACHE).bytes(JSON, json);
    let answer = freshness::tell(answer, listing.status, Some(listing.age));
    let (Some(last), Some(limit)) = (page.next, limit) else {
        return Ok(answer);
    };
    let link = next_link(ask.request.uri().path(), last, limit, ask.query.namespace.as_deref());
    Ok(match HeaderValue::from_str(&link) {
        Ok(link) => answer.header(header::LINK, link),
        Err(_) => answer,
    })
}

fn parse_limit(text: &str) -> Result<usize, ApiError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, "'n' is not a number of entries"));
    }
    Ok(text.parse().unwrap_or(usize::MAX).min(MAX_PAGE))
}

/// Part of a list.
#[derive(Debug, PartialEq, Eq)]
struct Page<'a> {
    entries: &'a [String],
    /// The last entry of this page, when others follow.
    next: Option<&'a str>,
}

/// The entries after `last`, at most `limit` of them. `entries` is in byte order.
fn page<'a>(entries: &'a [String], limit: Option<usize>, last: Option<&str>) -> Page<'a> {
    let start = last.map_or(0, |last| entries.partition_point(|entry| entry.as_str() <= last));
    let rest = &entries[start..];
    match limit {
        Some(limit) if limit < rest.len() => {
            let entries = &rest[..limit];
            Page { entries, next: entries.last().map(String::as_str) }
        }
        _ => Page { entries: rest, next: None },
    }
}

/// The path stays as the client wrote it, so that the next page is asked for in the same way.
fn next_link(path: &str, last: &str, limit: usize, namespace: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("last", last).append_pair("n", &limit.to_string());
    if let Some(namespace) = namespace {
        query.append_pair("ns", namespace);
    }
    format!("<{path}?{}>; rel=\"next\"", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> Vec<String> {
        ["A", "a", "b", "c"].map(str::to_owned).to_vec()
    }

    #[test]
    fn pages_follow_each_other() {
        let tags = tags();
        assert_eq!(page(&tags, None, None), Page { entries: &tags[..], next: None });
        assert_eq!(page(&tags, Some(2), None), Page { entries: &tags[..2], next: Some("a") });
        assert_eq!(page(&tags, Some(2), Some("a")), Page { entries: &tags[2..], next: None });
        assert_eq!(page(&tags, Some(4), None), Page { entries: &tags[..], next: None });
        assert_eq!(page(&tags, None, Some("a")), Page { entries: &tags[2..], next: None });
        assert_eq!(page(&tags, Some(1), Some("B")), Page { entries: &tags[1..2], next: Some("a") });
        assert_eq!(page(&tags, Some(9), Some("zzz")), Page { entries: &[], next: None });
        assert_eq!(page(&tags, Some(0), None), Page { entries: &[], next: None });
        assert_eq!(page(&[], Some(5), Some("x")), Page { entries: &[], next: None });
    }

    #[test]
    fn page_sizes() {
        assert_eq!(parse_limit("0"), Ok(0));
        assert_eq!(parse_limit("7"), Ok(7));
        assert_eq!(parse_limit("1000000000"), Ok(MAX_PAGE));
        assert_eq!(parse_limit("18446744073709551616"), Ok(MAX_PAGE));
        for bad in ["", "-1", "abc", "1e9", "+1", "0x1", " 1"] {
            assert_eq!(parse_limit(bad).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn links_keep_the_way_the_client_came() {
        assert_eq!(next_link("/v2/a/tags/list", "1.0", 5, None), "</v2/a/tags/list?last=1.0&n=5>; rel=\"next\"");
        assert_eq!(
            next_link("/hub/v2/a/tags/list", "x>y", 1, Some("docker.io:443")),
            "</hub/v2/a/tags/list?last=x%3Ey&n=1&ns=docker.io%3A443>; rel=\"next\""
        );
    }
}
