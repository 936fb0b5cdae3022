//! `/api/v1/graph/export`

use std::{io, sync::Arc};

use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{
    super::{
        Service,
        admin::authorize,
        answer::{Answer, NO_CACHE},
        error::ApiError,
        texts,
    },
    graph_of,
};
use crate::{
    events,
    graph::{Graph, Seconds, Viewer, export::Walk},
    telemetry::CacheStatus,
    tiers::{Body, Piece},
};

/// The header that says how many nodes and edges there are when an export begins.
pub const RECORDS: &str = "harbinger-graph-records";

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// The whole graph: a line of JSON for each node, then for each edge. What changes while it is sent may be in it or not; every
/// edge joins nodes that were sent.
#[utoipa::path(
    get,
    path = "/api/v1/graph/export",
    tag = "graph",
    responses(
        (status = 200, description = "Records, one a line", content_type = "application/x-ndjson"),
        (status = 401, description = texts::UNAUTHORIZED),
        (status = 404, description = "There is no graph here"),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []))
)]
pub(in crate::api) fn export(service: &Service, request: &HttpRequest) -> Result<Answer, ApiError> {
    authorize(service, request)?;
    let graph = graph_of(service)?;
    let records = graph.read(|state| state.records())?;
    let walk = Walk::new(Viewer::Operator, (events::now() / 1000) as Seconds);
    // A chunk is read when the client has taken the one before it.
    let chunks = stream::unfold(Some((graph, walk)), |left| async move {
        let (graph, walk) = left?;
        match tokio::task::spawn_blocking(move || chunk(graph, walk)).await {
            Ok(Ok((bytes, left))) => Some((Ok(bytes), left)),
            Ok(Err(error)) => Some((Err(error), None)),
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    });
    let pieces = chunks.filter(|chunk| {
        let empty = chunk.as_ref().is_ok_and(Bytes::is_empty);
        async move { !empty }
    });
    let body = Body::Stream(pieces.map(|chunk| chunk.map(Piece::Bytes)).boxed());
    let answer = Answer::new(StatusCode::OK, CacheStatus::None).header(header::CACHE_CONTROL, NO_CACHE);
    let answer = answer.header(HeaderName::from_static(RECORDS), HeaderValue::from(records));
    Ok(answer.header(header::CONTENT_TYPE, NDJSON).body(body, None))
}

type Left = Option<(Arc<Graph>, Walk)>;

/// The next lines, perhaps none, and what is left.
fn chunk(graph: Arc<Graph>, mut walk: Walk) -> io::Result<(Bytes, Left)> {
    let Some(records) = graph.read(|state| walk.next(state)).map_err(io::Error::other)? else {
        return Ok((Bytes::new(), None));
    };
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, &record)?;
        lines.push(b'\n');
    }
    Ok((lines.into(), Some((graph, walk))))
}
