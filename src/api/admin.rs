//! `/api/v1/`: what an operator asks for, and the description of all that is not the distribution API.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::OpenApi;

use super::{
    Service,
    answer::{Answer, JSON, NO_CACHE},
    cache,
    error::ApiError,
    graph, health, layers, notifications, predictions, purge,
    query::Query,
    routes::method_not_allowed,
    scrub, texts, warm,
};
use crate::{oci::ErrorCode, registry::Collected, telemetry::CacheStatus};

/// Everything that is not the distribution API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Harbinger", description = "What Harbinger answers beside the OCI distribution API."),
    paths(
        layers::upload,
        layers::request,
        collect_garbage,
        purge::purge,
        warm::warm,
        predictions::predictions,
        notifications::receive,
        scrub::begin,
        scrub::state,
        cache::usage,
        cache::blobs,
        cache::blob,
        graph::stats,
        graph::shares,
        graph::bases,
        graph::versions,
        graph::together,
        graph::top,
        graph::around,
        graph::export,
        graph::import,
        graph::lacking,
        health::alive,
        health::ready,
        health::metrics
    ),
    modifiers(&Token)
)]
struct Description;

struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("operator", scheme.clone());
        components.add_security_scheme("notifications", scheme);
    }
}

/// What garbage collection found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GarbageReport {
    /// Whether nothing was deleted, only told.
    pub dry_run: bool,
    /// Contents that were looked at.
    pub examined: u64,
    /// Contents that no repository has but that are too new to be deleted.
    pub in_grace: u64,
    /// What was deleted, or would have been.
    pub garbage: Vec<GarbageEntry>,
}

/// A content that no repository has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GarbageEntry {
    /// Its digest.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// Seconds since it was written.
    pub age: u64,
}

impl GarbageReport {
    /// Tells what was found.
    pub fn new(collected: &Collected, dry_run: bool) -> Self {
        let garbage = collected.garbage.iter().map(|garbage| GarbageEntry {
            digest: garbage.digest.to_string(),
            size: garbage.size,
            age: garbage.age.as_secs(),
        });
        Self { dry_run, examined: collected.examined, in_grace: collected.in_grace, garbage: garbage.collect() }
    }
}

/// The description as JSON.
pub(super) fn openapi() -> Answer {
    // The description is made of strings, which cannot fail to be written as JSON.
    let json = serde_json::to_vec(&Description::openapi()).unwrap_or_default();
    Answer::new(StatusCode::OK, CacheStatus::None).header(header::CACHE_CONTROL, NO_CACHE).bytes(JSON, json)
}

/// Deletes the bytes of hosted repositories that none of them has any more.
#[utoipa::path(
    post,
    path = "/api/v1/gc",
    tag = "operation",
    params(
        ("dry_run" = Option<bool>, Query, description = "Only tell what would be deleted"),
        ("grace" = Option<String>, Query, description = "Spare what is newer than this, such as `10m`; `hosted.gc_grace` when absent"),
    ),
    responses(
        (status = 200, description = "What was deleted, or would have been", body = GarbageReport),
        (status = 400, description = "A parameter is malformed"),
        (status = 401, description = texts::UNAUTHORIZED),
    ),
    security(("operator" = []))
)]
pub(super) async fn collect_garbage(service: &Service, request: &HttpRequest, query: &Query<'_>) -> Result<Answer, ApiError> {
    if *request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    authorize(service, request)?;
    let dry_run = dry_run(query)?;
    let hosted = service.registry.hosted();
    let grace = query.grace.as_deref().map(humantime_serde::re::humantime::parse_duration).transpose();
    let grace: Option<Duration> = grace.map_err(|error| bad(&format!("'grace' is not a duration such as 10m: {error}")))?;
    let collected = hosted.collect(grace.unwrap_or_else(|| hosted.grace()), dry_run).await?;
    Ok(told(&GarbageReport::new(&collected, dry_run)))
}

/// A report of strings and numbers, which cannot fail to be written as JSON.
pub(super) fn told(report: &impl Serialize) -> Answer {
    let json = serde_json::to_vec(report).unwrap_or_default();
    Answer::new(StatusCode::OK, CacheStatus::None).header(header::CACHE_CONTROL, NO_CACHE).bytes(JSON, json)
}

/// Whether a change is only to be told of.
pub(super) fn dry_run(query: &Query<'_>) -> Result<bool, ApiError> {
    match query.dry_run.as_deref() {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(_) => Err(bad("'dry_run' is true or false")),
    }
}

/// The operator has the token, which only who can read the data folder knows.
pub(super) fn authorize(service: &Service, request: &HttpRequest) -> Result<(), ApiError> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if service.admin_token.matches(given) { Ok(()) } else { Err(unauthorized()) }
}

/// 401.
pub(super) fn unauthorized() -> ApiError {
    let message = "this is for the operator, whose token lies in 'admin.json' in the data folder";
    ApiError::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
}

/// 400.
pub(super) fn bad(message: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
}
