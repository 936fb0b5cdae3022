//! How much there is, and how much of it is shared.

use std::collections::{BTreeMap, HashSet};

use petgraph::{Direction::Outgoing, stable_graph::NodeIndex, visit::EdgeRef};
use serde::{Deserialize, Serialize};

use super::{
    super::{Edge, Node, Role, State, Viewer},
    Sweep,
    around::{edge_name, role_name},
    image::{distinct, layers},
};

/// How much there is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Statistics {
    /// Nodes by kind: `layer`, `config`, `blob`, `manifest`, `index`, `unknown`, `repository`, `tag`, `audience`.
    pub nodes: BTreeMap<String, u64>,
    /// Edges by kind.
    pub edges: BTreeMap<String, u64>,
    /// Bytes of all layers of all images: what they would take if nothing were shared.
    pub bytes_referred: u64,
    /// Bytes of all layers, each counted once.
    pub bytes_once: u64,
    /// How many times over sharing pays: the one divided by the other; 1 when there is nothing.
    pub dedup_ratio: f64,
    /// In how many images a layer is.
    pub fan_out: FanOut,
}

/// In how many images a layer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FanOut {
    /// Half of all layers are in no more.
    pub p50: u32,
    /// Nine of ten layers are in no more.
    pub p90: u32,
    /// One layer of a hundred is in more.
    pub p99: u32,
    /// The layer that is in most.
    pub max: u32,
}

/// Counts everything, in steps.
#[derive(Debug)]
pub struct Survey {
    viewer: Viewer,
    /// What the public sees, as far as it was found; the operator sees all.
    shown: HashSet<NodeIndex>,
    finding: Option<Sweep>,
    counting: Sweep,
    counted: Statistics,
    /// By the index of a layer: in how many images it is, of those that were counted.
    fan_outs: Vec<u32>,
}

impl Survey {
    /// Begins to count.
    pub fn new(viewer: Viewer) -> Self {
        let finding = (viewer == Viewer::Public).then(Sweep::default);
        let (counting, counted) = (Sweep::default(), Statistics::default());
        Self { viewer, shown: HashSet::new(), finding, counting, counted, fan_outs: Vec::new() }
    }

    /// Counts some more; false when these were the last ones. What changes meanwhile may be counted or not.
    pub fn step(&mut self, state: &State) -> bool {
        if let Some(finding) = &mut self.finding {
            let (viewer, shown) = (self.viewer, &mut self.shown);
            if !finding.step(state, |node| find(state, viewer, node, shown)) {
                self.finding = None;
            }
            return true;
        }
        let Self { viewer, shown, counting, counted, fan_outs, .. } = self;
        counting.step(state, |node| {
            if *viewer == Viewer::Public && !shown.contains(&node) {
                return 0;
            }
            count(state, *viewer, node, counted, fan_outs)
        })
    }

    /// What was counted.
    pub fn finish(self) -> Statistics {
        let Self { mut counted, fan_outs, .. } = self;
        let mut numbers: BTreeMap<u32, u64> = BTreeMap::new();
        for fan_out in fan_outs.into_iter().filter(|&fan_out| fan_out > 0) {
            *numbers.entry(fan_out).or_default() += 1;
        }
        let layers: u64 = numbers.values().sum();
        let quantile = |share: u64| {
            let mut left = (layers * share).div_ceil(100);
            let found = numbers.iter().find(|(_, number)| {
                let here = **number >= left;
                left = left.saturating_sub(**number);
                here
            });
            found.map_or(0, |(fan_out, _)| *fan_out)
        };
        let max = numbers.keys().next_back().copied().unwrap_or_default();
        counted.fan_out = FanOut { p50: quantile(50), p90: quantile(90), p99: quantile(99), max };
        let Statistics { bytes_referred, bytes_once, .. } = counted;
        counted.dedup_ratio = if bytes_once == 0 { 1.0 } else { bytes_referred as f64 / bytes_once as f64 };
        counted
    }
}

/// Notes what is shown because of one node: itself, or what a manifest that is read contains. How many edges that were.
fn find(state: &State, viewer: Viewer, node: NodeIndex, shown: &mut HashSet<NodeIndex>) -> usize {
    match state.node(node) {
        Some(Node::Content(content)) if matches!(content.role, Role::Manifest | Role::Index) => {
            if !viewer.reads(state, node) {
                return 1;
            }
            let contained = state
                .graph
                .edges(node)
                .filter(|edge| matches!(edge.weight(), Edge::Contains { .. } | Edge::Configured | Edge::Child { .. }));
            let before = shown.len();
            shown.insert(node);
            shown.extend(contained.map(|edge| edge.target()));
            shown.len() - before
        }
        // Whatever is shown of these is contained in a manifest.
        Some(Node::Content(_)) | None => 0,
        Some(Node::Repository(_) | Node::Tag(_) | Node::Audience(_)) => {
            if viewer.sees(state, node) {
                shown.insert(node);
            }
            1
        }
    }
}

/// Counts a node that is shown, and the edges that leave it. How many edges that were.
fn count(state: &State, viewer: Viewer, node: NodeIndex, counted: &mut Statistics, fan_outs: &mut Vec<u32>) -> usize {
    let kind = match state.node(node) {
        None => return 0,
        Some(Node::Content(_)) => role_name(viewer.role(state, node).unwrap_or(Role::Unknown)),
        Some(Node::Repository(_)) => "repository",
        Some(Node::Tag(_)) => "tag",
        Some(Node::Audience(_)) => "audience",
    };
    add(&mut counted.nodes, kind);
    let mut edges = 0;
    for edge in state.graph.edges_directed(node, Outgoing) {
        edges += 1;
        if viewer.sees_edge(state, edge) {
            add(&mut counted.edges, edge_name(edge.weight()));
        }
    }
    if kind == "layer" {
        counted.bytes_once += state.as_content(node).map_or(0, |content| content.size);
    }
    if kind != "manifest" {
        return edges;
    }
    // Counted here and not at the layer: an image has few layers, and a layer may be in very many images.
    for layer in distinct(layers(state, viewer, node)) {
        counted.bytes_referred += state.as_content(layer).map_or(0, |content| content.size);
        if fan_outs.len() <= layer.index() {
            fan_outs.resize(layer.index() + 1, 0);
        }
        fan_outs[layer.index()] += 1;
    }
    edges
}

fn add(numbers: &mut BTreeMap<String, u64>, kind: &str) {
    match numbers.get_mut(kind) {
        Some(number) => *number += 1,
        None => {
            numbers.insert(kind.to_owned(), 1);
        }
    }
}
