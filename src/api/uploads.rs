//! end-4 to end-6, end-11, end-13 and end-14: pushing blobs.

use std::pin::pin;

use actix_web::http::{
    Method, StatusCode,
    header::{self, HeaderMap, HeaderName},
};
use futures_util::future::{Either, select};

use super::{
    answer::Answer,
    error::ApiError,
    request_body::RequestBody,
    routes::{Push, method_not_allowed},
};
use crate::{
    oci::{Algorithm, Digest, ErrorCode, InvalidName, RepositoryName},
    registry::{Chunk, Owner, Progress, RegistryErrorKind, Writing},
    telemetry::CacheStatus,
};

static UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// end-4 and end-11: begins an upload, or does with it what can be done at once.
pub(super) async fn begin(push: Push<'_>, body: &mut RequestBody) -> Result<Answer, ApiError> {
    let (hosted, query) = (push.service.registry.hosted(), push.query);
    let algorithm = query.algorithm.as_deref().map(str::parse::<Algorithm>).transpose()?;
    let mount = query.mount.as_deref().map(str::parse::<Digest>).transpose()?;
    let from = query.from.as_deref().map(|from| source(&push, from)).transpose()?;
    if let Some(digest) = mount {
        let can_be = from.as_ref().is_none_or(Option::is_some);
        if can_be && hosted.mount(push.repository, &digest, from.flatten().as_ref()).await? {
            return Ok(created(push.repository, &digest));
        }
    } else if from.is_some() {
        let message = "'from' says where to mount a blob from, but no 'mount' says which blob";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message));
    }
    if let Some(digest) = query.digest.as_deref().map(str::parse).transpose()? {
        whole(&push, Some(digest), body).await?;
        return Ok(created(push.repository, &digest));
    }
    refuse_encoding(push.request.headers())?;
    let begun = hosted.begin(push.owner(), algorithm).await?;
    Ok(tell(StatusCode::ACCEPTED, push.repository, begun))
}

/// Takes a whole blob in, which must have the digest `wanted` if there is one. Returns its digest and length.
pub(super) async fn whole(push: &Push<'_>, wanted: Option<Digest>, body: &mut RequestBody) -> Result<(Digest, u64), ApiError> {
    refuse_encoding(push.request.headers())?;
    let mut writing = push.service.registry.hosted().receive(push.owner(), wanted.map(|digest| digest.algorithm()))?;
    receive(&mut writing, body).await?;
    let digest = match wanted {
        Some(digest) => digest,
        None => writing.digest(Algorithm::Sha256).await?,
    };
    let size = writing.received();
    writing.finish(digest).await?;
    Ok((digest, size))
}

/// end-5, end-6, end-13 and end-14: goes on with an upload.
pub(super) async fn go_on(push: Push<'_>, id: &str, body: &mut RequestBody) -> Result<Answer, ApiError> {
    let hosted = push.service.registry.hosted();
    let owner = push.owner();
    match *push.request.method() {
        Method::GET | Method::HEAD => Ok(tell(StatusCode::NO_CONTENT, push.repository, hosted.progress(&owner, id)?)),
        Method::DELETE => {
            hosted.cancel(&owner, id).await?;
            Ok(Answer::new(StatusCode::NO_CONTENT, CacheStatus::None))
        }
        Method::PATCH | Method::PUT => {
            let progress = hosted.progress(&owner, id)?;
            let written = write(&push, &owner, id, body).await;
            written.or_else(|error| match error {
                Refused::OutOfOrder(error, received) => {
                    let progress = Progress { received, ..progress };
                    Ok(locate(error.into_answer(), push.repository, progress))
                }
                Refused::Otherwise(error) => Err(error),
            })
        }
        _ => Ok(method_not_allowed("GET, HEAD, PATCH, PUT, DELETE")),
    }
}

enum Refused {
    /// The client is told where to go on.
    OutOfOrder(ApiError, u64),
    Otherwise(ApiError),
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Otherwise(error.into())
    }
}

async fn write(push: &Push<'_>, owner: &Owner, id: &str, body: &mut RequestBody) -> Result<Answer, Refused> {
    let hosted = push.service.registry.hosted();
    let closing = *push.request.method() == Method::PUT;
    let digest = if closing { Some(wanted_digest(push)?) } else { None };
    refuse_encoding(push.request.headers())?;
    let chunk = match chunk(push.request.headers(), body.declared()) {
        Ok(chunk) => chunk,
        Err(error) => return Err(Refused::OutOfOrder(error, hosted.progress(owner, id)?.received)),
    };
    let mut writing = hosted.write(owner, id, chunk, closing).await.map_err(|error| match error.kind {
        RegistryErrorKind::OutOfOrder { received } => Refused::OutOfOrder(error.into(), received),
        _ => Refused::Otherwise(error.into()),
    })?;
    receive(&mut writing, body).await?;
    match digest {
        Some(digest) => {
            writing.finish(digest).await?;
            Ok(created(push.repository, &digest))
        }
        None => Ok(tell(StatusCode::ACCEPTED, push.repository, writing.keep()?)),
    }
}

