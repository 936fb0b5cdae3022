//! What is told of prefetching.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use crate::{predict::Reason, telemetry::Metrics};

/// Metrics of prefetching. Cheap to clone; clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct PrefetchMetrics {
    contents: Family<Labels, Counter>,
    bytes: Family<Labels, Counter>,
    seconds_saved: Counter<f64, AtomicU64>,
    pulls: Counter,
    left: Family<WhyLabel, Counter>,
    pub(super) dropped: Counter,
    pub(super) waiting: Gauge,
    pub(super) under_way: Gauge,
    pub(super) unasked_bytes: Gauge,
    pub(super) bytes_left: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
    /// `fetched`, `used`, `late`, `wasted` or `failed`.
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

impl PrefetchMetrics {
    /// Adds them to those of a server.
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            registry.register(
                "prefetch_contents",
                "Contents fetched before they were asked for, and what became of them",
                self.contents.clone(),
            );
            registry.register("prefetch_bytes", "Their bytes", self.bytes.clone());
            registry.register(
                "prefetch_saved_seconds",
                "Time that clients were spared because of them, by estimate",
                self.seconds_saved.clone(),
            );
            registry.register("prefetch_pulls", "Counted pulls that they have cost", self.pulls.clone());
            registry.register("prefetch_left", "Expected contents that were not fetched", self.left.clone());
            registry.register("prefetch_offers_dropped", "Expected contents that nobody looked at", self.dropped.clone());
            registry.register("prefetch_waiting", "Expected contents that wait to be fetched", self.waiting.clone());
            registry.register("prefetch_under_way", "Expected contents that are being fetched", self.under_way.clone());
            registry.register(
                "prefetch_unasked_bytes",
                "Bytes that were fetched and have not been asked for yet",
                self.unasked_bytes.clone(),
            );
            registry.register("prefetch_budget_left_bytes", "Bytes left of the budget", self.bytes_left.clone());
        });
    }

    /// Something became of a content.
    pub(super) fn count(&self, reason: Reason, outcome: &'static str, bytes: u64) {
        let labels = Labels { reason: reason.as_str(), outcome };
        self.contents.get_or_create(&labels).inc();
        self.bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// A content is not fetched.
    pub(super) fn left(&self, why: &'static str) {
        self.left.get_or_create(&WhyLabel { why }).inc();
    }

    pub(super) fn saved(&self, seconds: f64) {
        self.seconds_saved.inc_by(seconds);
    }

    pub(super) fn pulled(&self, pulls: u64) {
        self.pulls.inc_by(pulls);
    }
}

/// A number as a gauge takes it.
pub(super) fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
