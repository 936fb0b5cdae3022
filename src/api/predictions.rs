//! `/api/v1/predictions`: what is expected to be asked for, why, what was decided, and what it has cost and saved.

use actix_web::{HttpRequest, http::StatusCode};
use serde_json::json;

use super::{
    Service,
    admin::{authorize, bad, told},
    answer::Answer,
    cache::number,
    error::ApiError,
    query::Query,
    texts,
};
use crate::{
    events::Repository,
    oci::{Digest, ErrorCode, Reference},
    upstream::{Address, Destination},
};

/// Decisions that are told when nobody says how many.
const DECISIONS: usize = 100;

/// Decisions that are told at most.
const MOST_DECISIONS: usize = 10_000;

/// Tells what is expected of an image or a content, and why; or the last decisions.
#[utoipa::path(
    get,
    path = "/api/v1/predictions",
    tag = "operation",
    params(
        (
            "what" = Option<String>,
            Query,
            description = "An image, as in a pull (`docker.io/library/nginx:1.27`), or a digest; the last decisions when absent"
        ),
        ("limit" = Option<usize>, Query, description = "Decisions at most; 100 when absent"),
    ),
    responses(
        (
            status = 200,
            description = "`region`; `explanation`: content by content, how many requests are expected, whether it was worth fetching, \
                           and which features say so; `decisions`: what was decided, when, what became of it, and what it has cost; \
                           `savings`: bytes and seconds by customer and reason, earlier runs included"
        ),
        (status = 400, description = "The image is malformed, or its upstream is unknown"),
        (status = 401, description = texts::UNAUTHORIZED),
        (status = 404, description = "Nothing is known of it"),
    ),
    security(("operator" = []))
)]
pub(super) fn predictions(service: &Service, request: &HttpRequest, query: &Query<'_>) -> Result<Answer, ApiError> {
    authorize(service, request)?;
    let limit = number(query.count.as_deref(), DECISIONS, MOST_DECISIONS, "limit")?;
    let savings = service.prefetch.savings();
    let region = savings.region.clone();
    let Some(what) = query.what.as_deref() else {
        let decisions = service.prefetch.newest_decisions(limit);
        return Ok(told(&json!({ "region": region, "decisions": decisions, "savings": savings })));
    };
    let Some(predictor) = &service.predictor else {
        return Err(bad("nothing is predicted: prefetch.enabled is false"));
    };
    let explanation = match what.parse::<Digest>() {
        Ok(digest) => predictor.explain(None, None, Some(&digest)),
        Err(_) => {
            let (repository, reference) = image(service, what)?;
            match &reference {
                Reference::Tag(tag) => predictor.explain(Some(&repository), Some(tag), None),
                Reference::Digest(digest) => predictor.explain(Some(&repository), None, Some(digest)),
            }
        }
    };
    let explanation = explanation.ok_or_else(|| unheard_of(what))?;
    let digests =
        explanation.contents.iter().map(|content| content.digest).chain([explanation.digest]).chain(explanation.manifest);
    let mut decisions: Vec<_> = digests.flat_map(|digest| service.prefetch.decisions_about(&digest)).collect();
    decisions.sort_by_key(|decision| std::cmp::Reverse(decision.at));
    decisions.truncate(limit);
    Ok(told(&json!({ "region": region, "explanation": explanation, "decisions": decisions, "savings": savings })))
}

fn unheard_of(what: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, format!("{what} has not been heard of here"))
}

/// The image that is meant.
pub(super) fn image(service: &Service, what: &str) -> Result<(Repository, Reference), ApiError> {
    let (name, reference) = Reference::of_image(what).map_err(|error| bad(&error.to_string()))?;
    let repository = match service.registry.routes().resolve(Address { path: name, ..Address::default() })? {
        Destination::Hosted(name) => Repository::hosted(&name),
        Destination::Proxied(target) => {
            Repository { route: target.route.name.clone(), private: !target.route.is_public(), name: target.repository }
        }
    };
    Ok((repository, reference))
}
