//! What is answered without looking at any repository.

use actix_web::http::{StatusCode, header::HeaderValue};

use super::{
    Service,
    answer::{Answer, JSON, NO_CACHE},
};
use crate::telemetry::CacheStatus;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// end-1: this is a registry.
pub(super) fn base() -> Answer {
    Answer::new(StatusCode::OK, CacheStatus::None).bytes(JSON, &b"{}"[..])
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, description = "It does", body = String)))]
pub(super) fn alive() -> Answer {
    local(StatusCode::OK, TEXT, "ok\n")
}

/// The server can do its work.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses((status = 200, description = "It can", body = String), (status = 503, description = "It is stopping", body = String))
)]
pub(super) fn ready(service: &Service) -> Answer {
    if (service.ready)() {
        local(StatusCode::OK, TEXT, "ready\n")
    } else {
        local(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n")
    }
}

/// All metrics.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "In the OpenMetrics text format", content_type = "application/openmetrics-text"))
)]
pub(super) fn metrics(service: &Service) -> Answer {
    local(StatusCode::OK, OPEN_METRICS, service.metrics.encode())
}

fn local(status: StatusCode, content_type: HeaderValue, text: impl Into<bytes::Bytes>) -> Answer {
    Answer::new(status, CacheStatus::None).header(actix_web::http::header::CACHE_CONTROL, NO_CACHE).bytes(content_type, text)
}
