//! The layer graph: what is made of what, who asked for what, when and where.
//!
//! One thread changes it, as events tell; readers hold it for a moment. It is kept in a database of its own, written in groups:
//! a crash takes away the last second at most, and leaves what was true at one moment. It grants nothing: it is learned from,
//! looked into and exported, and could be thrown away and built again.

mod apply;
mod bases;
mod clients;
mod codec;
mod committer;
mod dump;
mod error;
pub mod export;
mod handle;
mod lacking;
mod links;
mod listener;
#[cfg(any(feature = "neo4j", feature = "gremlin"))]
pub mod live;
mod load;
mod memory;
mod metrics;
mod missing;
mod model;
mod names;
mod prune;
pub mod queries;
mod rates;
mod record;
mod store;
mod touched;
mod versions;
mod viewer;
mod writer;

#[cfg(test)]
mod histories;

pub use error::GraphError;
pub use handle::{Graph, Loading, Stats};
pub use model::{Audience, Content, Edge, Node, RepositoryNode, Role, Seconds, State, TagNode};
pub use names::{Interned, Names};
pub use rates::{HALF_LIVES, Rates};
pub use record::{EdgeRecord, NodeRecord, Properties, Record, Value};
pub use versions::Version;
pub use viewer::Viewer;
