//! CSV and Cypher: for Neo4j.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    EDGE_KINDS, NODE_KINDS, Property, Records, Type, Written,
    cypher::{CONSTRAINT, EVERY_NODE, label, relationship, set_label},
    edge_properties, node_properties,
};
use crate::graph::{Properties, Record, Value};

/// Rows that `load.cypher` has in one transaction.
const ROWS: u32 = 10_000;

/// Writes `nodes_KIND.csv`, `edges_KIND.csv` and `load.cypher` into a folder, which is made when it is not there.
///
/// `load.cypher` loads them into a running Neo4j; loaded again, nothing is there twice. The files' headers are those of
/// `neo4j-admin database import` too; `load.cypher` names the command.
///
/// # Errors
/// When the records end in an error, one is of no known kind, or it cannot be written.
pub fn write_folder(records: Records<'_>, folder: &Path) -> io::Result<Written> {
    fs::create_dir_all(folder)?;
    let mut written = Written::default();
    let (mut nodes, mut edges) = (Files::new(folder, "nodes"), Files::new(folder, "edges"));
    for record in records {
        let record = record?;
        written.count(&record);
        match record {
            Record::Node(node) => {
                let kind = known(&NODE_KINDS, &node.kind)?;
                let all = node_properties(kind);
                let out = nodes.of(kind, || header(&["id:ID"], all))?;
                write_row(out, &[&node.id], all, &node.properties)?;
            }
            Record::Edge(edge) => {
                let kind = known(&EDGE_KINDS, &edge.kind)?;
                let all = edge_properties(kind);
                let out = edges.of(kind, || header(&[":START_ID", ":END_ID", "key:long"], all))?;
                write_row(out, &[&edge.from, &edge.to, &edge.key.to_string()], all, &edge.properties)?;
            }
        }
    }
    let (nodes, edges) = (nodes.finish()?, edges.finish()?);
    fs::write(folder.join("load.cypher"), script(&nodes, &edges))?;
    Ok(written)
}

/// One file a kind, each begun when there is something for it.
struct Files {
    folder: PathBuf,
    what: &'static str,
    open: BTreeMap<&'static str, BufWriter<File>>,
}

impl Files {
    fn new(folder: &Path, what: &'static str) -> Self {
        Self { folder: folder.to_owned(), what, open: BTreeMap::new() }
    }

    fn of(&mut self, kind: &'static str, header: impl FnOnce() -> String) -> io::Result<&mut BufWriter<File>> {
        use std::collections::btree_map::Entry;
        match self.open.entry(kind) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let mut out = BufWriter::new(File::create(self.folder.join(format!("{}_{kind}.csv", self.what)))?);
                out.write_all(header().as_bytes())?;
                Ok(entry.insert(out))
            }
        }
    }

    /// The kinds that there are, all written. Files of an earlier export whose kind there is no more are removed.
    fn finish(self) -> io::Result<Vec<&'static str>> {
        for kind in NODE_KINDS.iter().chain(&EDGE_KINDS).filter(|kind| !self.open.contains_key(*kind)) {
            match fs::remove_file(self.folder.join(format!("{}_{kind}.csv", self.what))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut kinds = Vec::new();
        for (kind, mut out) in self.open {
            out.flush()?;
            kinds.push(kind);
        }
        Ok(kinds)
    }
}

