//! Gremlin Server and JanusGraph, spoken to over a WebSocket.
//!
//! What is done there is done by the scripts beside this file, in Groovy, with plain steps that every TinkerPop 3 has; values
//! are bindings, so that the server compiles each script once. A request is a transaction of its own.

mod address;
mod session;

use serde_json::{Value, json};

use self::session::Session;
use super::{GENERATION, LiveError, Login, Progress, Target};
use crate::graph::{
    EdgeRecord, NodeRecord, Properties,
    export::graphson::{EDGE_KEY, UID, int64, typed},
};

/// Bytes of rows in one request, about: servers are often told to take no more than 64 KiB.
const REQUEST: usize = 40 << 10;

/// Elements that are removed in one transaction.
const MOST: i64 = 5_000;

const PREPARE: &str = include_str!("gremlin/prepare.groovy");
const NODES: &str = include_str!("gremlin/nodes.groovy");
const EDGES: &str = include_str!("gremlin/edges.groovy");
const COUNT: &str = include_str!("gremlin/count.groovy");
const SWEEP: &str = include_str!("gremlin/sweep.groovy");

/// A running Gremlin Server, or a JanusGraph. A vertex has the property `uid`, by which it is found, and its kind as label; an
/// edge is told from others of its label between the same vertices by its `edge_key`.
#[derive(Debug)]
pub struct Gremlin {
    session: Session,
}

impl Gremlin {
    /// Connects to `ws://HOST[:PORT]/gremlin`.
    ///
    /// # Errors
    /// [`LiveError`]
    pub async fn connect(url: &str, login: Option<&Login>) -> Result<Self, LiveError> {
        let url = address::read(url)?;
        Ok(Self { session: Session::open(&url, login.cloned()).await? })
    }

    async fn numbers(&mut self, script: &str, bindings: &[(&str, Value)]) -> Result<Vec<i64>, LiveError> {
        let answer = self.session.eval(script, bindings).await?;
        let mut found = Vec::new();
        answer.iter().for_each(|value| numbers(value, &mut found));
        Ok(found)
    }
}

impl Target for Gremlin {
    async fn prepare(&mut self) -> Result<(), LiveError> {
        self.session.eval(PREPARE, &[]).await.map(drop)
    }

    async fn nodes(&mut self, nodes: &[NodeRecord], generation: i64) -> Result<(), LiveError> {
        let row = |node: &NodeRecord| {
            let set = set([(GENERATION, int64(generation))], &node.properties);
            map([(UID, json!(node.id)), ("label", json!(node.kind)), ("set", set)])
        };
        for rows in requests(nodes.iter().map(row)) {
            self.session.eval(NODES, &[("rows", list(rows))]).await?;
        }
        Ok(())
    }

    async fn edges(&mut self, edges: &[EdgeRecord], generation: i64) -> Result<(), LiveError> {
        // What leaves one vertex comes together: the edges that it has are looked at once.
        let together = edges.chunk_by(|one, other| one.from == other.from && one.kind == other.kind);
        let mut groups = Vec::new();
        for group in together {
            let row = |edge: &EdgeRecord| {
                let own = [(EDGE_KEY, int64(edge.key as i64)), (GENERATION, int64(generation))];
                map([("to", json!(edge.to)), ("set", set(own, &edge.properties))])
            };
            let (from, label) = (json!(group[0].from), json!(group[0].kind));
            for rows in requests(group.iter().map(row)) {
                groups.push(map([("from", from.clone()), ("label", label.clone()), ("rows", list(rows))]));
            }
        }
        for groups in requests(groups.into_iter()) {
            self.session.eval(EDGES, &[("groups", list(groups))]).await?;
        }
        Ok(())
    }

    async fn count(&mut self, generation: i64) -> Result<Progress, LiveError> {
        match *self.numbers(COUNT, &[("generation", int64(generation))]).await? {
            [nodes, edges] => Ok(Progress { nodes: nodes as u64, edges: edges as u64 }),
            _ => Ok(Progress::default()),
        }
    }

    async fn sweep(&mut self, generation: i64) -> Result<u64, LiveError> {
        let mut removed = 0;
        loop {
            let bindings = [("generation", int64(generation)), ("most", int64(MOST))];
            match self.numbers(SWEEP, &bindings).await?.first() {
                None | Some(0) => return Ok(removed),
                Some(some) => removed += *some as u64,
            }
        }
    }
}

/// Rows in as many requests as they need.
fn requests(rows: impl Iterator<Item = Value>) -> Vec<Vec<Value>> {
    let (mut requests, mut size) = (Vec::<Vec<Value>>::new(), usize::MAX);
    for row in rows {
        let length = row.to_string().len();
        if size.saturating_add(length) > REQUEST {
            requests.push(Vec::new());
            size = 0;
        }
        size += length;
        if let Some(request) = requests.last_mut() {
            request.push(row);
        }
    }
    requests
}

fn set<const N: usize>(own: [(&str, Value); N], more: &Properties) -> Value {
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    entries(own.chain(more.iter().map(|(name, value)| (name.to_string(), typed(value)))))
}

fn map<const N: usize>(all: [(&str, Value); N]) -> Value {
    entries(all.into_iter().map(|(name, value)| (name.to_owned(), value)))
}

fn entries(all: impl Iterator<Item = (String, Value)>) -> Value {
    json!({"@type": "g:Map", "@value": all.flat_map(|(name, value)| [name.into(), value]).collect::<Vec<Value>>()})
}

fn list(values: Vec<Value>) -> Value {
    json!({"@type": "g:List", "@value": values})
}

/// All numbers of an answer, in their order.
fn numbers(value: &Value, found: &mut Vec<i64>) {
    match value {
        Value::Number(number) => found.extend(number.as_i64()),
        Value::Array(values) => values.iter().for_each(|value| numbers(value, found)),
        Value::Object(map) => map.get("@value").into_iter().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sent_in_small_requests_and_a_large_one_alone() {
        let rows = [30, 30_000, 30_000, 100_000, 10].map(|length| json!("x".repeat(length)));
        let lengths = requests(rows.into_iter()).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths, [2, 1, 1, 1]);
        assert_eq!(requests(std::iter::empty()), Vec::<Vec<Value>>::new());
    }

    #[test]
    fn numbers_are_found_however_they_are_wrapped() {
        let mut found = Vec::new();
        let answer =
            json!({"@type": "g:List", "@value": [{"@type": "g:List", "@value": [int64(3), {"@type": "g:Int32", "@value": 4}]}]});
        numbers(&answer, &mut found);
        assert_eq!(found, [3, 4]);
    }
}
