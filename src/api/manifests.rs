//! end-3, end-7 and end-9: manifests.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    answer::{Answer, NO_CACHE, immutable},
    conditional,
    error::ApiError,
    freshness,
    request_body::RequestBody,
    routes::{Ask, Push},
    uploads,
};
use crate::{
    oci::{ErrorCode, InvalidReference, MAX_MANIFEST_BYTES, Reference, Tag},
    registry::ManifestInfo,
    telemetry::CacheStatus,
    tiers::Body,
    upstream::Destination,
};

/// Tags that one push may give a manifest.
const MAX_TAGS: usize = 100;

pub(super) async fn answer(ask: Ask<'_>, reference: &str) -> Result<Answer, ApiError> {
    let reference = parse(reference)?;
    let registry = &ask.service.registry;
    let headers = ask.request.headers();
    if ask.is_head || conditional::is_conditional(headers) {
        let info = registry.manifest_head(&ask.destination, &reference).await?;
        if conditional::has_already(headers, &info.digest) {
            return Ok(describe(StatusCode::NOT_MODIFIED, &info, &reference, &ask.destination));
        }
        if ask.is_head {
            return Ok(describe(StatusCode::OK, &info, &reference, &ask.destination).length(Some(info.size)));
        }
    }
    // A range is ignored: manifests are small, and RFC 9110 allows it.
    let (info, bytes) = registry.manifest(&ask.destination, &reference, &ask.customer).await?;
    let size = bytes.len() as u64;
    Ok(describe(StatusCode::OK, &info, &reference, &ask.destination).body(Body::Bytes(bytes), Some(size)))
}

/// end-7: takes a manifest in.
pub(super) async fn put(push: Push<'_>, reference: &str, body: &mut RequestBody) -> Result<Answer, ApiError> {
    let reference = reference.parse::<Reference>().map_err(|error| match error {
        InvalidReference::Tag => invalid(error.to_string()),
        InvalidReference::Digest(error) => error.into(),
    })?;
    if matches!(reference, Reference::Tag(_)) && !push.query.tags.is_empty() {
        return Err(invalid("'tag' parameters go with a push by digest".to_owned()));
    }
    if push.query.tags.len() > MAX_TAGS {
        return Err(invalid(format!("a manifest is given at most {MAX_TAGS} tags at once")));
    }
    let tags = push.query.tags.iter().map(|tag| tag.parse::<Tag>());
    let tags = tags.collect::<Result<Vec<_>, _>>().map_err(|error| invalid(error.to_string()))?;
    uploads::refuse_encoding(push.request.headers())?;
    let content_type = content_type(push.request.headers())?;
    let bytes = body.read(MAX_MANIFEST_BYTES).await?;
    let hosted = push.service.registry.hosted();
    let pushed = hosted.put_manifest(push.repository, &reference, tags.clone(), content_type, bytes).await?;
    let mut answer = Answer::new(StatusCode::CREATED, CacheStatus::None)
        .digest(&pushed.digest)
        .text_header(header::LOCATION, &format!("/v2/{}/manifests/{}", push.repository, pushed.digest));
    if let Some(subject) = pushed.subject {
        answer = answer.text_header(HeaderName::from_static("oci-subject"), &subject.to_string());
    }
    for tag in tags {
        answer = answer.text_header(HeaderName::from_static("oci-tag"), tag.as_str());
    }
    Ok(answer)
}

/// end-9: deletes a tag, or a manifest with its tags.
pub(super) async fn delete(push: Push<'_>, reference: &str) -> Result<Answer, ApiError> {
    let reference = parse(reference)?;
    push.service.registry.hosted().delete_manifest(push.repository, &reference).await?;
    Ok(Answer::new(StatusCode::ACCEPTED, CacheStatus::None))
}

fn content_type(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let text = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str).transpose();
    text.map_err(|_| invalid("the Content-Type is not made of visible ASCII characters".to_owned()))
}

fn invalid(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
}

/// What cannot be a tag does not exist; the conformance suite asks for 404.
fn parse(reference: &str) -> Result<Reference, ApiError> {
    reference.parse().map_err(|error| match error {
        InvalidReference::Tag => ApiError::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, error.to_string()),
        InvalidReference::Digest(error) => error.into(),
    })
}

fn describe(code: StatusCode, info: &ManifestInfo, reference: &Reference, destination: &Destination) -> Answer {
    let answer = Answer::new(code, info.status).digest(&info.digest).text_header(header::CONTENT_TYPE, info.media_type.as_str());
    match reference {
        Reference::Digest(_) => answer.header(header::CACHE_CONTROL, immutable(destination)),
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

    fn hosted() -> Destination {
        Destination::Hosted("local/app".parse().unwrap())
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
        let answer = describe(StatusCode::OK, &info(stale), &"latest".parse().unwrap(), &hosted());
        assert_eq!(value(&answer, "age"), Some("90"));
        assert!(value(&answer, "warning").unwrap().starts_with("299 - \""));
        assert_eq!(value(&answer, "cache-control"), Some("no-cache"));
        assert_eq!(value(&answer, "content-type"), Some("application/vnd.oci.image.index.v1+json"));
    }

    #[test]
    fn a_digest_never_changes() {
        let info = info(CacheStatus::Stale(StaleReason::UpstreamError));
        let answer = describe(StatusCode::OK, &info, &Reference::Digest(info.digest), &hosted());
        assert_eq!(value(&answer, "cache-control"), Some("private, max-age=31536000, immutable"));
        assert_eq!(value(&answer, "warning"), None);
        assert_eq!(value(&answer, "docker-content-digest"), Some(info.digest.to_string().as_str()));
        assert_eq!(value(&answer, "etag"), Some(format!("\"{}\"", info.digest).as_str()));
    }
}
