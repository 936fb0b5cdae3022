//! Where what was learned goes.

use bytes::Bytes;
use hyper::Method;

use super::super::{
    super::operator::{self, AskError},
    place::Holder,
};
use crate::{
    api::{BadLine, ImportReport, Lacking},
    events::{Event, Repository},
    graph::GraphError,
    oci::Digest,
};

/// Digests that are asked about at once.
const MOST: usize = 10_000;

/// A graph that learns.
#[derive(Debug)]
pub(super) struct Sink {
    holder: Holder,
}

/// Why a graph did not learn something.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    #[error(transparent)]
    Server(#[from] AskError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Loading(#[from] crate::graph::Loading),
    #[error("an event cannot be written: {0}")]
    Event(#[from] serde_json::Error),
    #[error("the server refused {0} events; the first one because {1}")]
    Refused(u64, String),
}

impl Sink {
    pub(super) const fn new(holder: Holder) -> Self {
        Self { holder }
    }

    /// Which manifests of a repository have still to be learned: of these, and of those that they name.
    pub(super) async fn lacking(&self, repository: &Repository, digests: &[Digest]) -> Result<Vec<Digest>, SinkError> {
        match &self.holder {
            Holder::Here(graph) => Ok(graph.read(|state| state.lacking(repository, digests, MOST))?),
            Holder::Server(data) => {
                let question = Lacking { repository: repository.clone(), digests: digests.to_vec() };
                let body = Bytes::from(serde_json::to_vec(&question)?);
                let answer: Lacking = operator::tell(data, Method::POST, "/api/v1/graph/lacking", body).await?;
                Ok(answer.digests)
            }
        }
    }

    /// Lets the graph learn events. They are known when this ends, and durable a second later.
    pub(super) async fn send(&self, events: Vec<Event>) -> Result<(), SinkError> {
        match &self.holder {
            Holder::Here(graph) => Ok(graph.apply(events).await?),
            Holder::Server(data) => {
                let mut lines = Vec::new();
                for event in &events {
                    serde_json::to_writer(&mut lines, event)?;
                    lines.push(b'\n');
                }
                let report: ImportReport = operator::tell(data, Method::POST, "/api/v1/graph/import", lines.into()).await?;
                let reason = report.bad.into_iter().next().map(|BadLine { reason, .. }| reason);
                if report.refused > 0 { Err(SinkError::Refused(report.refused, reason.unwrap_or_default())) } else { Ok(()) }
            }
        }
    }

    pub(super) async fn end(self) -> Result<(), Box<dyn std::error::Error>> {
        self.holder.end().await
    }
}
