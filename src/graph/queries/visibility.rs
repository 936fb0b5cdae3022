//! What is shown to whom: decided here and nowhere else.
//!
//! To the public, a content is what public repositories make of it. What it is for, what it contains and when it was heard of may
//! have been learned from a private repository; so its role is read off the edges that are shown, and the times are not told.

use petgraph::{
    Direction::Incoming,
    stable_graph::{EdgeReference, NodeIndex},
    visit::EdgeRef,
};

use super::super::{Edge, Node, Role, State, Viewer};

impl Viewer {
    /// Whether a node is shown. For a content that the public may not see, this looks at all manifests that contain it.
    pub fn sees(self, state: &State, node: NodeIndex) -> bool {
        match (self, state.node(node)) {
            (_, None) => false,
            (Self::Operator, Some(_)) => true,
            (Self::Public, Some(Node::Repository(repository))) => !repository.private,
            (Self::Public, Some(Node::Tag(tag))) => self.sees(state, tag.repository),
            (Self::Public, Some(Node::Audience(_))) => false,
            (Self::Public, Some(Node::Content(_))) => self.role(state, node).is_some(),
        }
    }

    /// Whether what a manifest says is shown: a repository has it that is.
    pub(in crate::graph) fn reads(self, state: &State, manifest: NodeIndex) -> bool {
        let mut edges = state.graph.edges_directed(manifest, Incoming);
        self == Self::Operator || edges.any(|edge| *edge.weight() == Edge::Has && self.sees(state, edge.source()))
    }

    /// Whether an edge is shown, together with the nodes at its ends.
    pub(in crate::graph) fn sees_edge(self, state: &State, edge: EdgeReference<'_, Edge>) -> bool {
        if self == Self::Operator {
            return true;
        }
        match edge.weight() {
            // What a manifest that is read contains is shown because of it.
            Edge::Contains { .. } | Edge::Configured | Edge::Child { .. } => self.reads(state, edge.source()),
            Edge::Has => self.sees(state, edge.source()),
            Edge::Refers => self.reads(state, edge.source()) && self.sees(state, edge.target()),
            Edge::Holds | Edge::Names { .. } | Edge::NextVersion => {
                self.sees(state, edge.source()) && self.sees(state, edge.target())
            }
            // These were made by all that is known: by private tags, or by images that are not shown.
            Edge::Succeeded { .. } | Edge::BasedOn { .. } | Edge::CoPulled { .. } | Edge::Wants { .. } => false,
        }
    }

    /// What a content is for, as far as it is shown at all. To the public, what a public image contains is a layer, whatever else
    /// it may be.
    pub(in crate::graph) fn role(self, state: &State, node: NodeIndex) -> Option<Role> {
        let known = state.as_content(node)?.role;
        // Repositories have manifests, and nothing else.
        let is_manifest = matches!(known, Role::Manifest | Role::Index);
        if self == Self::Operator || is_manifest && self.reads(state, node) {
            return Some(known);
        }
        let mut role = None;
        for edge in state.graph.edges_directed(node, Incoming) {
            let said = match edge.weight() {
                Edge::Contains { .. } => Role::Layer,
                Edge::Configured if role != Some(Role::Config) => Role::Config,
                Edge::Child { .. } if role.is_none() => Role::Manifest,
                _ => continue,
            };
            if self.reads(state, edge.source()) {
                role = Some(said);
                if said == Role::Layer {
                    break;
                }
            }
        }
        role
    }
}
