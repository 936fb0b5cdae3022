//! end-12: what refers to a manifest.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::{
    answer::{Answer, NO_CACHE},
    error::ApiError,
    freshness,
    page::{self, MAX_PAGE},
    routes::Ask,
};
use crate::oci::{Digest, MAX_MANIFEST_BYTES, MediaType};

const INDEX: HeaderValue = HeaderValue::from_static(MediaType::OCI_INDEX);

/// Bytes of descriptors in one page at most, unless a single one is larger: clients read no more of an index than of any
/// other manifest.
const PAGE_BYTES: usize = MAX_MANIFEST_BYTES - 4096;

pub(super) async fn answer(ask: Ask<'_>, digest: &str) -> Result<Answer, ApiError> {
    let digest: Digest = digest.parse()?;
    let limit = page::limit(ask.query)?.unwrap_or(MAX_PAGE).max(1);
    let listing = ask.service.registry.referrers(&ask.destination, &digest).await?;
    let wanted = ask.query.artifact_type.as_deref();
    let page = page(&listing.entries, wanted, ask.query.last.as_deref(), limit);
    let answer =
        Answer::new(StatusCode::OK, listing.status).header(header::CACHE_CONTROL, NO_CACHE).bytes(INDEX, index(&page.entries));
    let mut answer = freshness::tell(answer, listing.status, Some(listing.age));
    if let Some(last) = page.next {
        answer = page::link_next(answer, ask.request.uri().path(), ask.query, last, limit);
    }
    Ok(match wanted {
        Some(_) => answer.header(HeaderName::from_static("oci-filters-applied"), HeaderValue::from_static("artifactType")),
        None => answer,
    })
}

/// Part of a list.
struct Page<'a> {
    entries: Vec<String>,
    /// The digest of the last entry of this page, when others follow.
    next: Option<&'a str>,
}

/// The entries after the one with the digest `last`, of one artifact type if one is wanted.
fn page<'a>(entries: &'a [Value], artifact_type: Option<&str>, last: Option<&str>, limit: usize) -> Page<'a> {
    let digest = |entry: &'a Value| entry.get("digest").and_then(Value::as_str);
    let is_wanted =
        |entry: &&Value| artifact_type.is_none_or(|wanted| entry.get("artifactType").and_then(Value::as_str) == Some(wanted));
    let start = last.and_then(|last| entries.iter().position(|entry| digest(entry) == Some(last))).map_or(0, |at| at + 1);
    let (mut page, mut bytes) = (Page { entries: Vec::new(), next: None }, 0);
    let mut previous = None;
    for entry in entries[start..].iter().filter(is_wanted) {
        let json = entry.to_string();
        bytes += json.len() + 1;
        if page.entries.len() == limit || (bytes > PAGE_BYTES && !page.entries.is_empty()) {
            page.next = previous;
            break;
        }
        page.entries.push(json);
        previous = digest(entry);
    }
    page
}

/// Descriptors, each as JSON, as an image index.
fn index(descriptors: &[String]) -> String {
    let (media_type, manifests) = (MediaType::OCI_INDEX, descriptors.join(","));
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{manifests}]}}"#)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(entries: &[Value], artifact_type: Option<&str>, last: Option<&str>, limit: usize) -> (Value, Option<String>) {
        let page = page(entries, artifact_type, last, limit);
        let index: Value = serde_json::from_str(&index(&page.entries)).unwrap();
        (index["manifests"].clone(), page.next.map(str::to_owned))
    }

    #[test]
    fn nothing_is_an_empty_index() {
        let index: Value = serde_json::from_str(&index(&[])).unwrap();
        assert_eq!(index, json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": []}));
    }

    #[test]
    fn the_filter_is_exact() {
        let entries = [json!({"digest": "1", "artifactType": "a/b"}), json!({"digest": "2"}), json!({"artifactType": "a/bc"})];
        assert_eq!(listed(&entries, None, None, 9), (json!(entries), None));
        assert_eq!(listed(&entries, Some("a/b"), None, 9), (json!([entries[0]]), None));
        assert_eq!(listed(&entries, Some(""), None, 9), (json!([]), None));
    }

    #[test]
    fn pages_follow_each_other() {
        let entry = |n: u32| json!({"digest": n.to_string(), "artifactType": if n.is_multiple_of(2) { "even" } else { "odd" }});
        let entries: Vec<_> = (0..6).map(entry).collect();
        assert_eq!(listed(&entries, None, None, 4), (json!(entries[..4]), Some("3".to_owned())));
        assert_eq!(listed(&entries, None, Some("3"), 4), (json!(entries[4..]), None));
        assert_eq!(listed(&entries, Some("odd"), None, 2), (json!([entries[1], entries[3]]), Some("3".to_owned())));
        assert_eq!(listed(&entries, Some("odd"), Some("3"), 2), (json!([entries[5]]), None));
    }

    #[test]
    fn no_page_is_larger_than_a_manifest_may_be() {
        let entry = |n: u32| json!({"digest": n.to_string(), "annotations": {"note": "x".repeat(1 << 20)}});
        let entries: Vec<_> = (0..7).map(entry).collect();
        let (mut seen, mut last) = (0, None);
        loop {
            let page = page(&entries, None, last.as_deref(), 100);
            assert!(index(&page.entries).len() <= MAX_MANIFEST_BYTES);
            seen += page.entries.len();
            match page.next {
                Some(next) => last = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(seen, 7);
    }
}
