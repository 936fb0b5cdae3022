//! One request to an upstream, with all that belongs to it: limits, breaker, tries, authorization, redirects.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RANGE},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use url::Url;

use super::{
    UpstreamError, UpstreamErrorKind,
    authorization::{Authorization, Proof},
    body::{Incoming, drain},
    breaker::{Breaker, Open},
    client::{Client, place},
    operation::Operation,
    rate_limit::{PullBudget, Quiet, retry_after},
    retry::{RetryBudget, may_pass, pause},
    scope::Scope,
    telling::Telling,
};
use crate::{
    oci::RepositoryName,
    telemetry::{Metrics, UpstreamLabels, UpstreamName},
};

const MAX_REDIRECTS: usize = 5;

/// The way to one upstream.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) name: Arc<str>,
    /// Where it is, without a slash at the end.
    pub(super) base: Url,
    pub(super) telling: Telling,
    pub(super) client: Arc<Client>,
    pub(super) authorization: Authorization,
    pub(super) quiet: Arc<Quiet>,
    pub(super) breaker: Breaker,
    pub(super) retries: u32,
    pub(super) retry_budget: Arc<RetryBudget>,
    pub(super) places: Places,
    pub(super) first_byte_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) pull_budget: Mutex<Option<PullBudget>>,
    pub(super) metrics: Arc<Metrics>,
}

/// Places for requests under way. Blobs have their own, so that long transfers keep nobody from small answers.
#[derive(Debug)]
pub(super) struct Places {
    blobs: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        let semaphore = || Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        Self { blobs: semaphore(), others: semaphore() }
    }

    fn of(&self, operation: Operation) -> Arc<Semaphore> {
        if operation == Operation::GetBlob { self.blobs.clone() } else { self.others.clone() }
    }
}

/// What is asked of an upstream.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scope: Scope<'a>,
    pub(super) accept: Option<&'static str>,
    /// Offset of the first byte that is wanted.
    pub(super) from: u64,
    /// What the upstream is told of who asks; nobody else is.
    pub(super) told: &'a HeaderMap,
}

