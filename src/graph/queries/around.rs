//! The neighbourhood of a node.

use std::collections::HashMap;

use petgraph::{
    Direction::{Incoming, Outgoing},
    stable_graph::{EdgeReference, NodeIndex},
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{Edge, Node, Role, Seconds, State, Viewer, rates::decayed},
    Budget, QuestionError, Subject, subject,
};

/// Edges that are looked at, at most.
const MOST_EDGES: usize = 2_000;

/// Nodes that are found, at most.
const MOST_NODES: usize = 1_000;

/// How a neighbourhood is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many edges away a node can be: 4 at most.
    pub depth: usize,
    /// How many nodes there can be: 1,000 at most.
    pub nodes: usize,
}

/// A part of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Around {
    /// Whether there is more within the same distance.
    pub cut: bool,
    /// The node that was asked about, and those around it: the nearest first.
    pub nodes: Vec<NodeFound>,
    /// All edges between them that were looked at.
    pub edges: Vec<EdgeFound>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NodeFound {
    /// What it is called: a digest, a repository, a tag, or `REGION/CUSTOMER` of who asks.
    pub name: String,
    /// `layer`, `config`, `blob`, `manifest`, `index`, `unknown`, `repository`, `tag` or `audience`.
    pub kind: String,
    /// How many edges it is away.
    pub depth: u32,
    /// Length in bytes, of contents.
    pub size: Option<u64>,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EdgeFound {
    /// The node that it leaves: its place among the nodes, from 0.
    pub from: u32,
    /// The node that it enters.
    pub to: u32,
    /// `contains`, `configured`, `child`, `has`, `holds`, `names`, `named`, `succeeded`, `next_version`, `based_on`,
    /// `co_pulled`, `refers` or `wants`.
    pub kind: String,
    /// From 0: of a layer in its image, of a manifest in its index.
    pub position: Option<u32>,
    /// How often, halved every week, as of now: of what is wanted or pulled together.
    pub weight: Option<f32>,
    /// Since when, or when last, in seconds since the beginning of 1970.
    pub at: Option<u32>,
}

impl Bounds {
    /// The usual ones.
    pub const USUAL: Self = Self { depth: 1, nodes: 100 };
    /// The widest ones.
    pub const WIDEST: Self = Self { depth: 4, nodes: MOST_NODES };
}

/// The neighbourhood of what is named, in both directions of all edges, as of `now`. 2,000 edges are looked at, each of the ones
/// near the middle before those further away, so that this takes less than a millisecond however large the graph is.
///
/// # Errors
/// When there is no such thing.
pub fn around(state: &State, viewer: Viewer, subject: &Subject, bounds: Bounds, now: Seconds) -> Result<Around, QuestionError> {
    let middle = subject.node(state, viewer)?;
    let bounds = Bounds { depth: bounds.depth.min(Bounds::WIDEST.depth), nodes: bounds.nodes.clamp(1, Bounds::WIDEST.nodes) };
    let mut walk = Walk { state, viewer, budget: Budget::new(MOST_EDGES), found: Vec::new(), places: HashMap::new() };
    walk.find(middle, 0);
    let cut = walk.go(bounds);
    Ok(walk.tell(cut, now))
}

/// A walk in all directions, the nearest nodes first. Its room is that of what it has found.
struct Walk<'a> {
    state: &'a State,
    viewer: Viewer,
    budget: Budget,
    found: Vec<(NodeIndex, usize)>,
    places: HashMap<NodeIndex, u32>,
}

