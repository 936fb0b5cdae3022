//! `/api/v1/warm`: the operator has an image fetched before anybody asks for it.

use actix_web::{HttpRequest, http::Method};
use serde::{Deserialize, Serialize};

use super::{
    Service,
    admin::{authorize, bad, told},
    answer::Answer,
    error::ApiError,
    predictions::image,
    query::Query,
    routes::method_not_allowed,
    texts,
};
use crate::prefetch::{Delivered, Order};

/// Platforms that are named at once, and letters of each.
const PLATFORMS: usize = 16;
const LONGEST: usize = 64;

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WarmReport {
    /// What was ordered.
    pub what: String,
    /// The digest of the manifest that it names; absent when it could not be had, and for what lives here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Contents that were here.
    pub here: u64,
    /// Their bytes.
    pub here_bytes: u64,
    /// Contents that were on their way already.
    pub joined: u64,
    /// Contents that were fetched.
    pub fetched: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// What could not be had.
    pub failed: Vec<WarmFailure>,
}

/// Something that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WarmFailure {
    /// The tag or digest.
    pub what: String,
    /// Why.
    pub why: String,
}

impl WarmReport {
    fn new(what: &str, delivered: Delivered) -> Self {
        let Delivered { digest, here, joined, fetched, failed } = delivered;
        Self {
            what: what.to_owned(),
            digest: digest.map(|digest| digest.to_string()),
            here: here.count,
            here_bytes: here.bytes,
            joined: joined.count,
            fetched: fetched.count,
            fetched_bytes: fetched.bytes,
            failed: failed.into_iter().map(|(what, why)| WarmFailure { what, why }).collect(),
        }
    }
}

/// Fetches an image, so that the first pull finds it here; answers when that is done.
#[utoipa::path(
    post,
    path = "/api/v1/warm",
    tag = "operation",
    params(
        ("what" = String, Query, description = "An image, as in a pull: `docker.io/library/nginx:1.27`, or with `@` and a digest"),
        (
            "platform" = Option<String>,
            Query,
            description = "Which images of an index: `linux/amd64`, or several, separated by commas; those that were pulled of \
                           this repository when absent, `linux/amd64` when none was"
        ),
        ("beyond_budget" = Option<bool>, Query, description = "Fetch it although the bytes of the day are used up"),
    ),
    responses(
        (status = 200, description = "What was here, what was fetched, and what could not be had", body = WarmReport),
        (status = 400, description = "The image or a platform is malformed, or its upstream is unknown"),
        (status = 401, description = texts::UNAUTHORIZED),
    ),
    security(("operator" = []))
)]
pub(super) async fn warm(service: &Service, request: &HttpRequest, query: &Query<'_>) -> Result<Answer, ApiError> {
    if *request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    authorize(service, request)?;
    let what = query.what.as_deref().ok_or_else(|| bad("'what' says what to fetch, such as docker.io/library/nginx:1.27"))?;
    let (repository, reference) = image(service, what)?;
    let order = Order { repository, reference, platforms: platforms(query)?, beyond_budget: beyond_budget(query)? };
    let report = WarmReport::new(what, service.prefetch.deliver(&order).await);
    let (fetched, bytes, failed) = (report.fetched, report.fetched_bytes, report.failed.len());
    tracing::info!(what, fetched, bytes, failed, "fetched because the operator has asked for it");
    Ok(told(&report))
}

fn platforms(query: &Query<'_>) -> Result<Vec<String>, ApiError> {
    let Some(text) = query.platform.as_deref().filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let is_legal = |platform: &str| {
        let words = platform.split('/');
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        platform.len() <= LONGEST && (2..=3).contains(&words.clone().count()) && words.clone().all(word)
    };
    let platforms: Vec<_> = text.split(',').map(|platform| platform.trim().to_owned()).collect();
    if platforms.len() > PLATFORMS || !platforms.iter().all(|platform| is_legal(platform)) {
        return Err(bad("'platform' names up to 16 platforms such as linux/amd64 or linux/arm64/v8, separated by commas"));
    }
    Ok(platforms)
}

fn beyond_budget(query: &Query<'_>) -> Result<bool, ApiError> {
    match query.beyond_budget.as_deref() {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(_) => Err(bad("'beyond_budget' is true or false")),
    }
}
