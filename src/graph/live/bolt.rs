//! Neo4j, spoken to by Bolt.
//!
//! The protocol is small, and of it little is needed: one connection, one transaction at a time, parameters and answers that
//! are JSON values. Written after the protocol's public description; versions 4.4 and 5.0 to 5.4, which every Neo4j from 4.4 on
//! speaks (and Memgraph).

mod address;
mod connection;
mod packstream;

use serde_json::{Value, json};

use self::{address::Address, connection::Connection};
use super::{GENERATION, LiveError, Login, Progress, Target};
use crate::graph::{
    EdgeRecord, NodeRecord, Properties,
    export::cypher::{CONSTRAINT, EVERY_NODE, relationship, set_label},
};

/// Rows that are removed in one transaction.
const ROWS: u32 = 10_000;

/// A running Neo4j. What is brought has the label `Harbinger`, and that of its kind: `Layer`, `Tag`…
#[derive(Debug)]
pub struct Neo4j {
    connection: Connection,
}

impl Neo4j {
    /// Connects to `bolt://HOST[:PORT][/DATABASE]`.
    ///
    /// # Errors
    /// [`LiveError`]
    pub async fn connect(url: &str, login: Option<&Login>) -> Result<Self, LiveError> {
        let address: Address = url.parse()?;
        Ok(Self { connection: Connection::open(&address, login).await? })
    }

    /// One transaction of statements that differ in what cannot be a parameter: labels and types.
    async fn write(&mut self, statements: Vec<(String, Vec<Value>)>) -> Result<(), LiveError> {
        let statements: Vec<_> = statements.into_iter().map(|(text, rows)| (text, json!({"rows": rows}))).collect();
        self.connection.transaction(&statements).await
    }

    async fn number(&mut self, text: &str, generation: i64) -> Result<u64, LiveError> {
        let rows = self.connection.run(text, &json!({"generation": generation})).await?;
        Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_u64).unwrap_or_default())
    }
}

impl Target for Neo4j {
    async fn prepare(&mut self) -> Result<(), LiveError> {
        self.connection.run(CONSTRAINT, &json!({})).await.map(drop)
    }

    async fn nodes(&mut self, nodes: &[NodeRecord], generation: i64) -> Result<(), LiveError> {
        let row = |node: &NodeRecord| {
            let own = [("id", json!(node.id)), ("kind", json!(node.kind)), (GENERATION, json!(generation))];
            json!({"id": node.id, "properties": properties(own, &node.properties)})
        };
        let text = |kind: &str| {
            format!("UNWIND $rows AS row MERGE (n:{EVERY_NODE} {{id: row.id}}) SET n = row.properties {}", set_label(kind))
        };
        self.write(by_kind(nodes, |node| &node.kind, row, text)).await
    }

    async fn edges(&mut self, edges: &[EdgeRecord], generation: i64) -> Result<(), LiveError> {
        let row = |edge: &EdgeRecord| {
            let own = [("key", json!(edge.key)), (GENERATION, json!(generation))];
            json!({"from": edge.from, "to": edge.to, "key": edge.key, "properties": properties(own, &edge.properties)})
        };
        let text = |kind: &str| {
            format!(
                "UNWIND $rows AS row MATCH (a:{EVERY_NODE} {{id: row.from}}) MATCH (b:{EVERY_NODE} {{id: row.to}}) \
                 MERGE (a)-[e:{} {{key: row.key}}]->(b) SET e = row.properties",
                relationship(kind)
            )
        };
        self.write(by_kind(edges, |edge| &edge.kind, row, text)).await
    }

    async fn count(&mut self, generation: i64) -> Result<Progress, LiveError> {
        let nodes = format!("MATCH (n:{EVERY_NODE}) WHERE n.{GENERATION} = $generation RETURN count(n)");
        let edges = format!("MATCH (:{EVERY_NODE})-[e]->() WHERE e.{GENERATION} = $generation RETURN count(e)");
        Ok(Progress { nodes: self.number(&nodes, generation).await?, edges: self.number(&edges, generation).await? })
    }

    async fn sweep(&mut self, generation: i64) -> Result<u64, LiveError> {
        let mut removed = 0;
        // Whatever else there is at a node that has vanished goes with it: an edge cannot be without its ends.
        for (what, delete) in [(format!("(:{EVERY_NODE})-[x]->()"), "DELETE"), (format!("(x:{EVERY_NODE})"), "DETACH DELETE")] {
            let old = format!("MATCH {what} WHERE x.{GENERATION} <> $generation");
            removed += self.number(&format!("{old} RETURN count(x)"), generation).await?;
            let text = format!("{old} CALL {{ WITH x {delete} x }} IN TRANSACTIONS OF {ROWS} ROWS");
            self.connection.run(&text, &json!({"generation": generation})).await?;
        }
        Ok(removed)
    }
}

/// A statement for each kind there is, in the order in which they come first.
fn by_kind<T>(
    records: &[T],
    kind: impl Fn(&T) -> &str,
    row: impl Fn(&T) -> Value,
    text: impl Fn(&str) -> String,
) -> Vec<(String, Vec<Value>)> {
    let mut kinds: Vec<(&str, Vec<Value>)> = Vec::new();
    for record in records {
        let row = row(record);
        match kinds.iter_mut().find(|(known, _)| *known == kind(record)) {
            Some((_, rows)) => rows.push(row),
            None => kinds.push((kind(record), vec![row])),
        }
    }
    kinds.into_iter().map(|(kind, rows)| (text(kind), rows)).collect()
}

fn properties<const N: usize>(own: [(&str, Value); N], more: &Properties) -> Value {
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    own.chain(more.iter().map(|(name, value)| (name.to_string(), json!(value)))).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_statement_with_its_rows() {
        let node = |id: &str, kind: &'static str| NodeRecord { id: id.to_owned(), kind: kind.into(), properties: Vec::new() };
        let nodes = [node("a", "tag"), node("b", "layer"), node("c", "tag")];
        let statements = by_kind(&nodes, |node| &node.kind, |node| json!(node.id), str::to_owned);
        assert_eq!(statements, [("tag".to_owned(), vec![json!("a"), json!("c")]), ("layer".to_owned(), vec![json!("b")])]);
    }
}
