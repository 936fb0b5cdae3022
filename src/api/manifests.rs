//! end-3: GET and HEAD of manifests.

use actix_web::http::{StatusCode, header};

use super::{
    answer::{Answer, IMMUTABLE, NO_CACHE},
    conditional,
    error::ApiError,
    freshness,
    routes::Ask,
};
use crate::{
    oci::{ErrorCode, InvalidReference, Reference},
    registry::ManifestInfo,
    tiers::Body,
};

pub(super) async fn answer(ask: Ask<'_>, reference: &str) -> Result<Answer, ApiError> {
    let reference = parse(reference)?;
    let registry = &ask.service.registry;
    let headers = ask.request.headers();
    if ask.is_head || conditional::is_conditional(headers) {
        let info = registry.manifest_head(&ask.target, &reference).await?;
        if conditional::has_already(headers, &info.digest) {
            return Ok(describe(StatusCode::NOT_MODIFIED, &info, &reference));
        }
        if ask.is_head {
            return Ok(describe(StatusCode::OK, &info, &reference).length(Some(info.size)));
        }
    }
    // A range is ignored: manifests are small, and RFC 9110 allows it.
    let (info, bytes) = registry.manifest(&ask.target, &reference).await?;
    let size = bytes.len() as u64;
    Ok(describe(StatusCode::OK, &info, &reference).body(Body::Bytes(bytes), Some(size)))
}

/// What cannot be a tag does not exist; the conformance suite asks for 404.
fn parse(reference: &str) -> Result<Reference, ApiError> {
    reference.parse().map_err(|error| match error {
        InvalidReference::Tag => ApiError::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, error.to_string()),
        InvalidReference::Digest(error) => error.into(),
    })
}

fn describe(code: StatusCode, info: &ManifestInfo, reference: &Reference) -> Answer {
    let answer = Answer::new(code, info.status).digest(&info.digest).text_header(header::CONTENT_TYPE, info.media_type.as_str());
    match reference {
        Reference::Digest(_) => answer.header(header::CACHE_CONTROL, IMMUTABLE),
        Reference::Tag(_) => {
            let answer = answer.header(header::CACHE_CONTROL, NO_CACHE);
            freshness::tell(answer, info.status, info.age)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        oci::{Algorithm, Digest},
        telemetry::{CacheStatus, StaleReason},
    };

    fn info(status: CacheStatus) -> ManifestInfo {
        ManifestInfo {
            digest: Digest::of(Algorithm::Sha256, b"x"),
            media_type: "application/vnd.oci.image.index.v1+json".parse().unwrap(),
            size: 1,
            status,
            age: Some(Duration::from_secs(90)),
        }
    }

    fn value<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.headers.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.to_str().unwrap())
    }

    #[test]
    fn bad_references() {
        for (reference, status) in [(".INVALID_MANIFEST_NAME", 404), ("", 404), ("sha256:abc", 400), ("md5:00", 400)] {
            assert_eq!(parse(reference).unwrap_err().status.as_u16(), status, "{reference}");
        }
    }

    #[test]
    fn a_stale_tag_tells_its_age_and_why() {
        let stale = CacheStatus::Stale(StaleReason::UpstreamError);
        let answer = describe(StatusCode::OK, &info(stale), &"latest".parse().unwrap());
        assert_eq!(value(&answer, "age"), Some("90"));
        assert!(value(&answer, "warning").unwrap().starts_with("299 - \""));
        assert_eq!(value(&answer, "cache-control"), Some("no-cache"));
        assert_eq!(value(&answer, "content-type"), Some("application/vnd.oci.image.index.v1+json"));
    }

    #[test]
    fn a_digest_never_changes() {
        let info = info(CacheStatus::Stale(StaleReason::UpstreamError));
        let answer = describe(StatusCode::OK, &info, &Reference::Digest(info.digest));
        assert_eq!(value(&answer, "cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(value(&answer, "warning"), None);
        assert_eq!(value(&answer, "docker-content-digest"), Some(info.digest.to_string().as_str()));
        assert_eq!(value(&answer, "etag"), Some(format!("\"{}\"", info.digest).as_str()));
    }
}
