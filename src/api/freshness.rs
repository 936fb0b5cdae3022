//! What is told of answers whose time is over.

use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};

use super::answer::Answer;
use crate::telemetry::{CacheStatus, StaleReason};

/// Adds `Age` and `Warning` (distribution specification, "Warnings") to an answer that is stale.
pub(super) fn tell(answer: Answer, status: CacheStatus, age: Option<Duration>) -> Answer {
    let CacheStatus::Stale(reason) = status else {
        return answer;
    };
    let warning = match reason {
        StaleReason::UpstreamError => "299 - \"served from the cache: the upstream registry fails\"",
        StaleReason::RateLimited => "299 - \"served from the cache: the upstream registry limits requests\"",
        StaleReason::UpstreamSlow => "299 - \"served from the cache: the upstream registry is slow\"",
        StaleReason::DeletedUpstream => "299 - \"served from the cache: the upstream registry has deleted it\"",
    };
    let answer = answer.header(header::WARNING, HeaderValue::from_static(warning));
    match age {
        Some(age) => answer.header(header::AGE, HeaderValue::from(age.as_secs())),
        None => answer,
    }
}
