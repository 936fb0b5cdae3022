//! end-12: what refers to a manifest.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    answer::{Answer, NO_CACHE},
    error::ApiError,
    freshness,
    routes::Ask,
};
use crate::oci::{Digest, MediaType};

const INDEX: HeaderValue = HeaderValue::from_static(MediaType::OCI_INDEX);

pub(super) async fn answer(ask: Ask<'_>, digest: &str) -> Result<Answer, ApiError> {
    let digest: Digest = digest.parse()?;
    let listing = ask.service.registry.referrers(&ask.target, &digest).await?;
    let wanted = ask.query.artifact_type.as_deref();
    let json = index(&listing.entries, wanted);
    let answer = Answer::new(StatusCode::OK, listing.status).header(header::CACHE_CONTROL, NO_CACHE).bytes(INDEX, json);
    let answer = freshness::tell(answer, listing.status, Some(listing.age));
    Ok(match wanted {
        Some(_) => answer.header(HeaderName::from_static("oci-filters-applied"), HeaderValue::from_static("artifactType")),
        None => answer,
    })
}

/// The list as an image index, of one artifact type if one is wanted.
fn index(entries: &[Value], artifact_type: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index<'a> {
        schema_version: u8,
        media_type: &'a str,
        manifests: Vec<&'a Value>,
    }

    let is_wanted =
        |entry: &&Value| artifact_type.is_none_or(|wanted| entry.get("artifactType").and_then(Value::as_str) == Some(wanted));
    let manifests = entries.iter().filter(is_wanted).collect();
    let index = Index { schema_version: 2, media_type: MediaType::OCI_INDEX, manifests };
    // JSON values cannot fail to be written as JSON.
    serde_json::to_vec(&index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_an_empty_index() {
        let index: Value = serde_json::from_slice(&index(&[], None)).unwrap();
        assert_eq!(index, json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": []}));
    }

    #[test]
    fn the_filter_is_exact() {
        let entries = [json!({"digest": "1", "artifactType": "a/b"}), json!({"digest": "2"}), json!({"artifactType": "a/bc"})];
        let all: Value = serde_json::from_slice(&index(&entries, None)).unwrap();
        assert_eq!(all["manifests"], json!(entries));
        let some: Value = serde_json::from_slice(&index(&entries, Some("a/b"))).unwrap();
        assert_eq!(some["manifests"], json!([entries[0]]));
        let none: Value = serde_json::from_slice(&index(&entries, Some(""))).unwrap();
        assert_eq!(none["manifests"], json!([]));
    }
}
