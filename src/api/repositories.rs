//! `/v2/_catalog`: the hosted repositories.

use actix_web::http::{StatusCode, header};
use serde::Serialize;

use super::{
    Service,
    answer::{Answer, JSON, NO_CACHE},
    error::ApiError,
    page,
    query::Query,
};
use crate::telemetry::{CacheStatus, TierName};

/// The page size when none is asked for.
const PAGE: usize = 1000;

pub(super) fn answer(service: &Service, path: &str, query: &Query<'_>) -> Result<Answer, ApiError> {
    #[derive(Serialize)]
    struct List<'a> {
        repositories: &'a [String],
    }

    let limit = page::limit(query)?.unwrap_or(PAGE);
    // One more tells whether others follow.
    let mut found = service.registry.hosted().repositories(query.last.as_deref().unwrap_or_default(), limit + 1)?;
    let others_follow = found.len() > limit;
    found.truncate(limit);
    // Strings cannot fail to be written as JSON.
    let json = serde_json::to_vec(&List { repositories: &found }).unwrap_or_default();
    let status = CacheStatus::Hit(TierName::Catalog);
    let answer = Answer::new(StatusCode::OK, status).header(header::CACHE_CONTROL, NO_CACHE).bytes(JSON, json);
    Ok(match found.last() {
        Some(last) if others_follow => page::link_next(answer, path, query, last, limit),
        _ => answer,
    })
}
