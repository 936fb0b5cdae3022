//! The graph as files that other programs read.
//!
//! All of them are written from [`Record`]s as these come, so that the graph is never held a second time: what a writer holds
//! is one record, except for GraphSON, which says itself what it holds. The order of records is the order of the file.

mod csv;
pub(super) mod cypher;
mod dot;
mod graphml;
pub(super) mod graphson;
mod json;
mod properties;
mod records;

pub use csv::write_folder as write_csv;
pub use dot::write as write_dot;
pub use graphml::write as write_graphml;
pub use graphson::write as write_graphson;
pub use json::{write_lines as write_ndjson, write_node_link as write_json};
pub use properties::{EDGE_KINDS, NODE_KINDS, Property, Type, edge_properties, node_properties};
pub use records::Walk;

use std::io;

use super::Record;

/// Records on their way into a file. An error ends them: what they come from has failed.
pub type Records<'a> = &'a mut dyn Iterator<Item = io::Result<Record>>;

/// How many nodes and edges were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Nodes.
    pub nodes: u64,
    /// Edges.
    pub edges: u64,
}

impl Written {
    /// Counts a record.
    pub(super) fn count(&mut self, record: &Record) {
        match record {
            Record::Node(_) => self.nodes += 1,
            Record::Edge(_) => self.edges += 1,
        }
    }
}

#[cfg(test)]
mod sample;
