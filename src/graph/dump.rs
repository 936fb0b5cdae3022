//! All that is known, as text that two states which know the same have in common.

use petgraph::{stable_graph::NodeIndex, visit::EdgeRef, visit::IntoEdgeReferences as _};

use super::model::{Content, Edge, Node, State};

impl State {
    /// Every node, every edge and every rate as a line, sorted. For comparisons: it takes a while, and much memory.
    pub fn dump(&self) -> Vec<String> {
        let nodes = self.graph.node_indices().map(|node| self.describe_node(node));
        let edges = self.graph.edge_references().map(|edge| {
            format!("{} -> {} {}", self.name(edge.source()), self.name(edge.target()), self.describe_edge(edge.weight()))
        });
        let rates = self.rates.iter().flat_map(|(region, rates)| {
            rates
                .iter()
                .map(|(&node, rates)| format!("{} asked for in {:?}: {rates:?}", self.name(node), self.names.text(*region)))
        });
        let mut lines: Vec<_> = nodes.chain(edges).chain(rates).collect();
        lines.sort_unstable();
        lines
    }

    /// What tells a node from all others.
    fn name(&self, node: NodeIndex) -> String {
        match self.node(node) {
            Some(Node::Content(content)) => content.digest().to_string(),
            Some(Node::Repository(repository)) => format!("repository {}/{}", repository.route, repository.name),
            Some(Node::Tag(tag)) => format!("tag {}:{}", self.name(tag.repository), tag.tag),
            Some(Node::Audience(audience)) => {
                format!("audience {:?} in {:?}", audience.customer, self.names.text(audience.region))
            }
            None => "nothing".to_owned(),
        }
    }

    fn describe_node(&self, node: NodeIndex) -> String {
        let name = self.name(node);
        match self.node(node) {
            Some(Node::Content(content)) => {
                let Content { size, first_seen, created, media_type, role, .. } = content;
                let media_type = self.names.text(*media_type);
                format!("{name} {role:?} {media_type:?} {size} bytes, seen {first_seen}, created {created}")
            }
            Some(Node::Repository(repository)) => format!("{name} private={}", repository.private),
            _ => name,
        }
    }

    fn describe_edge(&self, edge: &Edge) -> String {
        match edge {
            Edge::Child { position, platform } => format!("Child {position} {:?}", self.names.text(*platform)),
            edge => format!("{edge:?}"),
        }
    }
}
