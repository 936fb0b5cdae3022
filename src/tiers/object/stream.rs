//! A body on its way out of the bucket.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::timeout;

use super::{
    IDLE, Shared,
    failure::{Failure, explain},
};

/// The rest of a content, from a byte on. Its bytes are not verified.
pub struct ObjectStream {
    /// The first byte of the body.
    pub start: u64,
    /// Length of the whole content, as the bucket says.
    pub size: u64,
    /// Exactly `size - start` bytes, or an error: when the bucket breaks off, sends too much, or nothing for ten seconds.
    pub body: BoxStream<'static, io::Result<Bytes>>,
}

struct Reading {
    inner: BoxStream<'static, object_store::Result<Bytes>>,
    left: u64,
    shared: Arc<Shared>,
}

impl ObjectStream {
    pub(super) fn new(
        start: u64,
        size: u64,
        inner: BoxStream<'static, object_store::Result<Bytes>>,
        shared: Arc<Shared>,
    ) -> Self {
        let reading = Reading { inner, left: size.saturating_sub(start), shared };
        let body = stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Self { start, size, body: body.boxed() }
    }
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Ok(next) = timeout(IDLE, self.inner.next()).await else {
                self.shared.breaker.trip("a body stands still");
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the bucket sends nothing any more"));
            };
            match next {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "the bucket sends more than it promised"));
                    };
                    self.left = left;
                    self.shared.figures.read_bytes.inc_by(bytes.len() as u64);
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => {
                    let why = explain(&error);
                    if Failure::of(&error).is_fault() {
                        self.shared.breaker.trip(&why);
                    }
                    return Err(io::Error::other(why));
                }
                None if self.left > 0 => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the bucket sends less than it promised"));
                }
                None => return Ok(None),
            }
        }
    }
}

impl fmt::Debug for ObjectStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStream").field("start", &self.start).field("size", &self.size).finish_non_exhaustive()
    }
}