/// The head of an answer: a success, or 405 or 501. Its body has not been read; the place among the concurrent requests is
/// held until it is dropped.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Exchange {
    /// The URL of `path` of a repository.
    pub(super) fn url(&self, repository: &RepositoryName, path: &str) -> Url {
        self.url_below_v2(&format!("{repository}/{path}"))
    }

    /// The URL of `path` below `/v2/`.
    pub(super) fn url_below_v2(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/v2/{path}", self.base.path().trim_end_matches('/')));
        if let Some(namespace) = self.telling.namespace() {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        url
    }

    /// Sends a request and waits for the head of its answer, with further tries where that makes sense.
    ///
    /// A further try begins only within `first_byte_timeout` of the first, so that nobody waits for more than twice as long.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, UpstreamError> {
        self.may_ask(ask.operation)?;
        let permit = timeout(self.first_byte_timeout, self.places.of(ask.operation).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let text = format!("all places for requests to upstream '{}' (max_concurrency) are taken", self.name);
            return Err(UpstreamError::new(UpstreamErrorKind::Timeout, text));
        };
        self.retry_budget.earn();
        let begun = Instant::now();
        let mut tried = 0;
        loop {
            let error = match self.attempt(ask).await {
                Ok(response) => return Ok(Answer { response, permit }),
                Err(error) => error,
            };
            tried += 1;
            if tried > self.retries || !may_pass(&error) || self.may_ask(ask.operation).is_err() {
                return Err(error);
            }
            let Some(pause) = pause(tried, error.retry_after) else { return Err(error) };
            if begun.elapsed() + pause >= self.first_byte_timeout || !self.retry_budget.spend() {
                return Err(error);
            }
            tracing::debug!(upstream = %self.name, operation = ask.operation.as_str(), %error, "upstream request is tried again");
            sleep(pause).await;
        }
    }

    /// Refuses at once what the upstream would not hear anyway.
    fn may_ask(&self, operation: Operation) -> Result<(), UpstreamError> {
        if let Some(left) = self.quiet.left(operation) {
            let text =
                format!("upstream '{}' limits us: no {} for another {} s", self.name, operation.as_str(), left.as_secs() + 1);
            return Err(UpstreamError::new(UpstreamErrorKind::RateLimited, text).retry_after(Some(left)));
        }
        self.breaker.check().map_err(|open| self.left_alone(open))
    }

    fn left_alone(&self, Open(left): Open) -> UpstreamError {
        let text = format!("upstream '{}' failed too often and is left alone for a while", self.name);
        UpstreamError::new(UpstreamErrorKind::BreakerOpen, text).retry_after(Some(left))
    }

    /// One try.
    async fn attempt(&self, ask: &Ask<'_>) -> Result<Response, UpstreamError> {
        let pass = self.breaker.admit().map_err(|open| self.left_alone(open))?;
        let result = timeout(self.first_byte_timeout, self.authorized(ask)).await.unwrap_or_else(|_| {
            let text = format!("upstream '{}' did not answer within {:?}", self.name, self.first_byte_timeout);
            Err(UpstreamError::new(UpstreamErrorKind::Timeout, text))
        });
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) => error.kind.as_str(),
        };
        let labels = UpstreamLabels { upstream: self.name.clone(), operation: ask.operation.as_str(), outcome };
        self.metrics.upstream_requests.get_or_create(&labels).inc();
        match result.as_ref().map_err(|error| error.kind) {
            Err(UpstreamErrorKind::Unavailable | UpstreamErrorKind::Timeout) => pass.failed(),
            // These may come from here or from a token service: they say nothing about the upstream.
            Err(UpstreamErrorKind::CredentialsRefused | UpstreamErrorKind::Forbidden | UpstreamErrorKind::RateLimited) => {
                drop(pass)
            }
            _ => pass.answered(),
        }
        result
    }

    /// One try with the proof that is known, and a second with a new one if that was refused.
    async fn authorized(&self, ask: &Ask<'_>) -> Result<Response, UpstreamError> {
        let known = self.authorization.known(ask.scope).await?;
        let (response, strayed) = self.follow(ask, known.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || strayed {
            return self.judge(ask, response, strayed);
        }
        let headers = response.headers().clone();
        drain(response).await;
        let proof = self.authorization.renew(&headers, ask.scope, known.as_ref()).await?;
        let (response, strayed) = self.follow(ask, Some(&proof)).await?;
        if response.status() == StatusCode::UNAUTHORIZED && !strayed {
            return Err(self.authorization.refusal(&proof));
        }
        self.judge(ask, response, strayed)
    }

    /// Sends a request and follows redirects. The proof goes to the upstream's own origin only and is not picked up again
    /// after a detour. The flag tells whether the answer came from another origin.
    async fn follow(&self, ask: &Ask<'_>, proof: Option<&Proof>) -> Result<(Response, bool), UpstreamError> {
        let mut url = ask.url.clone();
        let mut strayed = false;
        for _ in 0..=MAX_REDIRECTS {
            let headers = if strayed { headers(ask) } else { own_headers(ask, proof) };
            let response = self.client.send(ask.method.clone(), url.clone(), headers, None).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((response, strayed));
            }
            let next = location(&response, &url)?;
            drain(response).await;
            strayed |= next.origin() != url.origin();
            url = next;
        }
        let text = format!("upstream '{}' redirects more than {MAX_REDIRECTS} times", self.name);
        Err(UpstreamError::new(UpstreamErrorKind::BadAnswer, text))
    }

    /// Tells answers from refusals, and notes what the upstream says about its limits.
    fn judge(&self, ask: &Ask<'_>, response: Response, strayed: bool) -> Result<Response, UpstreamError> {
        if let Some(budget) = PullBudget::read(response.headers()).filter(|_| !strayed) {
            let name = UpstreamName { upstream: self.name.clone() };
            self.metrics.upstream_rate_limit.get_or_create(&name).set(gauge(budget.limit));
            self.metrics.upstream_rate_remaining.get_or_create(&name).set(gauge(budget.remaining));
            *self.pull_budget.lock() = Some(budget);
        }
        let status = response.status().as_u16();
        let wait = retry_after(response.headers());
        let (kind, wait) = match status {
            200..=299 | 405 | 501 => {
                self.quiet.answered(ask.operation);
                return Ok(response);
            }
            404 | 410 => (UpstreamErrorKind::NotFound, None),
            // A signed URL that is refused is not a right that we lack; the next one may be better.
            401 | 403 if strayed => (UpstreamErrorKind::Unavailable, None),
            403 | 451 => (UpstreamErrorKind::Denied, None),
            416 => (UpstreamErrorKind::RangeNotSatisfiable, None),
            429 => (UpstreamErrorKind::RateLimited, Some(self.quiet.limited(ask.operation, wait))),
            508 => (UpstreamErrorKind::Loop, None),
            408 | 500.. => (UpstreamErrorKind::Unavailable, wait),
            _ => (UpstreamErrorKind::BadAnswer, None),
        };
        let whence = if strayed { "the place that it redirects to" } else { "it" };
        let text = format!("upstream '{}', {}: {whence} answered with status {status}", self.name, ask.operation.as_str());
        Err(UpstreamError::new(kind, text).retry_after(wait))
    }

    /// The body of an answer.
    pub(super) fn incoming(&self, response: Response) -> Incoming {
        let place = place(response.url());
        Incoming::new(response, place, self.idle_timeout)
    }

    /// A `BadAnswer` of this upstream.
    pub(super) fn bad_answer(&self, text: &str) -> UpstreamError {
        UpstreamError::new(UpstreamErrorKind::BadAnswer, format!("upstream '{}' {text}", self.name))
    }
}