fn known(kinds: &[&'static str], kind: &str) -> io::Result<&'static str> {
    let found = kinds.iter().find(|known| **known == kind);
    found.copied().ok_or_else(|| io::Error::other(format!("the kind '{kind}' is not known to this version")))
}

fn header(own: &[&str], all: &[Property]) -> String {
    let own = own.iter().map(|&name| name.to_owned());
    let columns: Vec<String> = own.chain(all.iter().map(column)).collect();
    format!("{}\n", columns.join(","))
}

/// `size:long`, as the importer wants it.
fn column(property: &Property) -> String {
    let values = match property.values {
        Type::Bool => ":boolean",
        Type::Integer => ":long",
        Type::Number => ":double",
        Type::Text => "",
    };
    format!("{}{values}", property.name)
}

fn write_row(out: &mut impl Write, own: &[&str], all: &[Property], properties: &Properties) -> io::Result<()> {
    for (at, text) in own.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        write_text(out, text)?;
    }
    for Property { name, .. } in all {
        out.write_all(b",")?;
        match properties.iter().find(|(told, _)| told == name) {
            None => {}
            Some((_, Value::Bool(value))) => write!(out, "{value}")?,
            Some((_, Value::Integer(value))) => write!(out, "{value}")?,
            Some((_, Value::Number(value))) => write!(out, "{value}")?,
            Some((_, Value::Text(value))) => write_text(out, value)?,
        }
    }
    out.write_all(b"\n")
}

/// In quotes when it must be. Neo4j takes a backslash for an escape.
fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    if text.contains([',', '"', '\n', '\r', '\\']) {
        write!(out, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
    } else {
        out.write_all(text.as_bytes())
    }
}

fn script(nodes: &[&str], edges: &[&str]) -> String {
    let mut script = format!(
        "// Loads the layer graph into a running Neo4j 5: put this folder's CSV files into its import folder, then
//     cypher-shell -u neo4j -f load.cypher
// Loading again changes what has changed; what has vanished since stays.
//
// An empty database that does not run yet is filled much faster, from this folder:
//     {}

{CONSTRAINT};
",
        admin_command(nodes, edges)
    );
    for kind in nodes {
        let set = assignments("n", node_properties(kind));
        script += &format!(
            "
LOAD CSV WITH HEADERS FROM 'file:///nodes_{kind}.csv' AS row
CALL {{ WITH row
  MERGE (n:{EVERY_NODE} {{id: row.`id:ID`}})
  SET n.kind = '{kind}'{set}
  {}
}} IN TRANSACTIONS OF {ROWS} ROWS;
",
            set_label(kind)
        );
    }
    for kind in edges {
        let set = assignments("e", edge_properties(kind));
        let set = set.strip_prefix(", ").map(|set| format!("\n  SET {set}")).unwrap_or_default();
        script += &format!(
            "
LOAD CSV WITH HEADERS FROM 'file:///edges_{kind}.csv' AS row
CALL {{ WITH row
  MATCH (a:{EVERY_NODE} {{id: row.`:START_ID`}})
  MATCH (b:{EVERY_NODE} {{id: row.`:END_ID`}})
  MERGE (a)-[e:{} {{key: toInteger(row.`key:long`)}}]->(b){set}
}} IN TRANSACTIONS OF {ROWS} ROWS;
",
            relationship(kind)
        );
    }
    script
}

/// `, n.size = toInteger(row.`size:long`)…`
fn assignments(of: &str, all: &[Property]) -> String {
    let one = |property: &Property| {
        let (name, value) = (property.name, format!("row.`{}`", column(property)));
        let value = match property.values {
            Type::Bool => format!("toBoolean({value})"),
            Type::Integer => format!("toInteger({value})"),
            Type::Number => format!("toFloat({value})"),
            Type::Text => value,
        };
        format!(", {of}.{name} = {value}")
    };
    all.iter().map(one).collect()
}

fn admin_command(nodes: &[&str], edges: &[&str]) -> String {
    let nodes = nodes.iter().map(|kind| format!(" --nodes={EVERY_NODE}:{}=nodes_{kind}.csv", label(kind)));
    let edges = edges.iter().map(|kind| format!(" --relationships={}=edges_{kind}.csv", relationship(kind)));
    let files: String = nodes.chain(edges).collect();
    format!("neo4j-admin database import full --multiline-fields=true{files} neo4j")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::export::sample;

    /// A reader of CSV with quotes and, in them, backslashes.
    fn rows(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut characters = text.chars().peekable();
        while let Some(next) = characters.next() {
            match next {
                '\\' if quoted => field.extend(characters.next()),
                '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut field)),
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                other => field.push(other),
            }
        }
        rows
    }

    fn texts(own: &[&str], all: &[Property], properties: &Properties) -> Vec<String> {
        let more = all.iter().map(|property| match &properties.iter().find(|(name, _)| *name == property.name).unwrap().1 {
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Text(value) => value.clone(),
        });
        own.iter().map(|&text| text.to_owned()).chain(more).collect()
    }

    #[test]
    fn each_kind_has_its_file_which_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write_folder(&mut sample::records().into_iter().map(Ok), folder.path()).unwrap(), sample::WRITTEN);
        for record in sample::records() {
            let (file, header, row) = match &record {
                Record::Node(NodeRecord { id, kind, properties }) => {
                    let all = node_properties(kind);
                    (format!("nodes_{kind}.csv"), header(&["id:ID"], all), texts(&[id], all, properties))
                }
                Record::Edge(EdgeRecord { from, to, kind, key, properties }) => {
                    let all = edge_properties(kind);
                    let header = header(&[":START_ID", ":END_ID", "key:long"], all);
                    (format!("edges_{kind}.csv"), header, texts(&[from, to, &key.to_string()], all, properties))
                }
            };
            let text = fs::read_to_string(folder.path().join(&file)).unwrap();
            let rows = rows(&text);
            assert_eq!((rows[0].join(","), &rows[1..]), (header.trim().to_owned(), &[row][..]), "{file}");
        }
    }

    #[test]
    fn the_script_loads_what_was_written_and_nothing_of_an_earlier_export_is_left() {
        let folder = tempfile::tempdir().unwrap();
        write_folder(&mut sample::records().into_iter().map(Ok), folder.path()).unwrap();
        let few = sample::records().into_iter().filter(|record| match record {
            Record::Node(node) => node.kind == "layer",
            Record::Edge(edge) => edge.kind == "refers",
        });
        write_folder(&mut few.map(Ok), folder.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["edges_refers.csv", "load.cypher", "nodes_layer.csv"]);
        let script = fs::read_to_string(folder.path().join("load.cypher")).unwrap();
        for part in [
            "MERGE (n:Harbinger {id: row.`id:ID`})\n  SET n.kind = 'layer', n.size = toInteger(row.`size:long`)",
            "MERGE (a)-[e:REFERS {key: toInteger(row.`key:long`)}]->(b)\n}",
            "--nodes=Harbinger:Layer=nodes_layer.csv --relationships=REFERS=edges_refers.csv neo4j",
        ] {
            assert!(script.contains(part), "{part}\n{script}");
        }
        assert_eq!(script.matches("LOAD CSV").count(), 2);
    }

    #[test]
    fn a_kind_that_is_not_known_is_refused() {
        let other = Record::Node(NodeRecord { id: "x".to_owned(), kind: "../x".into(), properties: Vec::new() });
        let folder = tempfile::tempdir().unwrap();
        assert!(write_folder(&mut [Ok(other)].into_iter(), folder.path()).is_err());
    }

    use crate::graph::{EdgeRecord, NodeRecord};
}
