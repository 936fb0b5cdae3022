//! `/api/v1/graph/import`, and what one has to know before.

use actix_web::{HttpRequest, http::Method};
use bytes::BytesMut;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Service,
        admin::{authorize, bad, told},
        answer::Answer,
        error::ApiError,
        request_body::RequestBody,
        routes::method_not_allowed,
        texts,
    },
    broken, graph_of,
};
use crate::{
    events::{self, Event, Millis, Repository},
    oci::Digest,
};

/// Bytes of one event at most. That of a manifest with the most layers that are told is a third of it.
const LONGEST_LINE: usize = 8 << 20;

/// Events that are applied at once.
const BATCH: usize = 1_000;

/// Bad lines that are told of; all of them are counted.
const MOST_BAD: usize = 100;

/// Digests that are asked about at once, and that are answered with, at most.
const MOST_DIGESTS: usize = 10_000;

/// How far in the future something can have happened: clocks differ.
const AHEAD: Millis = 24 * 3600 * 1000;

/// What became of what was imported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportReport {
    /// Events that were applied.
    pub applied: u64,
    /// Lines that were not.
    pub refused: u64,
    /// Why not; the first 100 of them.
    pub bad: Vec<BadLine>,
}

/// A line that is no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Manifests of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Lacking {
    /// The repository.
    #[schema(value_type = Object)]
    pub repository: Repository,
    /// Their digests.
    #[schema(value_type = Vec<String>)]
    pub digests: Vec<Digest>,
}

/// Lets the graph learn from events, one a line, as if they had happened here. What is applied stays, whatever comes after it.
#[utoipa::path(
    post,
    path = "/api/v1/graph/import",
    tag = "graph",
    request_body(content_type = "application/x-ndjson", description = "Events, one a line, of 8 MiB at most each"),
    responses(
        (status = 200, description = "What became of them", body = ImportReport),
        (status = 400, description = "A line is too long"),
        (status = 401, description = texts::UNAUTHORIZED),
        (status = 404, description = "There is no graph here"),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []))
)]
pub(in crate::api) async fn import(service: &Service, request: &HttpRequest, body: &mut RequestBody) -> Result<Answer, ApiError> {
    if *request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    authorize(service, request)?;
    let graph = graph_of(service)?;
    // Rather than to wait until it is loaded, with the connection open.
    graph.read(|_| ())?;
    let mut lines = Lines { latest: events::now() + AHEAD, ..Lines::default() };
    let mut more = true;
    while more {
        match body.next().await? {
            Some(pieces) => pieces.iter().try_for_each(|piece| lines.take(piece))?,
            None => {
                more = false;
                lines.end();
            }
        }
        while lines.events.len() >= BATCH || (!more && !lines.events.is_empty()) {
            let rest = lines.events.split_off(lines.events.len().min(BATCH));
            let events = std::mem::replace(&mut lines.events, rest);
            let count = events.len() as u64;
            graph.apply(events).await.map_err(|error| broken(&error))?;
            lines.report.applied += count;
        }
    }
    let ImportReport { applied, refused, .. } = lines.report;
    tracing::info!(applied, refused, "imported into the graph");
    Ok(told(&lines.report))
}

/// Which manifests of a repository the graph lacks, of those named and of those that the indexes among them name.
#[utoipa::path(
    post,
    path = "/api/v1/graph/lacking",
    tag = "graph",
    request_body = Lacking,
    responses(
        (status = 200, description = "Those that are lacking, 10,000 at most", body = Lacking),
        (status = 400, description = "The request is malformed, or names more than 10,000"),
        (status = 401, description = texts::UNAUTHORIZED),
        (status = 404, description = "There is no graph here"),
        (status = 503, description = texts::LOADING),
    ),
    security(("operator" = []))
)]
pub(in crate::api) async fn lacking(
    service: &Service,
    request: &HttpRequest,
    body: &mut RequestBody,
) -> Result<Answer, ApiError> {
    if *request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    authorize(service, request)?;
    let graph = graph_of(service)?;
    let bytes = body.read(MOST_DIGESTS * 140 + 4096).await?;
    let asked: Lacking = serde_json::from_slice(&bytes).map_err(|error| bad(&format!("this is no question: {error}")))?;
    if asked.digests.len() > MOST_DIGESTS {
        return Err(bad("more than 10,000 digests are asked about at once"));
    }
    let digests = graph.read(|state| state.lacking(&asked.repository, &asked.digests, MOST_DIGESTS))?;
    Ok(told(&Lacking { digests, ..asked }))
}

/// Lines as they come.
#[derive(Default)]
struct Lines {
    /// The beginning of a line whose end has not come.
    open: BytesMut,
    number: u64,
    /// Nothing can have happened after this.
    latest: Millis,
    /// What was read and is not applied yet.
    events: Vec<Event>,
    report: ImportReport,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.open.len() + part.len() > LONGEST_LINE {
                return Err(bad(&format!("line {} is longer than {LONGEST_LINE} bytes", self.number + 1)));
            }
            self.open.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end();
            }
        }
        Ok(())
    }

    /// What has come is a line.
    fn end(&mut self) {
        let line = self.open.split();
        self.number += 1;
        if line.trim_ascii().is_empty() {
            return;
        }
        let event = serde_json::from_slice::<Event>(&line).map_err(|error| error.to_string());
        match event.and_then(|event| if event.at > self.latest { Err("it has not happened yet".to_owned()) } else { Ok(event) }) {
            Ok(event) => self.events.push(event),
            Err(reason) => {
                self.report.refused += 1;
                if self.report.bad.len() < MOST_BAD {
                    self.report.bad.push(BadLine { line: self.number, reason });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{events::What, oci::Algorithm};

    fn event(at: Millis) -> Event {
        Event { at, what: What::BlobEvicted { digest: Digest::of(Algorithm::Sha256, b"x") } }
    }

    #[test]
    fn lines_are_read_however_they_are_cut_and_bad_ones_are_told_by_their_numbers() {
        let late = serde_json::to_string(&event(10)).unwrap();
        let good = serde_json::to_string(&event(9)).unwrap();
        let text = format!("{good}\n\nnonsense\n{late}\n{{\"at\":1,\"event\":\"unheard_of\"}}\r\n{good}\r\n{good}");
        for length in [1, 7, 100, 10_000] {
            let mut lines = Lines { latest: 9, ..Lines::default() };
            text.as_bytes().chunks(length).for_each(|piece| lines.take(piece).unwrap());
            lines.end();
            assert_eq!(lines.events, [event(9), event(9), event(9)]);
            assert_eq!(lines.report.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [3, 4, 5]);
            assert_eq!(lines.report.bad[1].reason, "it has not happened yet");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_line_that_is_too_long_and_not_all_bad_ones_are_told() {
        let mut lines = Lines::default();
        let error = (0..20).try_for_each(|_| lines.take(&vec![b'x'; 1 << 20])).unwrap_err();
        assert!(error.message.contains("line 1 is longer"), "{}", error.message);
        let mut lines = Lines::default();
        lines.take("x\n".repeat(150).as_bytes()).unwrap();
        assert_eq!((lines.report.refused, lines.report.bad.len()), (150, MOST_BAD));
    }
}
