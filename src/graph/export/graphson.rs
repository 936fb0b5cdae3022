//! GraphSON 3, one vertex with its edges a line: for TinkerPop and JanusGraph.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{
    Value as Json, json,
    value::{RawValue, to_raw_value},
};

use super::{Records, Written};
use crate::graph::{EdgeRecord, NodeRecord, Properties, Record, Value};

/// Temporary files at once. What is held in memory is about this part of the graph.
const PARTS: u64 = 256;

/// The property that names a vertex where the identifiers of a file are not kept, as in JanusGraph.
pub(in crate::graph) const UID: &str = "uid";

/// The property that an edge's `key` is. JanusGraph has reserved the plain name.
pub(in crate::graph) const EDGE_KEY: &str = "edge_key";

/// Writes what `g.io("FILE").read()` reads. A vertex has its name as identifier and as property `uid`, its kind as label; an
/// edge's `edge_key` tells it from others of its label between the same vertices.
///
/// A vertex is written with the edges that leave it and that enter it, and those come in another order: so records are first
/// put into 256 temporary files in the folder `temporary`, by vertex, which take about twice the room of the output. In memory
/// is one of them, a 256th of the graph, or the most connected vertex if that is more.
///
/// # Errors
/// When the records end in an error, or it cannot be written.
pub fn write(records: Records<'_>, out: &mut dyn Write, temporary: &Path) -> io::Result<Written> {
    let mut parts = Parts::create(temporary)?;
    let written = parts.sort(records)?;
    let mut next_property = 0;
    for part in 0..PARTS {
        for (id, vertex) in parts.read(part)? {
            vertex.write(out, &id, &mut next_property)?;
        }
    }
    Ok(written)
}

/// What a temporary file has of a vertex.
#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    Node(NodeRecord),
    /// An edge that leaves it: label, and its JSON.
    Out(String, String, Box<RawValue>),
    /// An edge that enters it.
    In(String, String, Box<RawValue>),
}

/// A vertex: its node, and its edges by label, each as JSON.
#[derive(Debug, Default)]
struct Vertex {
    node: Option<NodeRecord>,
    out_edges: BTreeMap<String, Vec<Box<RawValue>>>,
    in_edges: BTreeMap<String, Vec<Box<RawValue>>>,
}

/// A vertex as it is written.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    label: &'a str,
    #[serde(rename = "outE", skip_serializing_if = "BTreeMap::is_empty")]
    out_edges: &'a BTreeMap<String, Vec<Box<RawValue>>>,
    #[serde(rename = "inE", skip_serializing_if = "BTreeMap::is_empty")]
    in_edges: &'a BTreeMap<String, Vec<Box<RawValue>>>,
    properties: serde_json::Map<String, Json>,
}

impl Vertex {
    /// Vertex properties have identifiers of their own, which count on.
    fn write(&self, out: &mut dyn Write, id: &str, next_property: &mut u64) -> io::Result<()> {
        // Every edge joins nodes that came before it.
        let Some(node) = &self.node else { return Ok(()) };
        let mut properties = serde_json::Map::new();
        let own = (UID.into(), Value::Text(id.to_owned()));
        for (name, value) in std::iter::once(&own).chain(&node.properties) {
            properties.insert(name.to_string(), json!([{"id": int64(*next_property as i64), "value": typed(value)}]));
            *next_property += 1;
        }
        let (out_edges, in_edges) = (&self.out_edges, &self.in_edges);
        serde_json::to_writer(&mut *out, &Line { id, label: &node.kind, out_edges, in_edges, properties })?;
        out.write_all(b"\n")
    }
}

/// The temporary files; removed when it is dropped.
struct Parts {
    folder: PathBuf,
}

impl Parts {
    fn create(place: &Path) -> io::Result<Self> {
        let folder = place.join(format!(".harbinger-export-{:016x}", fastrand::u64(..)));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, part: u64) -> PathBuf {
        self.folder.join(part.to_string())
    }

    fn sort(&mut self, records: Records<'_>) -> io::Result<Written> {
        let files = (0..PARTS).map(|part| File::create(self.path(part)).map(BufWriter::new));
        let mut files = files.collect::<io::Result<Vec<_>>>()?;
        let mut put = |id: &str, entry: &Entry| {
            let out = &mut files[part_of(id)];
            serde_json::to_writer(&mut *out, entry)?;
            out.write_all(b"\n")
        };
        let mut written = Written::default();
        for record in records {
            let record = record?;
            written.count(&record);
            match record {
                Record::Node(node) => put(&node.id.clone(), &Entry::Node(node))?,
                Record::Edge(edge) => {
                    let kind = || edge.kind.to_string();
                    put(&edge.from, &Entry::Out(edge.from.clone(), kind(), edge_json(&edge, "inV", &edge.to)?))?;
                    put(&edge.to, &Entry::In(edge.to.clone(), kind(), edge_json(&edge, "outV", &edge.from)?))?;
                }
            }
        }
        files.iter_mut().try_for_each(Write::flush)?;
        Ok(written)
    }

