//! JSON: one document in the node-link form, and records as lines.

use std::io::{self, Write};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Records, Written};
use crate::graph::{Properties, Record};

/// Writes a document `{"directed": true, "multigraph": true, "graph": {}, "nodes": […], "links": […]}`, as networkx
/// (`node_link_graph(document, edges="links")`) and D3 read it. A link's `key` tells it from all others between the same nodes.
///
/// # Errors
/// When the records end in an error, an edge comes before a node, or it cannot be written.
pub fn write_node_link(records: Records<'_>, out: &mut dyn Write) -> io::Result<Written> {
    out.write_all(b"{\"directed\":true,\"multigraph\":true,\"graph\":{},\"nodes\":[")?;
    let mut written = Written::default();
    for record in records {
        let record = record?;
        let separator = match (&record, written) {
            (Record::Node(_), Written { nodes: 0, edges: 0 }) => "\n",
            (Record::Node(_), Written { edges: 0, .. }) => ",\n",
            (Record::Node(_), _) => return Err(io::Error::other("a node came after an edge")),
            (Record::Edge(_), Written { edges: 0, .. }) => "\n],\"links\":[\n",
            (Record::Edge(_), _) => ",\n",
        };
        out.write_all(separator.as_bytes())?;
        serde_json::to_writer(&mut *out, &Flat(&record))?;
        written.count(&record);
    }
    let end: &[u8] = if written.edges == 0 { b"\n],\"links\":[]}\n" } else { b"\n]}\n" };
    out.write_all(end)?;
    Ok(written)
}

/// Writes each record as a line of JSON, as it is.
///
/// # Errors
/// When the records end in an error, or it cannot be written.
pub fn write_lines(records: Records<'_>, out: &mut dyn Write) -> io::Result<Written> {
    let mut written = Written::default();
    for record in records {
        let record = record?;
        serde_json::to_writer(&mut *out, &record)?;
        out.write_all(b"\n")?;
        written.count(&record);
    }
    Ok(written)
}

/// A record as one object, its properties beside the rest.
struct Flat<'a>(&'a Record);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let properties: &Properties = match self.0 {
            Record::Node(node) => {
                map.serialize_entry("id", &node.id)?;
                map.serialize_entry("kind", &node.kind)?;
                &node.properties
            }
            Record::Edge(edge) => {
                map.serialize_entry("source", &edge.from)?;
                map.serialize_entry("target", &edge.to)?;
                map.serialize_entry("key", &format_args!("{} {}", edge.kind, edge.key))?;
                map.serialize_entry("kind", &edge.kind)?;
                &edge.properties
            }
        };
        for (name, value) in properties {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::export::sample;

    #[test]
    fn lines_are_read_back_as_they_were() {
        let mut out = Vec::new();
        assert_eq!(write_lines(&mut sample::records().into_iter().map(Ok), &mut out).unwrap(), sample::WRITTEN);
        let lines = std::str::from_utf8(&out).unwrap().lines();
        let read: Vec<Record> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, sample::records());
    }

    #[test]
    fn the_document_has_every_node_and_link() {
        let mut out = Vec::new();
        assert_eq!(write_node_link(&mut sample::records().into_iter().map(Ok), &mut out).unwrap(), sample::WRITTEN);
        let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let (mut nodes, mut links) = (document["nodes"].as_array().unwrap().iter(), document["links"].as_array().unwrap().iter());
        for record in sample::records() {
            let (read, properties) = match &record {
                Record::Node(node) => {
                    let read = nodes.next().unwrap();
                    assert_eq!((&read["id"], &read["kind"]), (&node.id.as_str().into(), &(*node.kind).into()));
                    (read, &node.properties)
                }
                Record::Edge(edge) => {
                    let read = links.next().unwrap();
                    assert_eq!((&read["source"], &read["target"]), (&edge.from.as_str().into(), &edge.to.as_str().into()));
                    assert_eq!(read["key"], format!("{} {}", edge.kind, edge.key));
                    (read, &edge.properties)
                }
            };
            for (name, value) in properties {
                assert_eq!(read[&**name], serde_json::to_value(value).unwrap());
            }
        }
        assert_eq!((nodes.next(), links.next()), (None, None));
    }

    #[test]
    fn a_graph_of_nothing_is_a_document_too() {
        for records in [vec![], sample::records().into_iter().take(1).collect()] {
            let mut out = Vec::new();
            let written = write_node_link(&mut records.into_iter().map(Ok), &mut out).unwrap();
            let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(document["nodes"].as_array().unwrap().len() as u64, written.nodes);
            assert_eq!(document["links"].as_array().unwrap().len(), 0);
        }
    }
}
