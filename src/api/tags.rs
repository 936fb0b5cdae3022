//! end-8: the tags of a repository.

use actix_web::http::{StatusCode, header};
use serde::Serialize;

use super::{
    answer::{Answer, JSON, NO_CACHE},
    error::ApiError,
    freshness, page,
    routes::Ask,
};

pub(super) async fn answer(ask: Ask<'_>, name: &str) -> Result<Answer, ApiError> {
    #[derive(Serialize)]
    struct List<'a> {
        name: &'a str,
        tags: &'a [String],
    }

    let limit = page::limit(ask.query)?;
    let listing = ask.service.registry.tags(&ask.destination).await?;
    let page = page(&listing.entries, limit, ask.query.last.as_deref());
    // Strings cannot fail to be written as JSON.
    let json = serde_json::to_vec(&List { name, tags: page.entries }).unwrap_or_default();
    let answer = Answer::new(StatusCode::OK, listing.status).header(header::CACHE_CONTROL, NO_CACHE).bytes(JSON, json);
    let answer = freshness::tell(answer, listing.status, Some(listing.age));
    Ok(match (page.next, limit) {
        (Some(last), Some(limit)) => page::link_next(answer, ask.request.uri().path(), ask.query, last, limit),
        _ => answer,
    })
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
}