impl Walk<'_> {
    /// Whether there was more.
    fn go(&mut self, bounds: Bounds) -> bool {
        let mut at = 0;
        while let Some(&(node, depth)) = self.found.get(at) {
            at += 1;
            if depth == bounds.depth {
                continue;
            }
            let (mut next, cut) = self.beside(node);
            subject::sort(self.state, &mut next);
            for other in next {
                if self.places.contains_key(&other) {
                    continue;
                }
                if self.found.len() == bounds.nodes {
                    return true;
                }
                self.find(other, depth + 1);
            }
            if cut {
                return true;
            }
        }
        false
    }

    fn find(&mut self, node: NodeIndex, depth: usize) {
        self.places.insert(node, self.found.len() as u32);
        self.found.push((node, depth));
    }

    /// The nodes beside one, and whether there are more.
    fn beside(&mut self, node: NodeIndex) -> (Vec<NodeIndex>, bool) {
        let mut nodes = Vec::new();
        for direction in [Outgoing, Incoming] {
            for edge in self.state.graph.edges_directed(node, direction) {
                let other = if direction == Outgoing { edge.target() } else { edge.source() };
                let shown = self.viewer.sees_edge(self.state, edge);
                if !if shown { self.budget.take() } else { self.budget.pass() } {
                    return (nodes, true);
                }
                if shown && !self.places.contains_key(&other) {
                    nodes.push(other);
                }
            }
        }
        (nodes, false)
    }

    fn tell(&self, cut: bool, now: Seconds) -> Around {
        let Self { state, viewer, found, .. } = self;
        let nodes = found.iter().map(|&(node, depth)| node_found(state, *viewer, node, depth)).collect();
        let mut budget = Budget::new(MOST_EDGES);
        let (mut edges, mut cut) = (Vec::new(), cut);
        for &(node, _) in found {
            for edge in state.graph.edges(node) {
                let ends = self.places.get(&edge.source()).zip(self.places.get(&edge.target()));
                let Some((&from, &to)) = ends.filter(|_| viewer.sees_edge(state, edge)) else {
                    if budget.pass() {
                        continue;
                    }
                    cut = true;
                    break;
                };
                if !budget.take() {
                    cut = true;
                    break;
                }
                edges.push(edge_found(from, to, edge, now));
            }
        }
        edges.sort_by(|a, b| (a.from, a.to, &a.kind, a.position, a.at).cmp(&(b.from, b.to, &b.kind, b.position, b.at)));
        Around { cut, nodes, edges }
    }
}

fn node_found(state: &State, viewer: Viewer, node: NodeIndex, depth: usize) -> NodeFound {
    let kind = match state.node(node) {
        Some(Node::Content(_)) => role_name(viewer.role(state, node).unwrap_or(Role::Unknown)),
        Some(Node::Repository(_)) => "repository",
        Some(Node::Tag(_)) => "tag",
        Some(Node::Audience(_)) | None => "audience",
    };
    let size = state.as_content(node).map(|content| content.size);
    NodeFound { name: subject::name(state, node), kind: kind.to_owned(), depth: depth as u32, size }
}

/// What a role is called.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Unknown => "unknown",
        Role::Blob => "blob",
        Role::Config => "config",
        Role::Layer => "layer",
        Role::Manifest => "manifest",
        Role::Index => "index",
    }
}

fn edge_found(from: u32, to: u32, edge: EdgeReference<'_, Edge>, now: Seconds) -> EdgeFound {
    let kind = edge_name(edge.weight()).to_owned();
    let (mut position, mut weight, mut at) = (None, None, None);
    match *edge.weight() {
        Edge::Contains { position: place } | Edge::Child { position: place, .. } => position = Some(u32::from(place)),
        Edge::Names { since, .. } => at = Some(since),
        Edge::Succeeded { at: last } => at = Some(last),
        Edge::CoPulled { weight: then, at: last } | Edge::Wants { weight: then, at: last } => {
            weight = Some(decayed(then, last, now));
            at = Some(last);
        }
        Edge::Configured | Edge::Has | Edge::Holds | Edge::NextVersion | Edge::BasedOn { .. } | Edge::Refers => {}
    }
    EdgeFound { from, to, kind, position, weight, at }
}

/// What an edge is called.
pub(super) const fn edge_name(edge: &Edge) -> &'static str {
    match edge {
        Edge::Contains { .. } => "contains",
        Edge::Configured => "configured",
        Edge::Child { .. } => "child",
        Edge::Has => "has",
        Edge::Holds => "holds",
        Edge::Names { until: 0, .. } => "names",
        Edge::Names { .. } => "named",
        Edge::Succeeded { .. } => "succeeded",
        Edge::NextVersion => "next_version",
        Edge::BasedOn { .. } => "based_on",
        Edge::CoPulled { .. } => "co_pulled",
        Edge::Refers => "refers",
        Edge::Wants { .. } => "wants",
    }
}
