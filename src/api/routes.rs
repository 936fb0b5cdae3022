//! The route table, on one screen.

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode, header, header::HeaderName},
};

use super::{
    Service,
    answer::Answer,
    blobs,
    error::ApiError,
    exchange::Exchange,
    health, manifests,
    path::{self, Api, Resource},
    query::Query,
    referrers, tags,
};
use crate::{
    oci::ErrorCode,
    upstream::{Address, Target},
};

/// A request for something of a repository: what all handlers need.
pub(super) struct Ask<'a> {
    pub(super) service: &'a Service,
    pub(super) request: &'a HttpRequest,
    pub(super) query: &'a Query<'a>,
    pub(super) target: Target,
    pub(super) is_head: bool,
}

/// Answers a request.
pub(super) async fn answer(service: &Service, request: &HttpRequest, exchange: &mut Exchange) -> Answer {
    let outcome = route(service, request, exchange).await;
    outcome.unwrap_or_else(ApiError::into_answer)
}

async fn route(service: &Service, request: &HttpRequest, exchange: &mut Exchange) -> Result<Answer, ApiError> {
    path::limit(request.uri().path_and_query().map_or("", |target| target.as_str()))?;
    let resource = path::parse(request.uri().path())?;
    exchange.endpoint = label(&resource);
    let (prefix, what) = match resource {
        Resource::Registry { prefix, what } => (prefix, what),
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => return Ok(refuse_method(request)),
        Resource::Alive => return Ok(health::alive()),
        Resource::Ready => return Ok(health::ready(service)),
        Resource::Metrics => return Ok(health::metrics(service)),
        Resource::Unknown => return Err(unknown_path()),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(refuse_method(request));
    }
    refuse_loop(service, request)?;
    let (name, last) = match what {
        Api::Base => return Ok(health::base()),
        Api::Upload => return Err(unknown_upload()),
        Api::Unknown => return Err(unknown_path()),
        Api::Tags(name) => (name, ""),
        Api::Manifest(name, last) | Api::Blob(name, last) | Api::Referrers(name, last) => (name, last),
    };
    let query = Query::parse(request.uri().query())?;
    let namespace = query.namespace.as_deref();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let target = service.registry.routes().resolve(Address { host, prefix, namespace, path: name })?;
    exchange.note_target(&target, last);
    let is_head = *request.method() == Method::HEAD;
    let ask = Ask { service, request, query: &query, target, is_head };
    let answer = match what {
        Api::Manifest(..) => manifests::answer(ask, last).await?,
        Api::Blob(..) => blobs::answer(ask, last).await?,
        Api::Referrers(..) => referrers::answer(ask, last).await?,
        _ => tags::answer(ask, name).await?,
    };
    Ok(match namespace {
        Some(namespace) => answer.text_header(HeaderName::from_static("oci-namespace"), namespace),
        None => answer,
    })
}

/// The endpoint as a metric label.
fn label(resource: &Resource<'_>) -> &'static str {
    match resource {
        Resource::Alive | Resource::Ready => "health",
        Resource::Metrics => "metrics",
        Resource::Registry { what, .. } => match what {
            Api::Base => "base",
            Api::Manifest(..) => "manifest",
            Api::Blob(..) => "blob",
            Api::Tags(_) => "tags",
            Api::Referrers(..) => "referrers",
            Api::Upload => "upload",
            Api::Unknown => "unknown",
        },
        Resource::Unknown => "unknown",
    }
}

fn unknown_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, "there is nothing at this path")
}

fn unknown_upload() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, "there is no such upload; this registry is read-only")
}

/// 405. The connection is closed when more of a body may follow than is worth reading.
fn refuse_method(request: &HttpRequest) -> Answer {
    const WORTH_READING: u64 = 64 << 10;

    let is_write = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    let message = if is_write {
        "this repository mirrors an upstream registry and is read-only; push to the upstream itself"
    } else {
        "only GET and HEAD are supported"
    };
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let is_long = length.is_some_and(|length| length.parse().is_ok_and(|length: u64| length > WORTH_READING));
    let mut answer = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message)
        .into_answer()
        .header(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    answer.close = is_long || request.headers().contains_key(header::TRANSFER_ENCODING);
    answer
}

/// A request that has passed through this server before would pass through it for ever.
fn refuse_loop(service: &Service, request: &HttpRequest) -> Result<(), ApiError> {
    let came_by = request.headers().get_all(header::VIA).filter_map(|via| via.to_str().ok()).any(|via| names(via, &service.via));
    if !came_by {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::LOOP_DETECTED,
        ErrorCode::Unsupported,
        "this server is configured as its own upstream, directly or by way of others: the request has come back to it",
    ))
}

/// Whether a `Via` header (RFC 9110, section 7.6.3) names `id` as one who received the request.
fn names(via: &str, id: &str) -> bool {
    via.split(',').any(|hop| hop.split_whitespace().nth(1) == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn via_is_read_hop_by_hop() {
        assert!(names("1.1 me", "me"));
        assert!(names("1.0 other, 1.1 me (harbinger)", "me"));
        assert!(!names("1.1 menu", "me"));
        assert!(!names("me", "me"));
        assert!(!names("", "me"));
    }
}
