//! Tells another edge what happens here: pulls and moves of tags, a few at a time.

use std::{collections::VecDeque, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use secrecy::SecretString;
use tokio::{runtime::Handle, task::AbortHandle};
use url::Url;

use crate::{
    events::{
        Subscription,
        envelope::{Envelope, MEDIA_TYPE, Notification},
    },
    telemetry::Metrics,
    upstream::Post,
};

/// How often is told. The other edge can be ready before the next client asks, and a busy edge does not send one by one.
const PAUSE: Duration = Duration::from_millis(500);

/// Notifications that are sent together.
const TOGETHER: usize = 200;

/// Notifications that wait, at most; then the oldest are dropped: they help least.
const MOST: usize = 10_000;

/// The longest pause after a failure; the first is a second, and each is twice the one before.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A task that tells one edge. Dropping it ends it.
#[derive(Debug)]
pub struct Courier(AbortHandle);

/// Whom it tells.
#[derive(Debug)]
pub struct Recipient {
    /// Where the other edge listens.
    pub url: Url,
    /// What is shown to it.
    pub secret: Option<SecretString>,
    /// The region here.
    pub region: String,
}

/// What became of notifications.
#[derive(Debug, Clone, Default)]
pub struct CourierMetrics(Family<Labels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    to: String,
    outcome: &'static str,
}

#[derive(Debug)]
struct Task {
    to: Recipient,
    host: String,
    events: Subscription,
    waiting: VecDeque<Notification>,
    post: Post,
    metrics: CourierMetrics,
}

impl CourierMetrics {
    /// Makes and registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let ours = Self::default();
        metrics.register(|registry| {
            registry.register("notifications_sent", "What other edges were told of, by what became of it", ours.0.clone());
        });
        ours
    }

    fn count(&self, to: &str, outcome: &'static str, count: usize) {
        self.0.get_or_create(&Labels { to: to.to_owned(), outcome }).inc_by(count as u64);
    }
}

impl Courier {
    /// Begins to tell `to` of what is heard from `events`, on `handle`. Nobody waits for it.
    pub fn start(handle: &Handle, to: Recipient, events: Subscription, post: Post, metrics: CourierMetrics) -> Self {
        let host = to.url.host_str().unwrap_or_default().to_owned();
        let task = Task { to, host, events, waiting: VecDeque::new(), post, metrics };
        Self(handle.spawn(task.run()).abort_handle())
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Task {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let pause = match failures {
                0 => PAUSE,
                failures => Duration::from_secs(1 << (failures - 1).min(6)).min(LONGEST_PAUSE),
            };
            tokio::time::sleep(pause).await;
            if !self.hear() {
                return;
            }
            while !self.waiting.is_empty() {
                if self.send().await {
                    failures = 0;
                } else {
                    failures += 1;
                    break;
                }
            }
        }
    }

    /// Takes what has happened. False when nothing happens any more.
    fn hear(&mut self) -> bool {
        loop {
            match self.events.try_next() {
                Ok(Some(event)) => self.waiting.extend(Notification::of(&event, &self.to.region)),
                Ok(None) => break,
                Err(_) => return false,
            }
            if self.waiting.len() > MOST {
                self.waiting.pop_front();
                self.metrics.count(&self.host, "dropped", 1);
            }
        }
        true
    }

    /// Sends the oldest. Whether it is worth going on at once.
    async fn send(&mut self) -> bool {
        let count = self.waiting.len().min(TOGETHER);
        let envelope = Envelope { events: self.waiting.range(..count).cloned().collect() };
        // Strings and numbers cannot fail to be written as JSON.
        let body = serde_json::to_vec(&envelope).unwrap_or_default();
        match self.post.send(&self.to.url, MEDIA_TYPE, self.to.secret.as_ref(), body).await {
            Ok(()) => {
                self.waiting.drain(..count);
                self.metrics.count(&self.host, "sent", count);
                true
            }
            Err(error) if error.is_final => {
                tracing::warn!(%error, "another edge does not take notifications; look at its notifications.secret and at [[notify]]");
                self.waiting.drain(..count);
                self.metrics.count(&self.host, "refused", count);
                false
            }
            Err(error) => {
                tracing::debug!(%error, "another edge cannot be told yet");
                false
            }
        }
    }
}