    fn read(&self, part: u64) -> io::Result<BTreeMap<String, Vertex>> {
        let mut vertices = BTreeMap::<String, Vertex>::new();
        for line in BufReader::new(File::open(self.path(part))?).lines() {
            match serde_json::from_str(&line?)? {
                Entry::Node(node) => {
                    let id = node.id.clone();
                    vertices.entry(id).or_default().node = Some(node);
                }
                Entry::Out(id, label, edge) => {
                    vertices.entry(id).or_default().out_edges.entry(label).or_default().push(edge);
                }
                Entry::In(id, label, edge) => vertices.entry(id).or_default().in_edges.entry(label).or_default().push(edge),
            }
        }
        Ok(vertices)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // What is left of it is of no more use, and its name says what it was.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn part_of(id: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    (hasher.finish() % PARTS) as usize
}

fn edge_json(edge: &EdgeRecord, end: &str, other: &str) -> io::Result<Box<RawValue>> {
    let edge = json!({"id": edge.id(), end: other, "properties": edge_properties(edge.key, &edge.properties)});
    Ok(to_raw_value(&edge)?)
}

fn edge_properties(key: u64, properties: &Properties) -> serde_json::Map<String, Json> {
    let key = (EDGE_KEY.to_owned(), int64(key as i64));
    std::iter::once(key).chain(properties.iter().map(|(name, value)| (name.to_string(), typed(value)))).collect()
}

/// A value with its type, as GraphSON 3 has it.
pub(in crate::graph) fn typed(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Integer(value) => int64(*value),
        Value::Number(value) => json!({"@type": "g:Double", "@value": value}),
        Value::Text(value) => json!(value),
    }
}

/// A whole number, as GraphSON 3 has it.
pub(in crate::graph) fn int64(value: i64) -> Json {
    json!({"@type": "g:Int64", "@value": value})
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::graph::export::sample;

    #[test]
    fn each_vertex_is_a_line_with_its_edges_on_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let written = write(&mut sample::records().into_iter().map(Ok), &mut out, folder.path()).unwrap();
        assert_eq!(written, sample::WRITTEN);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "temporary files are left");
        let lines = std::str::from_utf8(&out).unwrap().lines();
        let vertices: BTreeMap<String, Json> = lines
            .map(|line| serde_json::from_str::<Json>(line).unwrap())
            .map(|vertex| (vertex["id"].as_str().unwrap().to_owned(), vertex))
            .collect();
        assert_eq!(vertices.len(), 9);
        for record in sample::records() {
            match record {
                Record::Node(node) => {
                    let vertex = &vertices[&node.id];
                    assert_eq!(vertex["label"], *node.kind);
                    assert_eq!(vertex["properties"][UID][0]["value"], node.id);
                    for (name, value) in &node.properties {
                        assert_eq!(vertex["properties"][&**name][0]["value"], typed(value), "{name}");
                    }
                }
                Record::Edge(edge) => {
                    let there = |vertex: &Json, side: &str, end: &str, other: &str| {
                        let edges = vertex[side][&*edge.kind].as_array().unwrap();
                        edges.iter().any(|found| {
                            found["id"] == edge.id()
                                && found[end] == other
                                && found["properties"][EDGE_KEY] == int64(edge.key as i64)
                        })
                    };
                    assert!(there(&vertices[&edge.from], "outE", "inV", &edge.to), "{edge:?}");
                    assert!(there(&vertices[&edge.to], "inE", "outV", &edge.from), "{edge:?}");
                }
            }
        }
        let properties = vertices.values().flat_map(|vertex| vertex["properties"].as_object().unwrap().values());
        let numbers: Vec<_> = properties.map(|property| property[0]["id"]["@value"].as_u64().unwrap()).collect();
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len(), "identifiers of properties are given twice");
    }

    #[test]
    fn nothing_is_left_behind_by_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut broken = sample::records().into_iter().map(Ok).chain([Err(io::Error::other("gone"))]);
        assert!(write(&mut broken, &mut Vec::new(), folder.path()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
