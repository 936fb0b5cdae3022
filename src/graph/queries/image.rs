//! An image, as answers tell of it.

use petgraph::{
    Direction::{Incoming, Outgoing},
    stable_graph::NodeIndex,
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{Edge, State, Viewer},
    Budget, subject,
};

/// Names of each kind that are told of one image, at most.
const MOST_NAMES: usize = 20;

/// A manifest of layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Image {
    /// Its digest.
    pub digest: String,
    /// How many layers it has; 0 when it is known by name only.
    pub layers: u32,
    /// Bytes of its layers, each counted once.
    pub bytes: u64,
    /// Repositories that have it: at most 20, by name.
    pub repositories: Vec<String>,
    /// Tags that name it now, or an index that contains it: at most 20, by name.
    pub tags: Vec<String>,
    /// Whether there are more of either.
    pub more_names: bool,
}

impl Image {
    /// Tells of a manifest that is seen.
    pub(super) fn of(state: &State, viewer: Viewer, manifest: NodeIndex, budget: &mut Budget) -> Self {
        let layers = layers(state, viewer, manifest);
        let count = layers.len() as u32;
        let bytes = distinct(layers).into_iter().filter_map(|layer| state.as_content(layer)).map(|layer| layer.size).sum();
        let (mut repositories, mut tags) = (Vec::new(), Vec::new());
        let mut cut = names(state, viewer, manifest, budget, &mut repositories, &mut tags);
        let indexes = state.graph.edges_directed(manifest, Incoming);
        let indexes = indexes.filter(|edge| matches!(edge.weight(), Edge::Child { .. }) && viewer.sees_edge(state, *edge));
        for index in indexes {
            cut |= !budget.take() || names(state, viewer, index.source(), budget, &mut Vec::new(), &mut tags);
        }
        let digest = subject::name(state, manifest);
        let (repositories, more_repositories) = told(state, repositories);
        let (tags, more_tags) = told(state, tags);
        Self { digest, layers: count, bytes, repositories, tags, more_names: cut || more_repositories || more_tags }
    }
}

/// The layers of a manifest, lowest first, as far as they are seen. One that occurs twice is there twice.
pub fn layers(state: &State, viewer: Viewer, manifest: NodeIndex) -> Vec<NodeIndex> {
    if !viewer.reads(state, manifest) {
        return Vec::new();
    }
    let edges = state.graph.edges_directed(manifest, Outgoing).filter_map(|edge| match *edge.weight() {
        Edge::Contains { position } => Some((position, edge.target())),
        _ => None,
    });
    let mut layers: Vec<_> = edges.collect();
    layers.sort_unstable();
    layers.into_iter().map(|(_, layer)| layer).collect()
}

/// The same nodes without repetitions, in the order of their indexes.
pub(super) fn distinct(mut nodes: Vec<NodeIndex>) -> Vec<NodeIndex> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// The order of contents in an answer, where nothing else decides.
pub(super) fn digest_bytes(state: &State, content: NodeIndex) -> &[u8] {
    state.as_content(content).map_or(&[], |content| content.digest.as_bytes())
}

/// Collects what has and names a manifest; whether there is more.
fn names(
    state: &State,
    viewer: Viewer,
    manifest: NodeIndex,
    budget: &mut Budget,
    repositories: &mut Vec<NodeIndex>,
    tags: &mut Vec<NodeIndex>,
) -> bool {
    for edge in state.graph.edges_directed(manifest, Incoming) {
        let list = match edge.weight() {
            Edge::Has => &mut *repositories,
            Edge::Names { until: 0, .. } => &mut *tags,
            _ => continue,
        };
        let shown = viewer.sees(state, edge.source());
        if !if shown { budget.take() } else { budget.pass() } {
            return true;
        }
        if shown {
            list.push(edge.source());
        }
    }
    false
}

fn told(state: &State, nodes: Vec<NodeIndex>) -> (Vec<String>, bool) {
    let mut names: Vec<_> = distinct(nodes).into_iter().map(|node| subject::name(state, node)).collect();
    names.sort_unstable();
    let more = names.len() > MOST_NAMES;
    names.truncate(MOST_NAMES);
    (names, more)
}
