//! Edges: made, changed and removed in one place, so that no index misses any.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use petgraph::{
    Direction,
    stable_graph::{EdgeIndex, NodeIndex, StableDiGraph},
    visit::{EdgeRef, IntoEdgeReferences},
};

use super::model::{Edge, Node, State};

impl Edge {
    /// The number of its kind. Never changes: rows have it.
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Contains { .. } => 1,
            Self::Configured => 2,
            Self::Child { .. } => 3,
            Self::Has => 4,
            Self::Holds => 5,
            Self::Names { .. } => 6,
            Self::Succeeded { .. } => 7,
            Self::NextVersion => 8,
            Self::BasedOn { .. } => 9,
            Self::CoPulled { .. } => 10,
            Self::Refers => 11,
            Self::Wants { .. } => 12,
        }
    }

    /// Whether it has a row of its own: both of its ends may have so many that neither can be asked to write them all.
    pub(super) const fn has_row(&self) -> bool {
        matches!(self, Self::Has | Self::Wants { .. })
    }

    /// Whether it can be found by its ends, of which no two of its kind have both.
    const fn is_by_ends(&self) -> bool {
        matches!(self, Self::Has | Self::Wants { .. } | Self::CoPulled { .. } | Self::Succeeded { .. })
    }
}

impl State {
    /// Adds an edge.
    pub(super) fn link(&mut self, from: NodeIndex, to: NodeIndex, edge: Edge) -> EdgeIndex {
        let index = self.graph.add_edge(from, to, edge);
        if edge.is_by_ends() {
            let hash = hash_of_ends(&self.hasher, from, to, edge.code());
            let (graph, hasher) = (&self.graph, &self.hasher);
            self.by_ends.insert_unique(hash, index, |&other| hash_of(graph, hasher, other));
        }
        if matches!(edge, Edge::CoPulled { .. }) {
            self.co_pulled.entry(from).or_default().push(index);
        }
        self.touch(from, to, edge);
        index
    }

    /// Removes an edge.
    pub(super) fn unlink(&mut self, index: EdgeIndex) {
        let (Some((from, to)), Some(&edge)) = (self.graph.edge_endpoints(index), self.graph.edge_weight(index)) else { return };
        if edge.is_by_ends() {
            let hash = hash_of_ends(&self.hasher, from, to, edge.code());
            if let Ok(entry) = self.by_ends.find_entry(hash, |&other| other == index) {
                entry.remove();
            }
        }
        if matches!(edge, Edge::CoPulled { .. })
            && let Some(edges) = self.co_pulled.get_mut(&from)
        {
            edges.retain(|&other| other != index);
            if edges.is_empty() {
                self.co_pulled.remove(&from);
            }
        }
        self.graph.remove_edge(index);
        self.touch(from, to, edge);
    }

    /// Gives an edge another value of the same kind.
    pub(super) fn relabel(&mut self, index: EdgeIndex, edge: Edge) {
        let (Some((from, to)), Some(old)) = (self.graph.edge_endpoints(index), self.graph.edge_weight_mut(index)) else { return };
        if *old != edge {
            *old = edge;
            self.touch(from, to, edge);
        }
    }

    /// Removes all edges of a node.
    pub(super) fn unlink_all(&mut self, node: NodeIndex) {
        for direction in [Direction::Outgoing, Direction::Incoming] {
            while let Some(edge) = self.graph.edges_directed(node, direction).next() {
                let edge = edge.id();
                self.unlink(edge);
            }
        }
    }

    /// Removes those edges of a node in a direction that `is_one` chooses, and gives back what is at their other ends.
    pub(super) fn unlink_where(
        &mut self,
        node: NodeIndex,
        direction: Direction,
        is_one: impl Fn(&Edge) -> bool,
    ) -> Vec<NodeIndex> {
        let edges = self.graph.edges_directed(node, direction).filter(|edge| is_one(edge.weight()));
        let edges: Vec<_> =
            edges.map(|edge| (edge.id(), if direction == Direction::Outgoing { edge.target() } else { edge.source() })).collect();
        for &(edge, _) in &edges {
            self.unlink(edge);
        }
        edges.into_iter().map(|(_, other)| other).collect()
    }

    /// The edge of the kind of `like` between two nodes, of a kind that is found by its ends.
    pub(super) fn linked(&self, from: NodeIndex, to: NodeIndex, like: Edge) -> Option<EdgeIndex> {
        let code = like.code();
        let is_it = |&index: &EdgeIndex| {
            self.graph.edge_endpoints(index) == Some((from, to))
                && self.graph.edge_weight(index).is_some_and(|edge| edge.code() == code)
        };
        self.by_ends.find(hash_of_ends(&self.hasher, from, to, code), is_it).copied()
    }

    /// Whether an edge that `is_one` chooses enters a node.
    pub(super) fn is_entered(&self, node: NodeIndex, is_one: impl Fn(&Edge) -> bool) -> bool {
        self.graph.edges_directed(node, Direction::Incoming).any(|edge| is_one(edge.weight()))
    }

    /// Notes all rows.
    pub(super) fn touch_all(&mut self) {
        self.graph.node_indices().for_each(|node| self.touched.node(node));
        let lone = self.graph.edge_references().filter(|edge| edge.weight().has_row());
        lone.for_each(|edge| self.touched.edge(edge.source(), edge.target()));
    }

    /// Notes the row that an edge is in.
    fn touch(&mut self, from: NodeIndex, to: NodeIndex, edge: Edge) {
        match edge {
            edge if edge.has_row() => self.touched.edge(from, to),
            // Follows from the tag's own row.
            Edge::Holds => {}
            _ => self.touched.node(from),
        }
    }
}

fn hash_of(graph: &StableDiGraph<Node, Edge>, hasher: &DefaultHashBuilder, edge: EdgeIndex) -> u64 {
    match (graph.edge_endpoints(edge), graph.edge_weight(edge)) {
        (Some((from, to)), Some(weight)) => hash_of_ends(hasher, from, to, weight.code()),
        // Only edges that are there are in the table.
        _ => 0,
    }
}

fn hash_of_ends(hasher: &DefaultHashBuilder, from: NodeIndex, to: NodeIndex, code: u8) -> u64 {
    hasher.hash_one((from.index() as u64) << 32 | to.index() as u64) ^ u64::from(code)
}