/// The headers of a request to the upstream itself.
fn own_headers(ask: &Ask<'_>, proof: Option<&Proof>) -> HeaderMap {
    let mut headers = headers(ask);
    headers.extend(ask.told.clone());
    if let Some(proof) = proof {
        headers.insert(AUTHORIZATION, proof.header());
    }
    headers
}

/// What any place that a request leads to has to know.
fn headers(ask: &Ask<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(accept) = ask.accept {
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
    }
    if ask.from > 0
        && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", ask.from))
    {
        headers.insert(RANGE, range);
    }
    headers
}

/// Where a redirect leads. The URL may be signed: it is used once, and never kept or logged.
fn location(response: &Response, from: &Url) -> Result<Url, UpstreamError> {
    let text = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(next) = text.and_then(|text| from.join(text).ok()) else {
        let text = format!("{} answered with a redirect to nowhere", place(from));
        return Err(UpstreamError::new(UpstreamErrorKind::BadAnswer, text));
    };
    if from.scheme() == "https" && next.scheme() == "http" {
        let text = format!("{} redirects from https to {}, which is not followed", place(from), place(&next));
        return Err(UpstreamError::new(UpstreamErrorKind::Forbidden, text));
    }
    Ok(next)
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(from: &str, to: &str) -> Result<String, UpstreamErrorKind> {
        let response = hyper::http::Response::builder().status(307).header(LOCATION, to).body("").unwrap();
        location(&response.into(), &from.parse().unwrap()).map(String::from).map_err(|error| error.kind)
    }

    #[test]
    fn redirects_lead_anywhere_but_out_of_https() {
        assert_eq!(led("https://r.example/v2/a", "https://s.example/x?y"), Ok("https://s.example/x?y".to_owned()));
        assert_eq!(led("https://r.example/v2/a", "../b"), Ok("https://r.example/b".to_owned()));
        assert_eq!(led("http://r.example/v2/a", "//s.example/x"), Ok("http://s.example/x".to_owned()));
        assert_eq!(led("http://r.example/v2/a", "https://r.example/v2/a"), Ok("https://r.example/v2/a".to_owned()));
        assert_eq!(led("https://r.example/v2/a", "http://r.example/v2/a"), Err(UpstreamErrorKind::Forbidden));
        assert_eq!(led("https://r.example/v2/a", "http://"), Err(UpstreamErrorKind::BadAnswer));
    }

    #[test]
    fn secrets_do_not_stand_in_debug_texts() {
        let header = super::super::tokens::basic("user", &"s3cret".to_owned().into());
        let credential = super::super::credentials::CredentialId::of(None);
        let text = format!("{:?}", Proof::Basic { header, credential });
        assert!(text.contains("Sensitive") && !text.contains("dXNlcjpzM2NyZXQ"), "{text}");
    }
}
