//! Bodies from an upstream: never silent or slow for long, never larger than what is allowed.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Response,
    header::{CONTENT_LENGTH, HeaderMap},
};
use tokio::time::{Instant, timeout};

use super::{UpstreamError, UpstreamErrorKind, client::failure};

/// A body is cut when it brings less than this over [`WINDOW`] of waiting for it: 1 KiB/s.
const LEAST_BYTES: u64 = 60 << 10;
const WINDOW: Duration = Duration::from_secs(60);

/// A body that is being received.
#[derive(Debug)]
pub(super) struct Incoming {
    response: Response,
    place: String,
    idle: Duration,
    /// Time spent waiting for the upstream in this window; a slow reader's own time does not count.
    waited: Duration,
    received: u64,
}

impl Incoming {
    /// The body of `response`, which came from `place`; `idle` is the longest silence.
    pub(super) fn new(response: Response, place: String, idle: Duration) -> Self {
        Self { response, place, idle, waited: Duration::ZERO, received: 0 }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// `Timeout` after too long a silence or when it comes too slowly, `Unavailable` when the connection breaks.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let asked = Instant::now();
        let Ok(chunk) = timeout(self.idle, self.response.chunk()).await else {
            let text = format!("{} was silent for {} s in the middle of a body", self.place, self.idle.as_secs());
            return Err(UpstreamError::new(UpstreamErrorKind::Timeout, text));
        };
        let chunk = chunk.map_err(|error| failure(error, &self.place))?;
        self.waited += asked.elapsed();
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.waited >= WINDOW {
            if self.received < LEAST_BYTES && chunk.is_some() {
                let text = format!("{} sent a body at less than 1 KiB/s", self.place);
                return Err(UpstreamError::new(UpstreamErrorKind::Timeout, text));
            }
            (self.waited, self.received) = (Duration::ZERO, 0);
        }
        Ok(chunk)
    }

    /// The whole body, when it is not larger than `limit`; nothing is allocated for one that announces to be. `what` it is,
    /// for the message.
    pub(super) async fn collect(mut self, limit: usize, what: &str) -> Result<Bytes, UpstreamError> {
        let too_large = |place: &str| {
            UpstreamError::new(UpstreamErrorKind::BadAnswer, format!("{place} sent a {what} answer of more than {limit} bytes"))
        };
        let announced = content_length(self.response.headers());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large(&self.place));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit - bytes.len() {
                return Err(too_large(&self.place));
            }
            bytes.extend_from_slice(&chunk);
        }
        if announced.is_some_and(|length| length != bytes.len() as u64) {
            let text = format!("{} sent a {what} answer of another length than announced", self.place);
            return Err(UpstreamError::new(UpstreamErrorKind::Unavailable, text));
        }
        Ok(bytes.freeze())
    }
}

/// The length that the headers announce.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Reads what little is left of an answer that nobody needs, so that its connection can be used again.
pub(super) async fn drain(response: Response) {
    const LITTLE: usize = 16 << 10;
    const SOON: Duration = Duration::from_millis(250);
    if content_length(response.headers()).is_none_or(|length| length <= LITTLE as u64) {
        // Success or not: it was only worth a try.
        let _ = timeout(SOON, Incoming::new(response, String::new(), SOON).collect(LITTLE, "")).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::unfold;

    use super::*;

    /// A body of `count` pieces of `size` bytes, one every `pause`.
    fn incoming(count: u32, size: usize, pause: Duration, idle: Duration) -> Incoming {
        let pieces = unfold(count, move |left| async move {
            tokio::time::sleep(pause).await;
            (left > 0).then(|| (Ok::<_, std::io::Error>(vec![b'x'; size]), left - 1))
        });
        let response = hyper::http::Response::new(reqwest::Body::wrap_stream(pieces));
        Incoming::new(response.into(), "http://r.example".to_owned(), idle)
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_is_cut() {
        let drip = incoming(1000, 1, Duration::from_secs(10), Duration::from_secs(30));
        let error = drip.collect(1 << 20, "blob").await.unwrap_err();
        assert!(error.kind == UpstreamErrorKind::Timeout && error.message.contains("1 KiB/s"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_body_may_take_as_long_as_it_needs() {
        let steady = incoming(1000, 2048, Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(steady.collect(1000 * 2048, "blob").await.unwrap().len(), 1000 * 2048);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_cut_and_a_slow_reader_is_not_blamed() {
        let silent = incoming(1, 1, Duration::from_secs(31), Duration::from_secs(30));
        assert_eq!(silent.collect(10, "blob").await.unwrap_err().kind, UpstreamErrorKind::Timeout);
        let mut read_slowly = incoming(10, 1, Duration::from_millis(1), Duration::from_secs(30));
        while read_slowly.chunk().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_over_the_limit_is_refused() {
        let large = incoming(3, 10, Duration::ZERO, Duration::from_secs(1));
        assert_eq!(large.collect(29, "blob").await.unwrap_err().kind, UpstreamErrorKind::BadAnswer);
        assert_eq!(incoming(3, 10, Duration::ZERO, Duration::from_secs(1)).collect(30, "blob").await.unwrap().len(), 30);
    }
}
