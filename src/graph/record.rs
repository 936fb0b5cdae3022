//! The graph as a sequence of records: nodes, then edges. What is exported, and what the server sends to the command line.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A node or an edge, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// A node.
    Node(NodeRecord),
    /// An edge between nodes that came before.
    Edge(EdgeRecord),
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What tells it from all others, today and in every later export: the digest of a content; `repository:ROUTE/NAME`,
    /// `tag:ROUTE/NAME:TAG`, `audience:REGION/CUSTOMER` (a hosted repository's route is empty).
    pub id: String,
    /// `layer`, `config`, `blob`, `manifest`, `index`, `unknown`, `repository`, `tag` or `audience`.
    pub kind: Cow<'static, str>,
    /// What else is known of it, in a fixed order.
    pub properties: Properties,
}

/// An edge. No two have the same kind, ends and `key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeRecord {
    /// The `id` of the node that it leaves.
    pub from: String,
    /// The `id` of the node that it enters.
    pub to: String,
    /// `contains`, `configured`, `child`, `has`, `holds`, `names`, `named` (a tag that does not any more), `succeeded`,
    /// `next_version`, `based_on`, `co_pulled`, `refers` or `wants`.
    pub kind: Cow<'static, str>,
    /// What tells it from others of its kind between the same nodes: a position, a time; 0 where there can be no other.
    pub key: u64,
    /// What else is known of it, in a fixed order.
    pub properties: Properties,
}

/// Names and values, in a fixed order.
pub type Properties = Vec<(Cow<'static, str>, Value)>;

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A switch.
    Bool(bool),
    /// A number of bytes, seconds, places; below 2⁶³.
    Integer(i64),
    /// A rate.
    Number(f64),
    /// A text.
    Text(String),
}

impl EdgeRecord {
    /// What tells it from all other edges, today and in every later export.
    pub fn id(&self) -> String {
        let Self { from, to, kind, key, .. } = self;
        format!("{from} {kind} {key} {to}")
    }
}
