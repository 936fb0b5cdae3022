//! The questions, one after the other.

use super::{super::texts, ApiError, Question, bad, number};
use crate::graph::queries::{self, Around, Bases, Bounds, Order, Ranking, Sharing, Statistics, Survey, Together, Top, Versions};

/// How much there is, and how much of it is shared.
#[utoipa::path(
    get,
    path = "/api/v1/graph/stats",
    tag = "graph",
    responses(
        (status = 200, description = "As of now, or a few seconds ago", body = Statistics),
        (status = 401, description = texts::NOT_PUBLIC),
        (status = 404, description = texts::UNKNOWN),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []), ())
)]
pub(in crate::api) fn stats(question: &Question) -> Result<Statistics, ApiError> {
    question.surveys.latest(question.viewer, || {
        let mut survey = Survey::new(question.viewer);
        while question.look(|state| survey.step(state))? {}
        Ok(survey.finish())
    })
}

/// The images that have a layer, or what an image shares with each of its neighbours: most bytes first.
#[utoipa::path(
    get,
    path = "/api/v1/graph/shares",
    tag = "graph",
    params(
        ("of" = String, Query, description = "A layer or an image: `docker.io/library/nginx:1.27`, `docker.io/library/nginx@sha256:…`, `sha256:…`"),
        ("platform" = Option<String>, Query, description = texts::PLATFORM),
        ("limit" = Option<usize>, Query, description = texts::LIMIT),
        ("offset" = Option<usize>, Query, description = texts::OFFSET),
    ),
    responses(
        (status = 200, description = texts::NOW, body = Sharing),
        (status = 400, description = texts::MALFORMED),
        (status = 401, description = texts::NOT_PUBLIC),
        (status = 404, description = texts::UNKNOWN),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []), ())
)]
pub(in crate::api) fn shares(question: &Question) -> Result<Sharing, ApiError> {
    let (subject, platform) = (question.subject()?, question.platform.as_deref());
    Ok(question.look(|state| queries::sharing(state, question.viewer, subject, platform, question.page))??)
}

/// What an image is built on: what it says itself, and the images whose layers it begins with.
#[utoipa::path(
    get,
    path = "/api/v1/graph/bases",
    tag = "graph",
    params(
        ("of" = String, Query, description = "An image: `docker.io/library/nginx:1.27`, `docker.io/library/nginx@sha256:…`, `sha256:…`"),
        ("platform" = Option<String>, Query, description = texts::PLATFORM),
    ),
    responses(
        (status = 200, description = texts::NOW, body = Bases),
        (status = 400, description = texts::MALFORMED),
        (status = 401, description = texts::NOT_PUBLIC),
        (status = 404, description = texts::UNKNOWN),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []), ())
)]
pub(in crate::api) fn bases(question: &Question) -> Result<Bases, ApiError> {
    let (subject, platform) = (question.subject()?, question.platform.as_deref());
    Ok(question.look(|state| queries::bases(state, question.viewer, subject, platform))??)
}

/// What a tag names and named, what came before and after a content, and the tags of earlier and later versions.
#[utoipa::path(
    get,
    path = "/api/v1/graph/versions",
    tag = "graph",
    params(
        ("of" = String, Query, description = "A tag, or a content by its digest"),
        ("limit" = Option<usize>, Query, description = texts::LIMIT),
        ("offset" = Option<usize>, Query, description = texts::OFFSET),
    ),
    responses(
        (status = 200, description = texts::NOW, body = Versions),
        (status = 400, description = texts::MALFORMED),
        (status = 401, description = texts::NOT_PUBLIC),
        (status = 404, description = texts::UNKNOWN),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []), ())
)]
pub(in crate::api) fn versions(question: &Question) -> Result<Versions, ApiError> {
    let subject = question.subject()?;
    Ok(question.look(|state| queries::versions(state, question.viewer, subject, question.page))??)
}

/// What the same clients pulled soon before and after something of a repository.
#[utoipa::path(
    get,
    path = "/api/v1/graph/together",
    tag = "graph",
    params(
        ("of" = String, Query, description = "A repository, or an image in it"),
        ("limit" = Option<usize>, Query, description = texts::LIMIT),
        ("offset" = Option<usize>, Query, description = texts::OFFSET),
    ),
    responses(
        (status = 200, description = texts::NOW, body = Together),
        (status = 400, description = texts::MALFORMED),
        (status = 401, description = texts::UNAUTHORIZED),
        (status = 404, description = texts::UNKNOWN),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []))
)]
pub(in crate::api) fn together(question: &Question) -> Result<Together, ApiError> {
    let subject = question.subject()?;
    Ok(question.look(|state| queries::together(state, question.viewer, subject, question.page, question.now))??)
}

/// The most valuable layers of a region.
#[utoipa::path(
    get,
    path = "/api/v1/graph/top",
    tag = "graph",
    params(
        ("region" = String, Query, description = "The region, as `server.region` of an edge says"),
        ("sort" = Option<String>, Query, description = "What makes a layer valuable: `bytes` (how often it is asked for, halved every day, times its length; when absent) or `rate` (how often)"),
        ("limit" = Option<usize>, Query, description = texts::LIMIT),
        ("offset" = Option<usize>, Query, description = texts::OFFSET),
    ),
    responses(
        (status = 200, description = texts::NOW, body = Top),
        (status = 400, description = texts::MALFORMED),
        (status = 401, description = texts::UNAUTHORIZED),
        (status = 404, description = texts::UNKNOWN),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []))
)]
pub(in crate::api) fn top(question: &Question) -> Result<Top, ApiError> {
    let region = question.region.as_deref().ok_or_else(|| bad("the parameter 'region' is missing"))?;
    let order = match question.sort.as_deref() {
        None | Some("bytes") => Order::Bytes,
        Some("rate") => Order::Rate,
        Some(_) => return Err(bad("'sort' is bytes or rate")),
    };
    let mut ranking = Ranking::new(question.viewer, region, order, question.page, question.now)?;
    while question.look(|state| ranking.step(state))?? {}
    Ok(question.look(|state| ranking.finish(state))??)
}

/// The neighbourhood of a node: what is reached over a few edges, in either direction.
#[utoipa::path(
    get,
    path = "/api/v1/graph/around",
    tag = "graph",
    params(
        ("of" = String, Query, description = "A repository, a tag or a content"),
        ("depth" = Option<usize>, Query, description = "Over how many edges: 1 when absent, never more than 4"),
        ("limit" = Option<usize>, Query, description = "How many nodes at most: 100 when absent, never more than 1,000"),
    ),
    responses(
        (status = 200, description = texts::NOW, body = Around),
        (status = 400, description = texts::MALFORMED),
        (status = 401, description = texts::NOT_PUBLIC),
        (status = 404, description = texts::UNKNOWN),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []), ())
)]
pub(in crate::api) fn around(question: &Question) -> Result<Around, ApiError> {
    let subject = question.subject()?;
    let depth = number(question.depth.as_deref(), Bounds::USUAL.depth, Bounds::WIDEST.depth, "depth")?;
    let nodes = number(question.limit.as_deref(), Bounds::USUAL.nodes, Bounds::WIDEST.nodes, "limit")?;
    let bounds = Bounds { depth, nodes };
    Ok(question.look(|state| queries::around(state, question.viewer, subject, bounds, question.now))??)
}
