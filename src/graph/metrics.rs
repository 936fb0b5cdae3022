//! What is told of the graph.

use prometheus_client::metrics::{
    counter::Counter,
    gauge::Gauge,
    histogram::{Histogram, exponential_buckets},
};

use super::model::State;
use crate::telemetry::Metrics;

/// Metrics of one graph.
#[derive(Debug)]
pub(super) struct GraphMetrics {
    nodes: Gauge,
    edges: Gauge,
    memory: Gauge,
    pub(super) loading: Gauge,
    pub(super) events: Counter,
    pub(super) forgotten: Counter,
    pub(super) commits: Histogram,
    pub(super) failed_commits: Counter,
}

impl Default for GraphMetrics {
    fn default() -> Self {
        Self {
            nodes: Gauge::default(),
            edges: Gauge::default(),
            memory: Gauge::default(),
            loading: Gauge::default(),
            events: Counter::default(),
            forgotten: Counter::default(),
            commits: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            failed_commits: Counter::default(),
        }
    }
}

impl GraphMetrics {
    /// Adds them to those of a server.
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            registry.register("graph_nodes", "Nodes of the layer graph", self.nodes.clone());
            registry.register("graph_edges", "Edges of the layer graph", self.edges.clone());
            registry.register("graph_memory_bytes", "Memory that the layer graph takes, roughly", self.memory.clone());
            registry.register("graph_loading", "Whether the layer graph is being read from disk", self.loading.clone());
            registry.register("graph_events", "Events that have been applied to the layer graph", self.events.clone());
            registry.register("graph_forgotten", "Nodes and edges that were forgotten to save memory", self.forgotten.clone());
            registry.register("graph_commit_seconds", "Time to make a group of changes durable", self.commits.clone());
            registry.register(
                "graph_commit_failures",
                "Groups of changes that could not be written",
                self.failed_commits.clone(),
            );
        });
    }

    /// Tells how large the graph is.
    pub(super) fn measure(&self, state: &State) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.nodes.set(number(state.graph.node_count() as u64));
        self.edges.set(number(state.graph.edge_count() as u64));
        self.memory.set(number(state.memory()));
    }
}
