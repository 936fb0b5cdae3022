//! Records of all kinds, with texts that every format has to escape.

use std::borrow::Cow;

use super::{EDGE_KINDS, NODE_KINDS, Type, Written, edge_properties, node_properties, properties::Property};
use crate::graph::{EdgeRecord, NodeRecord, Properties, Record, Value};

pub(super) const WRITTEN: Written = Written { nodes: 9, edges: 13 };

/// A node of each kind, and an edge of each kind from each to the next.
pub(super) fn records() -> Vec<Record> {
    let id = |at: usize| format!("{}:<{at}> \"a\\b\" 'c', d&e", NODE_KINDS[at % NODE_KINDS.len()]);
    let nodes = NODE_KINDS.iter().enumerate().map(|(at, kind)| {
        Record::Node(NodeRecord { id: id(at), kind: Cow::Borrowed(kind), properties: properties(node_properties(kind)) })
    });
    let edges = EDGE_KINDS.iter().enumerate().map(|(at, kind)| {
        let (from, to) = (id(at % 9), id((at + 1) % 9));
        Record::Edge(EdgeRecord {
            from,
            to,
            kind: Cow::Borrowed(kind),
            key: at as u64,
            properties: properties(edge_properties(kind)),
        })
    });
    nodes.chain(edges).collect()
}

fn properties(all: &[Property]) -> Properties {
    let value = |property: &Property| match property.values {
        Type::Bool => Value::Bool(true),
        Type::Integer => Value::Integer(i64::MAX),
        Type::Number => Value::Number(0.25),
        Type::Text => Value::Text("x\n\"y\" \\ <é>, & {z}\t".to_owned()),
    };
    all.iter().map(|property| (Cow::Borrowed(property.name), value(property))).collect()
}
