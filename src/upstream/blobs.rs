//! Blobs: opened at any offset, streamed, never held.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, unfold};
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_RANGE, HeaderMap},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    BlobStream, UpstreamError, UpstreamErrorKind,
    body::{Incoming, content_length},
    exchange::{Ask, Exchange},
    operation::Operation,
};
use crate::{
    oci::{Digest, RepositoryName},
    telemetry::Metrics,
};

/// Sizes beyond this are nonsense.
const MAX_SIZE: u64 = i64::MAX as u64;

impl Exchange {
    /// See [`super::Origin::blob`].
    pub(super) async fn blob(
        &self,
        told: &HeaderMap,
        name: &RepositoryName,
        digest: &Digest,
        from: u64,
    ) -> Result<BlobStream, UpstreamError> {
        let ask = Ask { from, ..self.ask_blob(Operation::GetBlob, Method::GET, told, name, digest) };
        let answer = self.ask(&ask).await?;
        let headers = answer.response.headers();
        let length = content_length(headers);
        let (start, size, expected) = match (answer.response.status(), from) {
            (StatusCode::OK, _) => (0, length, length),
            (StatusCode::PARTIAL_CONTENT, 1..) => {
                let part = ContentRange::read(headers)
                    .filter(|part| part.start == from)
                    .ok_or_else(|| self.bad_answer("sent another part of a blob than was asked for"))?;
                let announced = part.last - part.start + 1;
                if length.is_some_and(|length| length != announced) {
                    return Err(self.bad_answer("announced two different lengths of a part of a blob"));
                }
                // A shorter part than to the end is an answer that breaks off early.
                (from, part.size, Some(part.size.map_or(announced, |size| size - from)))
            }
            (StatusCode::PARTIAL_CONTENT, 0) => {
                return Err(self.bad_answer("sent a part of a blob although all of it was asked for"));
            }
            (status, _) => return Err(self.bad_answer(&format!("answered a request for a blob with status {}", status.as_u16()))),
        };
        if size.or(expected).is_some_and(|size| size > MAX_SIZE) {
            return Err(self.bad_answer("announced a blob of an impossible size"));
        }
        let body = BlobBody {
            incoming: self.incoming(answer.response),
            left: expected,
            metrics: self.metrics.clone(),
            _permit: answer.permit,
        };
        Ok(BlobStream { start, size, body: body.into_stream() })
    }

    /// See [`super::Origin::blob_size`].
    pub(super) async fn blob_size(
        &self,
        told: &HeaderMap,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, UpstreamError> {
        let answer = self.ask(&self.ask_blob(Operation::HeadBlob, Method::HEAD, told, name, digest)).await?;
        if answer.response.status() != StatusCode::OK {
            return Ok(None);
        }
        match content_length(answer.response.headers()) {
            Some(size) if size > MAX_SIZE => Err(self.bad_answer("announced a blob of an impossible size")),
            // Some servers say 0 to every HEAD.
            Some(0) if *digest != Digest::of(digest.algorithm(), b"") => Ok(None),
            size => Ok(size),
        }
    }

    fn ask_blob<'a>(
        &self,
        operation: Operation,
        method: Method,
        told: &'a HeaderMap,
        name: &'a RepositoryName,
        digest: &Digest,
    ) -> Ask<'a> {
        Ask {
            operation,
            method,
            url: self.url(name, &format!("blobs/{digest}")),
            scope: name.into(),
            accept: None,
            from: 0,
            told,
        }
    }
}

/// A blob's body, its place among the concurrent requests, and how much of it is still to come.
struct BlobBody {
    incoming: Incoming,
    left: Option<u64>,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl BlobBody {
    /// Ends after the last byte or after the first error.
    fn into_stream(self) -> BoxStream<'static, Result<Bytes, UpstreamError>> {
        Box::pin(unfold(Some(self), |body| async move {
            let mut body = body?;
            match body.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(body))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let chunk = loop {
            match self.incoming.chunk().await? {
                Some(chunk) if chunk.is_empty() => {}
                chunk => break chunk,
            }
        };
        let Some(chunk) = chunk else {
            return match self.left {
                None | Some(0) => Ok(None),
                Some(left) => Err(UpstreamError::new(
                    UpstreamErrorKind::Unavailable,
                    format!("a blob ended {left} bytes before the length that was announced"),
                )),
            };
        };
        let length = chunk.len() as u64;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length).ok_or_else(|| {
                UpstreamError::new(UpstreamErrorKind::BadAnswer, "a blob is longer than the length that was announced")
            })?;
        }
        self.metrics.upstream_bytes.inc_by(length);
        Ok(Some(chunk))
    }
}

/// `bytes 5-9/10`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    last: u64,
    size: Option<u64>,
}

impl ContentRange {
    /// `None` when there is none that makes sense.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (unit, rest) = text.trim().split_once(' ')?;
        let (part, size) = rest.trim().split_once('/')?;
        let (start, last) = part.split_once('-')?;
        let (start, last) = (start.trim().parse().ok()?, last.trim().parse().ok()?);
        let size = match size.trim() {
            "*" => None,
            size => Some(size.parse().ok()?),
        };
        let sensible =
            unit.eq_ignore_ascii_case("bytes") && start <= last && last < MAX_SIZE && size.is_none_or(|size| last < size);
        sensible.then_some(Self { start, last, size })
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn read(value: &str) -> Option<(u64, u64, Option<u64>)> {
        let headers = HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_str(value).unwrap())]);
        ContentRange::read(&headers).map(|part| (part.start, part.last, part.size))
    }

    #[test]
    fn content_ranges_are_read_and_nonsense_is_not() {
        assert_eq!(read("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(read("Bytes 5-9/*"), Some((5, 9, None)));
        for junk in [
            "",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes 5-9",
            "items 5-9/10",
            "bytes -5/10",
            "bytes 0-18446744073709551615/*",
            "bytes 5-9/x",
        ] {
            assert_eq!(read(junk), None, "{junk}");
        }
    }
}
