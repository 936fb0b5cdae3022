//! `/api/v1/scrub`: looking for damage, as an operator sees it.

use std::time::SystemTime;

use actix_web::{HttpRequest, http::Method};
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::{
    Service,
    admin::{authorize, bad, told},
    answer::Answer,
    error::ApiError,
    query::Query,
    routes::method_not_allowed,
    texts,
};
use crate::tiers::{ScrubRun, Scrubber};

/// The scrub that was last asked for, and the one in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScrubReport {
    /// The scrub that an operator has last asked for; all figures are 0 when nobody has since the start.
    #[serde(flatten)]
    pub asked: ScrubState,
    /// The last one in the background; null before the first.
    pub background: Option<ScrubState>,
}

/// How far a scrub is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScrubState {
    /// Whether it is under way.
    pub running: bool,
    /// Seconds since it began.
    pub age: u64,
    /// Files that it is through with.
    pub checked: u64,
    /// Files that there were when it began.
    pub total: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Bytes that there were when it began.
    pub total_bytes: u64,
    /// What was damaged; at most 1,000 of them.
    pub damaged: Vec<DamageReport>,
    /// Number of all that were damaged.
    pub damaged_count: u64,
    /// Files and folders of which nothing can be said, because they could not be read for a reason that may not lie in them.
    pub unreadable: u64,
}

/// A file that was not what its name says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DamageReport {
    /// The content it should have been.
    pub digest: String,
    /// The tier it was found on. Damaged files of tiers are taken away; those of `hosted` stay, since nobody else has them.
    pub tier: String,
    /// Its length in bytes, as far as it could be read.
    pub size: u64,
    /// `wrong-length`, `wrong-bytes` or `unreadable`.
    pub fault: String,
}

impl ScrubReport {
    /// What a scrubber has done and does.
    pub fn of(scrubber: &Scrubber) -> Self {
        let (asked, background) = scrubber.runs();
        Self {
            asked: asked.as_ref().map(ScrubState::new).unwrap_or_default(),
            background: background.as_ref().map(ScrubState::new),
        }
    }
}

impl ScrubState {
    fn new(run: &ScrubRun) -> Self {
        let damaged = run.damaged.iter().map(|damage| DamageReport {
            digest: damage.digest.to_string(),
            tier: damage.tier.to_string(),
            size: damage.size,
            fault: damage.fault.as_str().to_owned(),
        });
        Self {
            running: run.running,
            age: SystemTime::now().duration_since(run.began).unwrap_or_default().as_secs(),
            checked: run.checked,
            total: run.total,
            bytes: run.bytes,
            total_bytes: run.total_bytes,
            damaged: damaged.collect(),
            damaged_count: run.damaged_count,
            unreadable: run.unreadable,
        }
    }
}

/// GET, HEAD and POST.
pub(super) fn answer(service: &Service, request: &HttpRequest, query: &Query<'_>) -> Result<Answer, ApiError> {
    match *request.method() {
        Method::POST => begin(service, request, query),
        Method::GET | Method::HEAD => state(service, request),
        _ => Ok(method_not_allowed("GET, HEAD, POST")),
    }
}

/// Begins to hash everything on disk, or joins the scrub that an operator has begun before. Answers at once.
#[utoipa::path(
    post,
    path = "/api/v1/scrub",
    tag = "operation",
    params(("rate" = Option<String>, Query, description = "Bytes per second at most, such as `100MiB`; as fast as the disks are when absent")),
    responses(
        (status = 200, description = "It is under way", body = ScrubReport),
        (status = 400, description = "A parameter is malformed"),
        (status = 401, description = texts::UNAUTHORIZED),
    ),
    security(("operator" = []))
)]
fn begin(service: &Service, request: &HttpRequest, query: &Query<'_>) -> Result<Answer, ApiError> {
    authorize(service, request)?;
    let rate = match query.rate.as_deref().map(str::parse::<ByteSize>) {
        None => u64::MAX,
        Some(Ok(rate)) if rate.as_u64() > 0 => rate.as_u64(),
        Some(_) => return Err(bad("'rate' is a number of bytes per second such as 100MiB")),
    };
    let scrubber = service.tiers.scrubber();
    scrubber.request(rate);
    Ok(told(&ScrubReport::of(scrubber)))
}

/// How far it is, and what it has found.
#[utoipa::path(
    get,
    path = "/api/v1/scrub",
    tag = "operation",
    responses(
        (status = 200, description = texts::NOW, body = ScrubReport),
        (status = 401, description = texts::UNAUTHORIZED),
    ),
    security(("operator" = []))
)]
fn state(service: &Service, request: &HttpRequest) -> Result<Answer, ApiError> {
    authorize(service, request)?;
    Ok(told(&ScrubReport::of(service.tiers.scrubber())))
}