/// Takes the whole body. The next bytes are awaited while the last ones are written. Those that came before the body broke are
/// written too, and bytes that cannot be written end it at once.
async fn receive(writing: &mut Writing, body: &mut RequestBody) -> Result<(), ApiError> {
    if let Some(length) = body.declared() {
        writing.expect(length)?;
    }
    let mut batch = body.next().await?;
    while let Some(bytes) = batch {
        let (write, next) = (pin!(writing.write(bytes)), pin!(body.next()));
        batch = match select(write, next).await {
            Either::Left((written, next)) => {
                written?;
                next.await?
            }
            Either::Right((next, write)) => {
                write.await?;
                next?
            }
        };
    }
    Ok(())
}

fn wanted_digest(push: &Push<'_>) -> Result<Digest, ApiError> {
    let missing = || ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, "the 'digest' of the blob is missing");
    Ok(push.query.digest.as_deref().ok_or_else(missing)?.parse()?)
}

/// The repository that a mount comes from; `None` when it is not hosted, so that nothing can be mounted from it.
fn source(push: &Push<'_>, from: &str) -> Result<Option<RepositoryName>, InvalidName> {
    let name = from.parse::<RepositoryName>()?;
    let is_hosted = push.service.registry.routes().hosted().iter().any(|prefix| from.starts_with(prefix.as_str()));
    Ok(is_hosted.then_some(name))
}

/// The part of the upload that comes (distribution specification, "Pushing a blob in chunks"): `first-last`, without a unit.
fn chunk(headers: &HeaderMap, declared: Option<u64>) -> Result<Option<Chunk>, ApiError> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let refuse = |message: &str| ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid, message);
    let number = |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<u64>().ok() } else { None };
    let ends = range.to_str().ok().and_then(|range| range.split_once('-'));
    let (Some(start), Some(last)) = (ends.and_then(|(start, _)| number(start)), ends.and_then(|(_, last)| number(last))) else {
        return Err(refuse("Content-Range must have the form first-last, in bytes and without a unit"));
    };
    let Some(length) = last.checked_sub(start).and_then(|length| length.checked_add(1)) else {
        return Err(refuse("Content-Range ends before it begins"));
    };
    if declared.is_some_and(|declared| declared != length) {
        return Err(refuse("Content-Range and Content-Length do not agree"));
    }
    Ok(Some(Chunk { start, length }))
}

/// What is pushed is kept as it comes, so it must not come encoded.
pub(super) fn refuse_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let message = "a body with a Content-Encoding is not taken; push the bytes as they are";
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::Unsupported, message))
        }
        _ => Ok(()),
    }
}

fn tell(status: StatusCode, repository: &RepositoryName, progress: Progress) -> Answer {
    let answer = Answer::new(status, CacheStatus::None).text_header(UPLOAD_ID.clone(), &progress.id.to_string());
    locate(answer, repository, progress)
}

/// Says where to go on, in place and in bytes. Of an empty upload the specification has no way to say so but `0-0`.
fn locate(answer: Answer, repository: &RepositoryName, progress: Progress) -> Answer {
    answer
        .text_header(header::LOCATION, &format!("/v2/{repository}/blobs/uploads/{}", progress.id))
        .text_header(header::RANGE, &format!("0-{}", progress.received.saturating_sub(1)))
}

/// 201: the blob is there.
pub(super) fn created(repository: &RepositoryName, digest: &Digest) -> Answer {
    Answer::new(StatusCode::CREATED, CacheStatus::None)
        .text_header(header::LOCATION, &format!("/v2/{repository}/blobs/{digest}"))
        .digest(digest)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn read(range: &str, declared: Option<u64>) -> Result<Option<Chunk>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(range).unwrap());
        chunk(&headers, declared).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn chunks_are_read_strictly() {
        assert_eq!(chunk(&HeaderMap::new(), Some(5)), Ok(None));
        assert_eq!(read("0-9", Some(10)), Ok(Some(Chunk { start: 0, length: 10 })));
        assert_eq!(read("10-10", None), Ok(Some(Chunk { start: 10, length: 1 })));
        for range in [
            "",
            "-",
            "0",
            "0-",
            "-9",
            "9-0",
            "a-b",
            "bytes 0-9",
            "bytes=0-9",
            "0-9/10",
            "0-9/*",
            "+0-9",
            " 0-9",
            "0-18446744073709551615",
            "0-18446744073709551616",
        ] {
            assert_eq!(read(range, Some(10)), Err(416), "{range}");
        }
        assert_eq!(read("0-9", Some(11)), Err(416));
    }
}
