//! Prometheus metrics. Labels come from bounded sets only: upstream names of the configuration, and words of enums.

use std::fmt;

use parking_lot::RwLock;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// All metrics of one server.
pub struct Metrics {
    registry: RwLock<Registry>,
    /// Requests from clients, by outcome.
    pub requests: Family<RequestLabels, Counter>,
    /// Bytes of bodies that left towards clients, by where they came from.
    pub sent_bytes: Family<OutcomeLabels, Counter>,
    /// Requests to upstreams.
    pub upstream_requests: Family<UpstreamLabels, Counter>,
    /// Bytes of blobs received from upstreams.
    pub upstream_bytes: Counter,
    /// 1 while an upstream is left alone because it failed too often, else 0.
    pub upstream_breaker_open: Family<UpstreamName, Gauge>,
    /// Pulls that an upstream allows in its window, as it last said.
    pub upstream_rate_limit: Family<UpstreamName, Gauge>,
    /// Pulls that were left in that window, as the upstream last said.
    pub upstream_rate_remaining: Family<UpstreamName, Gauge>,
    /// Blob transfers under way.
    pub fills: Gauge,
}

/// Labels of [`Metrics::requests`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// `manifest`, `blob`, `tags`, `referrers`, …
    pub endpoint: &'static str,
    /// HTTP status.
    pub status: u16,
    /// [`super::CacheStatus::outcome`].
    pub outcome: &'static str,
    /// [`super::CacheStatus::detail`].
    pub detail: &'static str,
}

/// Labels of [`Metrics::sent_bytes`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// [`super::CacheStatus::outcome`].
    pub outcome: &'static str,
}

/// Labels of [`Metrics::upstream_requests`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpstreamLabels {
    /// Configured name of the upstream.
    pub upstream: std::sync::Arc<str>,
    /// `GET blob`, `HEAD manifest`, `token`, …
    pub operation: &'static str,
    /// `ok`, or the kind of failure.
    pub outcome: &'static str,
}

/// Label of what is told about an upstream as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpstreamName {
    /// Configured name of the upstream.
    pub upstream: std::sync::Arc<str>,
}

impl Metrics {
    /// Makes and registers all metrics.
    pub fn new() -> Self {
        let metrics = Self {
            registry: RwLock::new(Registry::with_prefix("harbinger")),
            requests: Family::default(),
            sent_bytes: Family::default(),
            upstream_requests: Family::default(),
            upstream_bytes: Counter::default(),
            upstream_breaker_open: Family::default(),
            upstream_rate_limit: Family::default(),
            upstream_rate_remaining: Family::default(),
            fills: Gauge::default(),
        };
        {
            let mut registry = metrics.registry.write();
            registry.register("requests", "Requests from clients", metrics.requests.clone());
            registry.register("sent_bytes", "Body bytes sent to clients", metrics.sent_bytes.clone());
            registry.register("upstream_requests", "Requests to upstreams", metrics.upstream_requests.clone());
            registry.register("upstream_bytes", "Blob bytes received from upstreams", metrics.upstream_bytes.clone());
            registry.register(
                "upstream_breaker_open",
                "Whether an upstream is left alone because it failed too often",
                metrics.upstream_breaker_open.clone(),
            );
            registry.register(
                "upstream_rate_limit",
                "Pulls an upstream allows in its window",
                metrics.upstream_rate_limit.clone(),
            );
            registry.register(
                "upstream_rate_remaining",
                "Pulls left in the window of an upstream",
                metrics.upstream_rate_remaining.clone(),
            );
            registry.register("fills", "Blob transfers from upstreams under way", metrics.fills.clone());
        }
        metrics
    }

    /// Adds metrics of another room.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.write());
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry.read());
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
