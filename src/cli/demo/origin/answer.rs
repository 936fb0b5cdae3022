//! What the origin answers: the pull part of the distribution specification.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Frame,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RANGE},
};
use serde_json::json;

use super::Shared;
use crate::{
    cli::demo::images::Repository,
    oci::{ByteRange, Digest, ErrorCode, MediaType, RangeRequest, Reference, Selected},
};

/// Bytes of a body that take the line at once: small, so that bodies share it evenly.
const CHUNK: usize = 32 << 10;

const JSON: &str = "application/json";
const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An answer before its body is put on the line.
struct Answer {
    status: StatusCode,
    media_type: &'static str,
    digest: Option<Digest>,
    /// The part of how much, for 206 and 416.
    range: Option<(Option<ByteRange>, usize)>,
    bytes: Bytes,
}

/// Answers one request, after the round trip of the line. The body leaves at the line's pace.
pub(super) async fn answer<B>(shared: Arc<Shared>, request: Request<B>) -> Reply {
    shared.traffic.request();
    shared.line.round_trip().await;
    let answer = find(&shared, &request);
    let is_head = request.method() == Method::HEAD;
    reply(shared, answer, is_head)
}

fn find<B>(shared: &Shared, request: &Request<B>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return failure(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported);
    }
    let Some(path) = request.uri().path().strip_prefix("/v2/") else {
        return failure(StatusCode::NOT_FOUND, ErrorCode::NameUnknown);
    };
    if path.is_empty() {
        return document(JSON, None, Bytes::from_static(b"{}"));
    }
    let endpoints = ["/manifests/", "/blobs/", "/tags/"];
    let found = endpoints.iter().find_map(|endpoint| Some((endpoint, path.rsplit_once(endpoint)?)));
    let Some((&endpoint, (name, rest))) = found else {
        return failure(StatusCode::NOT_FOUND, ErrorCode::NameUnknown);
    };
    let Some(repository) = shared.images.repositories.get(name) else {
        return failure(StatusCode::NOT_FOUND, ErrorCode::NameUnknown);
    };
    match endpoint {
        "/manifests/" => manifest(repository, rest),
        "/blobs/" => blob(shared, repository, rest, request),
        _ => tags(name, repository),
    }
}

fn manifest(repository: &Repository, reference: &str) -> Answer {
    let digest = match reference.parse() {
        Ok(Reference::Tag(tag)) => repository.tags.lock().get(tag.as_str()).copied(),
        Ok(Reference::Digest(digest)) => Some(digest),
        Err(_) => None,
    };
    match digest.and_then(|digest| Some((digest, repository.manifests.get(&digest)?))) {
        Some((digest, found)) => document(found.media_type, Some(digest), found.bytes.clone()),
        None => failure(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
    }
}

fn blob<B>(shared: &Shared, repository: &Repository, digest: &str, request: &Request<B>) -> Answer {
    let found = digest.parse().ok().and_then(|digest| Some((digest, repository.blobs.get(&digest)?)));
    let Some((digest, bytes)) = found else {
        return failure(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown);
    };
    if request.method() == Method::GET {
        shared.traffic.blob(digest);
    }
    let whole = document(MediaType::OCTET_STREAM, Some(digest), bytes.clone());
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    match RangeRequest::parse(range).select(bytes.len() as u64) {
        Selected::Whole => whole,
        Selected::Part(part) => Answer {
            status: StatusCode::PARTIAL_CONTENT,
            range: Some((Some(part), bytes.len())),
            // The part lies inside of the blob, whose length is a usize.
            bytes: bytes.slice(part.start as usize..part.end as usize),
            ..whole
        },
        Selected::Unsatisfiable => {
            Answer { status: StatusCode::RANGE_NOT_SATISFIABLE, range: Some((None, bytes.len())), bytes: Bytes::new(), ..whole }
        }
    }
}

fn tags(name: &str, repository: &Repository) -> Answer {
    let mut tags: Vec<_> = repository.tags.lock().keys().copied().collect();
    tags.sort_unstable();
    document(JSON, None, json!({ "name": name, "tags": tags }).to_string().into())
}

fn document(media_type: &'static str, digest: Option<Digest>, bytes: Bytes) -> Answer {
    Answer { status: StatusCode::OK, media_type, digest, range: None, bytes }
}

fn failure(status: StatusCode, code: ErrorCode) -> Answer {
    let body = json!({ "errors": [{ "code": code.as_str(), "message": "the demonstration's origin has no such thing" }] });
    Answer { status, ..document(JSON, None, body.to_string().into()) }
}

fn reply(shared: Arc<Shared>, answer: Answer, is_head: bool) -> Reply {
    let length = answer.bytes.len();
    let body = if is_head { Bytes::new() } else { answer.bytes };
    let mut reply = Response::new(at_the_pace_of_the_line(shared, body));
    *reply.status_mut() = answer.status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.media_type));
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let content_range = answer.range.map(|(part, length)| match part {
        Some(part) => format!("bytes {}-{}/{length}", part.start, part.end - 1),
        None => format!("bytes */{length}"),
    });
    let digest = answer.digest.map(|digest| digest.to_string());
    for (name, value) in [(CONTENT_RANGE, content_range), (DOCKER_CONTENT_DIGEST, digest)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    reply
}

fn at_the_pace_of_the_line(shared: Arc<Shared>, body: Bytes) -> UnsyncBoxBody<Bytes, Infallible> {
    let chunks = stream::unfold((shared, body), |(shared, mut rest)| async move {
        if rest.is_empty() {
            return None;
        }
        let chunk = rest.split_to(rest.len().min(CHUNK));
        shared.line.carry(chunk.len()).await;
        shared.traffic.sent(chunk.len());
        Some((Ok(Frame::data(chunk)), (shared, rest)))
    });
    StreamBody::new(chunks).boxed_unsync()
}
