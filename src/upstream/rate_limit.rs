//! Limits that an upstream sets: how much is left, and how long to keep quiet.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::operation::Operation;

/// Nobody is obeyed for longer than this.
const LONGEST: Duration = Duration::from_secs(300);
/// Own pauses, for upstreams that answer 429 without saying for how long.
const FIRST_OWN_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_OWN_PAUSE: Duration = Duration::from_secs(60);

/// The wait that a `Retry-After` header asks for, seconds or date, at most 300 s. `None` when there is none or it makes no
/// sense.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST))
}

/// The pauses that an upstream imposed, by kind of request: a limit on manifests does not stop blobs.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<HashMap<Operation, Pause>>);

#[derive(Debug)]
struct Pause {
    until: Instant,
    /// 429 answers in a row.
    in_a_row: u32,
}

impl Quiet {
    /// How long requests of this kind are still to wait.
    pub(super) fn left(&self, operation: Operation) -> Option<Duration> {
        let left = self.0.lock().get(&operation)?.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Notes a 429 and returns the pause that follows from it: what the upstream said (one second at least), else one of our
    /// own that doubles each time.
    pub(super) fn limited(&self, operation: Operation, said: Option<Duration>) -> Duration {
        let now = Instant::now();
        let mut pauses = self.0.lock();
        let entry = pauses.entry(operation).or_insert(Pause { until: now, in_a_row: 0 });
        let own = FIRST_OWN_PAUSE.saturating_mul(1 << entry.in_a_row.min(16)).min(LONGEST_OWN_PAUSE);
        let pause = said.map_or(own, |said| said.max(FIRST_OWN_PAUSE));
        entry.in_a_row = entry.in_a_row.saturating_add(1);
        // Answers to requests that were under way together must not shorten a pause.
        entry.until = entry.until.max(now + pause);
        pause
    }

    /// Notes that a request of this kind was answered.
    pub(super) fn answered(&self, operation: Operation) {
        let mut pauses = self.0.lock();
        if pauses.get(&operation).is_some_and(|pause| pause.until <= Instant::now()) {
            pauses.remove(&operation);
        }
    }
}

/// The pull budget that an upstream (Docker Hub) last told in its `ratelimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullBudget {
    /// Pulls allowed in the window.
    pub limit: u64,
    /// Pulls left.
    pub remaining: u64,
    /// Length of the window, when it was said.
    pub window: Option<Duration>,
}

impl PullBudget {
    /// Reads `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 20;w=21600`; `None` unless both are there.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let (limit, window) = quota(headers, "ratelimit-limit")?;
        let (remaining, _) = quota(headers, "ratelimit-remaining")?;
        Some(Self { limit, remaining, window })
    }
}

fn quota(headers: &HeaderMap, name: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = headers.get(name)?.to_str().ok()?.split(';');
    let count = parts.next()?.trim().parse().ok()?;
    let window = parts.find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
    Some((count, window.map(Duration::from_secs)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn wait(value: &str) -> Option<Duration> {
        retry_after(&headers(&[("retry-after", value)]))
    }

    #[test]
    fn retry_after_is_read_in_all_forms_and_clamped() {
        assert_eq!(wait("5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("0"), Some(Duration::ZERO));
        assert_eq!(wait("1000000000"), Some(LONGEST));
        assert_eq!(wait("99999999999999999999999"), Some(LONGEST));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Fri, 31 Dec 2100 23:59:59 GMT"), Some(LONGEST));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!(wait(&soon).unwrap() > Duration::from_secs(1));
        for junk in ["-1", "", "soon", "1.5", "5 s"] {
            assert_eq!(wait(junk), None, "{junk}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_quiets_its_own_kind_only_and_ends() {
        let quiet = Quiet::default();
        assert_eq!(quiet.limited(Operation::GetManifest, Some(Duration::from_secs(5))), Duration::from_secs(5));
        assert_eq!(quiet.limited(Operation::GetManifest, Some(Duration::ZERO)), Duration::from_secs(1));
        quiet.answered(Operation::GetManifest);
        assert_eq!(quiet.left(Operation::GetManifest), Some(Duration::from_secs(5)));
        assert_eq!(quiet.left(Operation::GetBlob), None);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(quiet.left(Operation::GetManifest), None);
    }

    #[tokio::test(start_paused = true)]
    async fn own_pauses_double_until_an_answer_comes() {
        let quiet = Quiet::default();
        let pauses: Vec<_> = (0..8).map(|_| quiet.limited(Operation::Token, None).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        tokio::time::advance(LONGEST).await;
        quiet.answered(Operation::Token);
        assert_eq!(quiet.limited(Operation::Token, None), FIRST_OWN_PAUSE);
    }

    #[test]
    fn the_pull_budget_is_read_and_junk_ignored() {
        let budget = PullBudget::read(&headers(&[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")]));
        let window = Some(Duration::from_secs(21600));
        assert_eq!(budget, Some(PullBudget { limit: 100, remaining: 76, window }));
        assert_eq!(PullBudget::read(&headers(&[("ratelimit-limit", "x"), ("ratelimit-remaining", "1")])), None);
        assert_eq!(PullBudget::read(&headers(&[("ratelimit-limit", "100")])), None);
    }
}
