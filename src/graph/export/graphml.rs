//! GraphML: for Gephi, yEd, Cytoscape, networkx, igraph.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, Write},
};

use super::{EDGE_KINDS, NODE_KINDS, Property, Records, Type, Written, edge_properties, node_properties, properties::all};
use crate::graph::{EdgeRecord, NodeRecord, Properties, Record, Value};

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
"#;

/// Writes one directed graph. The kind is the data `kind`; an edge's `key` tells it from others of its kind between the same
/// nodes.
///
/// # Errors
/// When the records end in an error, or it cannot be written.
pub fn write(records: Records<'_>, out: &mut dyn Write) -> io::Result<Written> {
    out.write_all(HEAD.as_bytes())?;
    declare(out, "node", &[KIND], &all(node_properties, &NODE_KINDS))?;
    declare(out, "edge", &[KIND, KEY], &all(edge_properties, &EDGE_KINDS))?;
    out.write_all(b"<graph id=\"harbinger\" edgedefault=\"directed\">\n")?;
    let mut written = Written::default();
    for record in records {
        let record = record?;
        written.count(&record);
        match record {
            Record::Node(node) => write_node(out, &node)?,
            Record::Edge(edge) => write_edge(out, &edge)?,
        }
    }
    out.write_all(b"</graph>\n</graphml>\n")?;
    Ok(written)
}

const KIND: Property = Property { name: "kind", values: Type::Text };
const KEY: Property = Property { name: "key", values: Type::Integer };

fn declare(out: &mut dyn Write, of: &str, own: &[Property], more: &[Property]) -> io::Result<()> {
    for Property { name, values } in own.iter().chain(more) {
        let values = match values {
            Type::Bool => "boolean",
            Type::Integer => "long",
            Type::Number => "double",
            Type::Text => "string",
        };
        writeln!(out, r#"<key id="{of}_{name}" for="{of}" attr.name="{name}" attr.type="{values}"/>"#)?;
    }
    Ok(())
}

fn write_node(out: &mut dyn Write, node: &NodeRecord) -> io::Result<()> {
    write!(out, r#"<node id="{}">"#, Escaped(&node.id))?;
    write_data(out, "node", "kind", &node.kind)?;
    write_all_data(out, "node", &node.properties)?;
    out.write_all(b"</node>\n")
}

fn write_edge(out: &mut dyn Write, edge: &EdgeRecord) -> io::Result<()> {
    let (id, from, to) = (edge.id(), Escaped(&edge.from), Escaped(&edge.to));
    write!(out, r#"<edge id="{}" source="{from}" target="{to}">"#, Escaped(&id))?;
    write_data(out, "edge", "kind", &edge.kind)?;
    write_data(out, "edge", "key", &edge.key)?;
    write_all_data(out, "edge", &edge.properties)?;
    out.write_all(b"</edge>\n")
}

fn write_all_data(out: &mut dyn Write, of: &str, properties: &Properties) -> io::Result<()> {
    for (name, value) in properties {
        match value {
            Value::Bool(value) => write_data(out, of, name, value)?,
            Value::Integer(value) => write_data(out, of, name, value)?,
            Value::Number(value) => write_data(out, of, name, value)?,
            Value::Text(value) => write_data(out, of, name, value)?,
        }
    }
    Ok(())
}

fn write_data(out: &mut dyn Write, of: &str, name: &str, value: &impl Display) -> io::Result<()> {
    write!(out, r#"<data key="{of}_{name}">{}</data>"#, Escaped(value))
}

/// A text as it may stand in XML, in attributes too. What XML has no form for is replaced.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                // As they are, a reader would take them for spaces.
                '\t' | '\n' | '\r' => write!(self.0, "&#{};", u32::from(character))?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.write_char('\u{fffd}')?,
                other => self.0.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::graph::export::sample;

    /// A reader of the XML that is written here: each element's name, attributes, and the text up to the next tag.
    fn elements(xml: &str) -> Vec<(String, HashMap<String, String>, String)> {
        let mut elements = Vec::new();
        for part in xml.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap();
            let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            let mut pieces = attributes.split('"');
            let mut attributes = HashMap::new();
            while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
                attributes.insert(name.trim().trim_end_matches('=').to_owned(), plain(value));
            }
            elements.push((name.to_owned(), attributes, plain(text)));
        }
        elements
    }

    fn plain(text: &str) -> String {
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        text.replace("&#10;", "\n").replace("&#9;", "\t").replace("&amp;", "&")
    }

    #[test]
    fn what_is_written_is_read_back_with_its_types() {
        let mut out = Vec::new();
        let written = write(&mut sample::records().into_iter().map(Ok), &mut out).unwrap();
        assert_eq!(written, sample::WRITTEN);
        let elements = elements(std::str::from_utf8(&out).unwrap());
        let keys: HashMap<_, _> =
            elements.iter().filter(|(name, ..)| name == "key").map(|(_, key, _)| (key["id"].clone(), key.clone())).collect();
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for (name, attributes, text) in &elements {
            match name.as_str() {
                "node" => nodes.push((attributes["id"].clone(), Vec::new())),
                "edge" => edges.push(([attributes["source"].clone(), attributes["target"].clone()], Vec::new())),
                "data" => {
                    let key = &keys[&attributes["key"]];
                    let told = (key["attr.name"].clone(), key["attr.type"].clone(), text.clone());
                    if key["for"] == "node" {
                        nodes.last_mut().unwrap().1.push(told)
                    } else {
                        edges.last_mut().unwrap().1.push(told)
                    }
                }
                _ => {}
            }
        }
        let of = |properties: &Properties| {
            properties
                .iter()
                .map(|(name, value)| {
                    let (values, text) = match value {
                        Value::Bool(value) => ("boolean", value.to_string()),
                        Value::Integer(value) => ("long", value.to_string()),
                        Value::Number(value) => ("double", value.to_string()),
                        Value::Text(value) => ("string", value.clone()),
                    };
                    (name.to_string(), values.to_owned(), text)
                })
                .collect::<Vec<_>>()
        };
        let kind = |kind: &str| ("kind".to_owned(), "string".to_owned(), kind.to_owned());
        let (mut nodes, mut edges) = (nodes.into_iter(), edges.into_iter());
        for record in sample::records() {
            match record {
                Record::Node(node) => {
                    let (id, data) = nodes.next().unwrap();
                    assert_eq!((id, data[0].clone(), &data[1..]), (node.id, kind(&node.kind), &*of(&node.properties)));
                }
                Record::Edge(edge) => {
                    let (ends, data) = edges.next().unwrap();
                    assert_eq!(
                        (ends, data[0].clone(), &data[2..]),
                        ([edge.from, edge.to], kind(&edge.kind), &*of(&edge.properties))
                    );
                    assert_eq!(data[1], ("key".to_owned(), "long".to_owned(), edge.key.to_string()));
                }
            }
        }
        assert_eq!((nodes.next(), edges.next()), (None, None));
    }

    #[test]
    fn what_xml_has_no_form_for_is_replaced() {
        assert_eq!(Escaped("a\0b\u{1b}&<\">\n").to_string(), "a\u{fffd}b\u{fffd}&amp;&lt;&quot;&gt;&#10;");
    }

    #[test]
    fn records_that_end_in_an_error_end_the_writing() {
        let mut broken = sample::records().into_iter().map(Ok).chain([Err(io::Error::other("gone"))]);
        assert_eq!(write(&mut broken, &mut io::sink()).unwrap_err().to_string(), "gone");
    }
}
