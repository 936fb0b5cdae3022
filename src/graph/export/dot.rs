//! DOT: for Graphviz.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, Write},
};

use super::{Records, Written};
use crate::graph::{EdgeRecord, NodeRecord, Record, Value};

const HEAD: &str = "digraph harbinger {
  rankdir=LR;
  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", fontsize=10, fillcolor=white];
  edge [color=gray50, fontcolor=gray30, fontname=\"sans-serif\", fontsize=8];
";

/// Hex digits of a digest that is cut short.
const SHORT: usize = 12;

/// Writes a directed graph. Labels are short, names are whole; nodes are coloured by kind. Graphviz lays out some thousands of
/// nodes, not millions.
///
/// # Errors
/// When the records end in an error, or it cannot be written.
pub fn write(records: Records<'_>, out: &mut dyn Write) -> io::Result<Written> {
    out.write_all(HEAD.as_bytes())?;
    let mut written = Written::default();
    for record in records {
        let record = record?;
        written.count(&record);
        match record {
            Record::Node(node) => write_node(out, &node)?,
            Record::Edge(edge) => write_edge(out, &edge)?,
        }
    }
    out.write_all(b"}\n")?;
    Ok(written)
}

fn write_node(out: &mut dyn Write, node: &NodeRecord) -> io::Result<()> {
    let (name, label) = (Quoted(&node.id), label(node));
    writeln!(out, "  {name} [label={}, fillcolor={}];", Quoted(&label), colour(&node.kind))
}

fn write_edge(out: &mut dyn Write, edge: &EdgeRecord) -> io::Result<()> {
    let EdgeRecord { from, to, kind, key, .. } = edge;
    let label = if is_ordered(kind) { format!("{kind} {key}") } else { kind.replace('_', " ") };
    let style = if is_derived(kind) { ", style=dashed" } else { "" };
    writeln!(out, "  {} -> {} [label={}{style}];", Quoted(from), Quoted(to), Quoted(&label))
}

/// Two lines: what it is, and which one.
fn label(node: &NodeRecord) -> String {
    let name = match node.id.split_once(':') {
        Some(("sha256" | "sha512", hex)) => hex.chars().take(SHORT).collect(),
        Some((_, name)) => name.to_owned(),
        None => node.id.clone(),
    };
    let size = node.properties.iter().find(|(name, _)| name == "size");
    let size = match size {
        Some((_, Value::Integer(size))) => format!(", {}", bytesize::ByteSize::b(*size as u64)),
        _ => String::new(),
    };
    format!("{}{size}\n{name}", node.kind)
}

fn is_ordered(kind: &str) -> bool {
    matches!(kind, "contains" | "child")
}

/// Whether an edge says what was concluded, not what was written down.
fn is_derived(kind: &str) -> bool {
    matches!(kind, "based_on" | "next_version" | "succeeded" | "co_pulled" | "named")
}

fn colour(kind: &str) -> &'static str {
    match kind {
        "layer" => "lightblue",
        "config" | "blob" => "gray90",
        "manifest" => "palegreen",
        "index" => "darkseagreen1",
        "repository" => "gold",
        "tag" => "khaki",
        "audience" => "pink",
        _ => "white",
    }
}

/// A text as DOT wants it. A line break in it stays one.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                control if control.is_control() => f.write_char(' ')?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::export::sample;

    /// The quoted texts of a line, as Graphviz takes them.
    fn quoted(line: &str) -> Vec<String> {
        let (mut texts, mut characters) = (Vec::new(), line.chars());
        while characters.any(|next| next == '"') {
            let mut text = String::new();
            while let Some(next) = characters.next() {
                match next {
                    '"' => break,
                    '\\' => match characters.next().unwrap() {
                        'n' => text.push('\n'),
                        other => text.push(other),
                    },
                    other => text.push(other),
                }
            }
            texts.push(text);
        }
        texts
    }

    #[test]
    fn every_node_and_edge_has_a_line_whose_names_are_read_back() {
        let mut out = Vec::new();
        assert_eq!(write(&mut sample::records().into_iter().map(Ok), &mut out).unwrap(), sample::WRITTEN);
        let text = String::from_utf8(out).unwrap();
        let body = text.strip_prefix(HEAD).unwrap().strip_suffix("}\n").unwrap();
        assert_eq!(body.lines().count(), sample::records().len());
        for (record, line) in sample::records().iter().zip(body.lines()) {
            match record {
                Record::Node(node) => assert_eq!(quoted(line)[0], node.id),
                Record::Edge(edge) => assert_eq!(quoted(line)[..2], [edge.from.clone(), edge.to.clone()]),
            }
        }
    }

    #[test]
    fn labels_are_short() {
        let node = |id: &str, kind: &'static str| NodeRecord { id: id.to_owned(), kind: kind.into(), properties: Vec::new() };
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(label(&node(&digest, "layer")), "layer\nabababababab");
        assert_eq!(label(&node("tag:docker.io/library/nginx:1.27", "tag")), "tag\ndocker.io/library/nginx:1.27");
    }
}
