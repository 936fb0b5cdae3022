//! How much memory the graph takes, counted from what is in it.
//!
//! Nodes and edges have fixed sizes, tables tell theirs, and what hangs on a node (names, tags) is counted by what it takes on
//! average. Room that was given up and can be used again does not count.

use super::model::{Edge, Node, State};

/// What petgraph keeps beside a node: the first edges out and in.
const NODE: usize = size_of::<Option<Node>>() + 2 * size_of::<u32>();

/// What petgraph keeps beside an edge: both ends, and the next edge of each.
const EDGE: usize = size_of::<Option<Edge>>() + 4 * size_of::<u32>();

/// A repository's own box, its names, and its place in the table.
const REPOSITORY: usize = 192;

/// A tag's own box, its text, and its place in the table.
const TAG: usize = 112;

/// A tag's place among the versions.
const VERSION: usize = 192;

/// An image's place among those with the same layers.
const CHAIN: usize = 36;

/// A customer in a region.
const AUDIENCE: usize = 128;

/// A repository's list of what is pulled after it.
const CO_PULLED: usize = 96;

impl State {
    /// How many nodes and edges there are.
    pub fn size(&self) -> (usize, usize) {
        (self.graph.node_count(), self.graph.edge_count())
    }

    /// Bytes of memory that it takes, roughly. Within a fourth of what is measured for graphs that matter.
    pub fn memory(&self) -> u64 {
        let graph = self.graph.node_count() * NODE + self.graph.edge_count() * EDGE;
        let tables = self.contents.allocation_size() + self.by_ends.allocation_size() + self.chains.len() * CHAIN;
        let rates: usize = self.rates.values().map(hashbrown::HashMap::allocation_size).sum();
        let tags = self.tags.len() * TAG + self.versions.len() * VERSION;
        let others = self.repositories.len() * REPOSITORY + self.audiences.len() * AUDIENCE + self.co_pulled.len() * CO_PULLED;
        (graph + tables + rates + tags + others + self.touched.memory()) as u64
    }
}
