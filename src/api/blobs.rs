//! end-2 and end-10: blobs.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderValue},
};

use super::{
    answer::{Answer, immutable},
    conditional,
    error::ApiError,
    redirect,
    routes::{Ask, Push},
};
use crate::{
    oci::{Digest, ErrorCode, RangeRequest, Selected},
    registry::Blob,
    telemetry::CacheStatus,
    upstream::Destination,
};

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");

pub(super) async fn answer(ask: Ask<'_>, digest: &str) -> Result<Answer, ApiError> {
    let digest: Digest = digest.parse()?;
    let registry = &ask.service.registry;
    let headers = ask.request.headers();
    let has_already = conditional::has_already(headers, &digest);
    if ask.is_head || has_already {
        let (size, status) = registry.blob_head(&ask.destination, &digest).await?;
        let code = if has_already { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let size = if has_already { Some(0) } else { size };
        return Ok(describe(code, status, &digest, &ask.destination).length(size));
    }
    if let Some(elsewhere) = redirect::answer(&ask, &digest).await {
        return Ok(elsewhere);
    }
    let blob = registry.blob(&ask.destination, &digest, &ask.customer).await?;
    let range = RangeRequest::parse(conditional::range(headers, &digest));
    Ok(send(blob, &digest, range, &ask.destination))
}

/// end-10: takes a blob out of a repository.
pub(super) async fn delete(push: Push<'_>, digest: &str) -> Result<Answer, ApiError> {
    push.service.registry.hosted().delete_blob(push.repository, &digest.parse()?).await?;
    Ok(Answer::new(StatusCode::ACCEPTED, CacheStatus::None))
}

fn send(blob: Blob, digest: &Digest, range: RangeRequest, destination: &Destination) -> Answer {
    let (size, status) = (blob.size, blob.status);
    let selected = size.map_or(Selected::Whole, |size| range.select(size));
    match (selected, size) {
        (Selected::Part(part), Some(size)) => describe(StatusCode::PARTIAL_CONTENT, status, digest, destination)
            .text_header(header::CONTENT_RANGE, &format!("bytes {}-{}/{size}", part.start, part.end - 1))
            .body(blob.into_body(Some(part)), Some(part.len())),
        (Selected::Unsatisfiable, Some(size)) => unsatisfiable(size, status),
        _ => describe(StatusCode::OK, status, digest, destination).body(blob.into_body(None), size),
    }
}

fn describe(code: StatusCode, status: CacheStatus, digest: &Digest, destination: &Destination) -> Answer {
    Answer::new(code, status)
        .digest(digest)
        .header(header::CONTENT_TYPE, OCTET_STREAM)
        .header(header::ACCEPT_RANGES, BYTES)
        .header(header::CACHE_CONTROL, immutable(destination))
}

fn unsatisfiable(size: u64, status: CacheStatus) -> Answer {
    let mut error = ApiError::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::SizeInvalid,
        format!("the range lies outside of the blob's {size} bytes"),
    );
    error.cache = status;
    error.into_answer().text_header(header::CONTENT_RANGE, &format!("bytes */{size}"))
}
