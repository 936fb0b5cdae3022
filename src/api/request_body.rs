//! The body of a request, as it comes in.

use std::time::{Duration, Instant};

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
    web::Payload,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::error::ApiError;
use crate::oci::ErrorCode;

/// Bytes that are handed on at once.
const BATCH: usize = 1 << 20;

/// A client that sends nothing for so long has paused: what has come is handed on.
const PAUSE: Duration = Duration::from_millis(2);

/// A rest of a body that is worth reading to keep the connection.
const WORTH_READING: u64 = 64 << 10;

/// How slowly a client may send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Longest time without a byte.
    pub(super) stall: Duration,
    /// Least rate in bytes per second, averaged over `stall`; 0 allows any.
    pub(super) min_rate: u64,
}

/// A body that is read at most once.
pub(super) struct RequestBody {
    payload: Payload,
    patience: Patience,
    declared: Option<u64>,
    is_chunked: bool,
    received: u64,
    ended: bool,
    /// What the next call tells.
    failure: Option<ApiError>,
    /// Since the last look at the rate: time spent waiting for the client, and what came of it.
    waited: Duration,
    came: u64,
}

impl RequestBody {
    pub(super) fn new(request: &HttpRequest, payload: Payload, patience: Patience) -> Self {
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let declared = if is_chunked { None } else { Some(length.and_then(|length| length.parse().ok()).unwrap_or(0)) };
        Self {
            payload,
            patience,
            declared,
            is_chunked,
            received: 0,
            ended: false,
            failure: None,
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// Its length in bytes, if the client said so; a client that says nothing sends nothing.
    pub(super) const fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Whether the connection is of no more use, because more of the body may follow than is worth reading.
    pub(super) fn is_worth_closing(&self) -> bool {
        let rest = self.declared.map(|declared| declared - declared.min(self.received));
        !self.ended && (self.is_chunked || rest.is_some_and(|rest| rest > WORTH_READING))
    }

    /// Waits for bytes and takes what follows them without a pause, about [`BATCH`] at most; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, ApiError> {
        let Some(first) = self.wait().await? else { return Ok(None) };
        let mut length = first.len();
        let mut batch = vec![first];
        while length < BATCH && self.declared != Some(self.received) {
            let Ok(next) = tokio::time::timeout(PAUSE, self.payload.next()).await else { break };
            match next {
                Some(Ok(piece)) => {
                    let piece = self.take(piece);
                    length += piece.len();
                    batch.push(piece);
                }
                // What came before it is handed on first.
                Some(Err(error)) => {
                    self.failure = Some(broken(error));
                    break;
                }
                // The end is told again when it is asked for again.
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        Ok(Some(batch))
    }

    /// Reads everything, which must be `limit` bytes at most.
    pub(super) async fn read(&mut self, limit: usize) -> Result<Bytes, ApiError> {
        let too_large = || {
            let message = format!("the body is larger than {limit} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
        };
        if self.declared.is_some_and(|declared| declared > limit as u64) {
            return Err(too_large());
        }
        let mut whole = BytesMut::with_capacity(self.declared.unwrap_or(0) as usize);
        while let Some(batch) = self.next().await? {
            for piece in batch {
                if whole.len() + piece.len() > limit {
                    return Err(too_large());
                }
                whole.extend_from_slice(&piece);
            }
        }
        Ok(whole.freeze())
    }

    async fn wait(&mut self) -> Result<Option<Bytes>, ApiError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.ended {
            return Ok(None);
        }
        let begun = Instant::now();
        let Ok(piece) = tokio::time::timeout(self.patience.stall, self.payload.next()).await else {
            return Err(too_slow());
        };
        let Some(piece) = piece else {
            self.ended = true;
            return Ok(None);
        };
        self.waited += begun.elapsed();
        let piece = self.take(piece.map_err(broken)?);
        if self.waited >= self.patience.stall {
            let least = self.patience.min_rate as f64 * self.waited.as_secs_f64();
            if (self.came as f64) < least {
                return Err(too_slow());
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(Some(piece))
    }

    fn take(&mut self, piece: Bytes) -> Bytes {
        self.received += piece.len() as u64;
        self.came += piece.len() as u64;
        piece
    }
}

fn broken(error: actix_web::error::PayloadError) -> ApiError {
    let message = format!("the body of the request is broken: {error}");
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message)
}

fn too_slow() -> ApiError {
    let message = "the body of the request comes too slowly (server.read_stall_timeout, server.min_read_rate)";
    ApiError::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::SizeInvalid, message)
}
