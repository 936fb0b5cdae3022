//! `/api/v1/graph/`: what images are made of, what they share, and what is wanted.

mod export;
mod import;
mod questions;
mod surveys;

pub use export::RECORDS;
pub(super) use export::*;
pub(super) use import::*;
pub use import::{BadLine, ImportReport, Lacking};
pub(super) use questions::*;
pub(super) use surveys::Surveys;

use std::sync::Arc;

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};
use serde::Serialize;

use super::{
    Service,
    admin::{authorize, bad, told, unauthorized},
    answer::Answer,
    cache::number,
    error::ApiError,
    query::Query,
    routes::unknown_path,
};
use crate::{
    events,
    graph::{
        Graph, Loading, Seconds, State, Viewer,
        queries::{Page, Place, QuestionError, Subject},
    },
    oci::ErrorCode,
    upstream::{Address, Destination, RouteError, Routes},
};

/// A question that can be answered away from the threads that serve clients: everything that it needs, and nothing of the request.
pub(super) struct Question {
    graph: Arc<Graph>,
    surveys: Arc<Surveys>,
    viewer: Viewer,
    subject: Option<Subject>,
    platform: Option<String>,
    region: Option<String>,
    sort: Option<String>,
    depth: Option<String>,
    limit: Option<String>,
    page: Page,
    now: Seconds,
}

/// Answers a question of the API.
pub(super) async fn answer(service: &Service, request: &HttpRequest, name: &str, query: &Query<'_>) -> Result<Answer, ApiError> {
    let viewer = viewer(service, request)?;
    let question = Question::read(graph_of(service)?, service.surveys.clone(), &service.registry.routes(), viewer, query)?;
    let name = name.to_owned();
    let document = tokio::task::spawn_blocking(move || question.answer(&name)).await.map_err(|error| broken(&error))??;
    Ok(told(&document))
}

/// 500: what was to be done away from the threads that serve clients was not done.
fn broken(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(%error, "the graph cannot be looked at");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, "the graph cannot be looked at")
}

fn graph_of(service: &Service) -> Result<Arc<Graph>, ApiError> {
    service.graph.clone().ok_or_else(|| {
        let message = "this server keeps no graph: graph.enabled is false in its configuration";
        ApiError::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, message)
    })
}

/// Answers a question to a graph that no server has, as the server would: `target` is a path of the API with its query, and the
/// answer is the JSON that would be sent to the operator.
///
/// # Errors
/// What the server would say against it.
pub fn answer_at_rest(graph: Arc<Graph>, routes: &Routes, target: &str) -> Result<serde_json::Value, String> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let name = path.rsplit('/').next().unwrap_or_default();
    let query = Query::parse(query).map_err(|error| error.message)?;
    let question = Question::read(graph, Arc::default(), routes, Viewer::Operator, &query);
    question.and_then(|question| question.answer(name)).map_err(|error| error.message)
}

/// Who asks: the operator, or anybody where the configuration lets anybody ask.
fn viewer(service: &Service, request: &HttpRequest) -> Result<Viewer, ApiError> {
    let anonymous = !request.headers().contains_key(header::AUTHORIZATION);
    if anonymous && service.graph_is_public {
        return Ok(Viewer::Public);
    }
    authorize(service, request).map(|()| Viewer::Operator)
}

/// Which repository a name means, as in a pull.
///
/// # Errors
/// [`RouteError`]
pub(super) fn place(routes: &Routes, name: &str) -> Result<Place, RouteError> {
    Ok(match routes.resolve(Address { path: name, ..Address::default() })? {
        Destination::Hosted(name) => Place { route: "".into(), name },
        Destination::Proxied(target) => Place { route: target.route.name.clone(), name: target.repository },
    })
}

impl Question {
    fn read(
        graph: Arc<Graph>,
        surveys: Arc<Surveys>,
        routes: &Routes,
        viewer: Viewer,
        query: &Query<'_>,
    ) -> Result<Self, ApiError> {
        let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
        let subject = query.of.as_deref().map(|text| Subject::read(text, |name| place(routes, name))).transpose();
        let offset = number(query.offset.as_deref(), 0, Page::FURTHEST, "offset")?;
        let limit = number(query.count.as_deref(), Page::USUAL, Page::LARGEST, "limit")?;
        Ok(Self {
            graph,
            surveys,
            viewer,
            subject: subject.map_err(|error| bad(&format!("'of': {error}")))?,
            platform: owned(&query.platform),
            region: owned(&query.region),
            sort: owned(&query.sort),
            depth: owned(&query.depth),
            limit: owned(&query.count),
            page: Page { offset, limit },
            now: (events::now() / 1000) as Seconds,
        })
    }

    fn answer(&self, name: &str) -> Result<serde_json::Value, ApiError> {
        Ok(match name {
            "stats" => document(&stats(self)?),
            "shares" => document(&shares(self)?),
            "bases" => document(&bases(self)?),
            "versions" => document(&versions(self)?),
            "together" => document(&together(self)?),
            "top" => document(&top(self)?),
            "around" => document(&around(self)?),
            _ => return Err(unknown_path()),
        })
    }

    fn subject(&self) -> Result<&Subject, ApiError> {
        self.subject.as_ref().ok_or_else(|| bad("the parameter 'of' is missing: an image, a repository or a digest"))
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, ApiError> {
        Ok(self.graph.read(look)?)
    }
}

/// Numbers and texts cannot fail to be written as JSON.
fn document(answer: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(answer).unwrap_or_default()
}

impl From<QuestionError> for ApiError {
    fn from(error: QuestionError) -> Self {
        match error {
            QuestionError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, error.to_string()),
            QuestionError::WrongKind { .. } => bad(&error.to_string()),
            QuestionError::OperatorOnly => unauthorized(),
        }
    }
}

impl From<Loading> for ApiError {
    fn from(loading: Loading) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unknown, loading.to_string());
        error.retry_after = Some(1);
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_that_is_being_loaded_is_asked_again_in_a_moment() {
        let error = ApiError::from(Loading { share: 0.42 });
        assert_eq!((error.status, error.retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
        assert_eq!(error.message, "the graph is being loaded: 42 % are there");
    }

    #[test]
    fn who_may_not_hear_it_is_not_told_whether_there_is_something_to_hear() {
        let status = |error| ApiError::from(error).status;
        assert_eq!(status(QuestionError::OperatorOnly), StatusCode::UNAUTHORIZED);
        assert_eq!(status(QuestionError::Unknown("x".to_owned())), StatusCode::NOT_FOUND);
    }
}
