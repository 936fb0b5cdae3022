//! The graph brought into a running graph database.
//!
//! [`export()`] sends records in batches to a [`Target`]: nodes, then edges, then it has everything removed that an earlier
//! export brought and this one did not. Each record is marked with the export's generation, so that what is old can be told.
//! Sent again, a record changes nothing; an export that was cut goes on where it was, see [`Memory`].

#[cfg(feature = "neo4j")]
mod bolt;
mod error;
#[cfg(feature = "gremlin")]
mod gremlin;
mod memory;
mod transfer;

#[cfg(feature = "neo4j")]
pub use bolt::Neo4j;
pub use error::LiveError;
#[cfg(feature = "gremlin")]
pub use gremlin::Gremlin;
pub use memory::Memory;
pub use transfer::{Outcome, Progress, export};

use secrecy::SecretString;

use super::{EdgeRecord, NodeRecord};

/// Records that are sent at once.
pub const BATCH: usize = 1_000;

/// The property that says which export brought a node or an edge.
pub const GENERATION: &str = "harbinger_generation";

/// Who asks a graph database.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its name there.
    pub user: String,
    /// Its password.
    pub password: SecretString,
}

/// A graph database that records are brought into.
///
/// # Contract
/// - A call that returns without an error is durable, as far as anything is there.
/// - A record that is brought twice is there once, as it was brought last.
/// - Nothing but what an export has brought is ever changed or removed.
pub trait Target: Send {
    /// Makes indexes and constraints, where they are not.
    fn prepare(&mut self) -> impl Future<Output = Result<(), LiveError>> + Send;

    /// Brings nodes, at most [`BATCH`] of them.
    fn nodes(&mut self, nodes: &[NodeRecord], generation: i64) -> impl Future<Output = Result<(), LiveError>> + Send;

    /// Brings edges between nodes that were brought before, at most [`BATCH`] of them.
    fn edges(&mut self, edges: &[EdgeRecord], generation: i64) -> impl Future<Output = Result<(), LiveError>> + Send;

    /// How many nodes and edges of a generation there are.
    fn count(&mut self, generation: i64) -> impl Future<Output = Result<Progress, LiveError>> + Send;

    /// Removes nodes and edges of other generations. Gives how many of both there were.
    fn sweep(&mut self, generation: i64) -> impl Future<Output = Result<u64, LiveError>> + Send;
}
