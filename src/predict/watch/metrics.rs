//! What is counted of watching.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use super::{Answer, Listed};
use crate::telemetry::Metrics;

/// The metrics of one server.
#[derive(Debug, Default)]
pub(super) struct WatchMetrics {
    /// Tags that are followed.
    pub(super) tags: Gauge,
    /// Hints that were acted on.
    pub(super) hints: Counter,
    answers: Family<Labels, Counter>,
    lists: Family<Labels, Counter>,
    /// New tags that lists have told of.
    pub(super) new_tags: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    answer: &'static str,
}

impl WatchMetrics {
    /// Makes and registers them.
    pub(super) fn register(metrics: &Metrics) -> Self {
        let ours = Self::default();
        metrics.register(|registry| {
            registry.register("watch_tags", "Tags that are followed", ours.tags.clone());
            registry.register("watch_hints", "Hints that a tag may have moved, and that were acted on", ours.hints.clone());
            registry.register("watch_answers", "What upstreams were asked about tags, by what came of it", ours.answers.clone());
            registry.register(
                "watch_lists",
                "Lists of tags that upstreams were asked for, by what came of it",
                ours.lists.clone(),
            );
            registry.register(
                "watch_new_tags",
                "New tags that lists have told of, and that were looked at",
                ours.new_tags.clone(),
            );
        });
        ours
    }

    /// A question was answered.
    pub(super) fn answered(&self, answer: Answer) {
        self.answers.get_or_create(&Labels { answer: answer.as_str() }).inc();
    }

    /// A list was asked for.
    pub(super) fn listed(&self, listed: &Listed) {
        self.lists.get_or_create(&Labels { answer: listed.as_str() }).inc();
    }
}
