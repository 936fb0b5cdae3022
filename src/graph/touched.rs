//! What has to be written anew.

use hashbrown::HashSet;
use petgraph::stable_graph::NodeIndex;

/// Rows that differ from what is in memory. Notes nothing unless it is told to: not every graph is kept.
#[derive(Debug, Default)]
pub(super) struct Touched {
    noted: Option<Rows>,
}

/// Rows: a node's, with the edges that it keeps; and those of single edges.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) nodes: HashSet<NodeIndex>,
    /// From where, to where.
    pub(super) edges: HashSet<(NodeIndex, NodeIndex)>,
}

impl Touched {
    /// Notes from now on.
    pub(super) fn start(&mut self) {
        self.noted.get_or_insert_default();
    }

    /// A node, its rates or an edge that it keeps has changed or gone.
    pub(super) fn node(&mut self, node: NodeIndex) {
        if let Some(rows) = &mut self.noted {
            rows.nodes.insert(node);
        }
    }

    /// An edge that has a row of its own has changed or gone.
    pub(super) fn edge(&mut self, from: NodeIndex, to: NodeIndex) {
        if let Some(rows) = &mut self.noted {
            rows.edges.insert((from, to));
        }
    }

    /// All that was noted, which is forgotten here.
    pub(super) fn take(&mut self) -> Rows {
        self.noted.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Notes again what could not be written.
    pub(super) fn put_back(&mut self, rows: Rows) {
        if let Some(noted) = &mut self.noted {
            noted.nodes.extend(rows.nodes);
            noted.edges.extend(rows.edges);
        }
    }

    /// Bytes of memory that the notes take.
    pub(super) fn memory(&self) -> usize {
        self.noted.as_ref().map_or(0, |rows| rows.nodes.allocation_size() + rows.edges.allocation_size())
    }

    /// How many rows are noted.
    pub(super) fn len(&self) -> usize {
        self.noted.as_ref().map_or(0, |rows| rows.nodes.len() + rows.edges.len())
    }
}
