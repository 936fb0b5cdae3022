//! The graph in memory as records.

use std::{
    borrow::Cow,
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use petgraph::{
    graph::EdgeIndex,
    stable_graph::NodeIndex,
    visit::{EdgeRef, NodeIndexable},
};

use crate::graph::{Content, Edge, EdgeRecord, Node, NodeRecord, Properties, Record, Role, Seconds, State, Value, Viewer};

/// Nodes that are looked at under one lock.
const NODES: usize = 512;

/// Edges that are told under one lock, unless one node has more.
const EDGES: usize = 512;

/// A walk over the whole graph: all nodes, then all edges, a chunk at a time.
///
/// The graph may change between chunks, so that the walk is no picture of one moment. Every edge joins nodes that were told,
/// and no node is told twice; what comes while it is under way may be missing. In its order nothing depends on hashing: two
/// walks over a graph that stays as it is are equal.
#[derive(Debug)]
pub struct Walk {
    viewer: Viewer,
    now: Seconds,
    phase: Phase,
    /// Fingerprints of the nodes that were told.
    told: HashSet<u64>,
}

#[derive(Debug)]
enum Phase {
    /// The nodes from this index on.
    Nodes(usize),
    /// The edges that leave the nodes from this index on; of the one before it, those that are left.
    Edges(usize, Vec<EdgeIndex>),
}

impl Walk {
    /// Begins a walk. Rates are told as of `now`.
    pub fn new(viewer: Viewer, now: Seconds) -> Self {
        Self { viewer, now, phase: Phase::Nodes(0), told: HashSet::new() }
    }

    /// The next records, perhaps none; `None` at the end. Takes well under a millisecond.
    pub fn next(&mut self, state: &State) -> Option<Vec<Record>> {
        match &mut self.phase {
            Phase::Nodes(from) => {
                let (first, bound) = (*from, state.graph.node_bound());
                let last = bound.min(first + NODES);
                *from = last;
                if last == bound {
                    self.phase = Phase::Edges(0, Vec::new());
                }
                let nodes = (first..last).map(NodeIndex::new);
                Some(nodes.filter_map(|node| self.node(state, node)).map(Record::Node).collect())
            }
            Phase::Edges(from, left) => {
                let bound = state.graph.node_bound();
                if *from >= bound && left.is_empty() {
                    return None;
                }
                let (mut at, mut edges) = (*from, std::mem::take(left));
                while edges.len() < EDGES && at < bound {
                    let outgoing = state.graph.edges(NodeIndex::new(at)).filter(|edge| self.viewer.sees_edge(state, *edge));
                    let first = edges.len();
                    edges.extend(outgoing.map(|edge| edge.id()));
                    // The newest edge comes first, and the lowest layer shall.
                    edges[first..].reverse();
                    at += 1;
                }
                let rest = edges.split_off(edges.len().min(EDGES));
                self.phase = Phase::Edges(at, rest);
                Some(edges.into_iter().filter_map(|edge| self.edge(state, edge)).map(Record::Edge).collect())
            }
        }
    }

    fn node(&mut self, state: &State, index: NodeIndex) -> Option<NodeRecord> {
        let node = state.node(index).filter(|_| self.viewer.sees(state, index))?;
        if !self.told.insert(fingerprint(state, node)) {
            return None;
        }
        let id = id(state, node);
        let (kind, properties) = match node {
            Node::Content(content) => (kind_of(self.viewer.role(state, index)?), self.content(state, index, content)),
            Node::Repository(repository) => (
                "repository",
                properties([
                    ("route", text(&*repository.route)),
                    ("name", text(repository.name.as_str())),
                    ("private", Some(Value::Bool(repository.private))),
                ]),
            ),
            Node::Tag(tag) => {
                let repository = state.node(tag.repository).map(|repository| name(state, repository)).unwrap_or_default();
                ("tag", properties([("repository", text(repository)), ("tag", text(tag.tag.as_str()))]))
            }
            Node::Audience(audience) => {
                let customer = audience.customer.as_deref().unwrap_or_default();
                ("audience", properties([("region", text(state.names.text(audience.region))), ("customer", text(customer))]))
            }
        };
        Some(NodeRecord { id, kind: Cow::Borrowed(kind), properties })
    }

    fn content(&self, state: &State, index: NodeIndex, content: &Content) -> Properties {
        let mut told = properties([("size", integer(content.size)), ("media_type", text(state.names.text(content.media_type)))]);
        // Times and requests may be those of a private repository.
        if self.viewer == Viewer::Operator {
            told.extend(properties([
                ("first_seen", integer(content.first_seen.into())),
                ("created", integer(content.created.into())),
            ]));
            let rates = state.rates.values().filter_map(|rates| rates.get(&index));
            let (last, counts) = rates.fold((0, [0.0_f32; 3]), |(last, counts), rates| {
                let more = rates.at(self.now);
                (rates.last().max(last), std::array::from_fn(|i| counts[i] + more[i]))
            });
            if last > 0 {
                let [hour, day, week] = counts.map(number);
                told.extend(properties([
                    ("last_request", integer(last.into())),
                    ("requests_hour", hour),
                    ("requests_day", day),
                    ("requests_week", week),
                ]));
            }
        }
        told
    }

    fn edge(&self, state: &State, index: EdgeIndex) -> Option<EdgeRecord> {
        let (from, to) = state.graph.edge_endpoints(index)?;
        let (from, to) = (state.node(from)?, state.node(to)?);
        if ![from, to].iter().all(|node| self.told.contains(&fingerprint(state, node))) {
            return None;
        }
        let (kind, key, properties) = describe(state, state.graph.edge_weight(index)?);
        Some(EdgeRecord { from: id(state, from), to: id(state, to), kind: Cow::Borrowed(kind), key, properties })
    }
}

impl State {
    /// How many nodes and edges there are.
    pub fn records(&self) -> u64 {
        (self.graph.node_count() + self.graph.edge_count()) as u64
    }
}

/// Kind, key and properties of an edge.
fn describe(state: &State, edge: &Edge) -> (&'static str, u64, Properties) {
    let no_others = 0;
    match *edge {
        Edge::Contains { position } => {
            ("contains", position.into(), properties([("position", Some(Value::Integer(position.into())))]))
        }
        Edge::Configured => ("configured", no_others, Vec::new()),
        Edge::Child { position, platform } => {
            let platform = text(state.names.text(platform));
            let position_told = Some(Value::Integer(position.into()));
            ("child", position.into(), properties([("position", position_told), ("platform", platform)]))
        }
        Edge::Has => ("has", no_others, Vec::new()),
        Edge::Holds => ("holds", no_others, Vec::new()),
        Edge::Names { since, until: 0 } => ("names", since.into(), properties([("since", integer(since.into()))])),
        Edge::Names { since, until } => {
            let times = [("since", integer(since.into())), ("until", integer(until.into()))];
            ("named", since.into(), properties(times))
        }
        Edge::Succeeded { at } => ("succeeded", no_others, properties([("at", integer(at.into()))])),
        Edge::NextVersion => ("next_version", no_others, Vec::new()),
        Edge::BasedOn { shared, declared } => {
            let told = [("shared", Some(Value::Integer(shared.into()))), ("declared", Some(Value::Bool(declared)))];
            ("based_on", declared.into(), properties(told))
        }
        Edge::CoPulled { weight, at } => {
            ("co_pulled", no_others, properties([("weight", number(weight)), ("at", integer(at.into()))]))
        }
        Edge::Refers => ("refers", no_others, Vec::new()),
        Edge::Wants { weight, at } => ("wants", no_others, properties([("weight", number(weight)), ("at", integer(at.into()))])),
    }
}

/// What tells a node from all others, see [`NodeRecord::id`].
fn id(state: &State, node: &Node) -> String {
    match node {
        Node::Content(content) => content.digest().to_string(),
        Node::Repository(_) => format!("repository:{}", name(state, node)),
        Node::Tag(_) => format!("tag:{}", name(state, node)),
        Node::Audience(_) => format!("audience:{}", name(state, node)),
    }
}

/// `ROUTE/NAME`, `ROUTE/NAME:TAG` or `REGION/CUSTOMER`; a content's digest.
fn name(state: &State, node: &Node) -> String {
    match node {
        Node::Content(content) => content.digest().to_string(),
        Node::Repository(repository) => format!("{}/{}", repository.route, repository.name),
        Node::Tag(tag) => {
            let repository = state.node(tag.repository).map(|repository| name(state, repository)).unwrap_or_default();
            format!("{repository}:{}", tag.tag)
        }
        Node::Audience(audience) => {
            format!("{}/{}", state.names.text(audience.region), audience.customer.as_deref().unwrap_or_default())
        }
    }
}

/// What stands for a node among those that were told, without its text.
fn fingerprint(state: &State, node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(node).hash(&mut hasher);
    match node {
        Node::Content(content) => content.digest.hash(&mut hasher),
        Node::Repository(repository) => (&repository.route, &repository.name).hash(&mut hasher),
        Node::Tag(tag) => (state.node(tag.repository).map(|node| fingerprint(state, node)), &tag.tag).hash(&mut hasher),
        Node::Audience(audience) => (&audience.customer, audience.region).hash(&mut hasher),
    }
    hasher.finish()
}

const fn kind_of(role: Role) -> &'static str {
    match role {
        Role::Unknown => "unknown",
        Role::Blob => "blob",
        Role::Config => "config",
        Role::Layer => "layer",
        Role::Manifest => "manifest",
        Role::Index => "index",
    }
}

/// Those that are known.
fn properties<const N: usize>(all: [(&'static str, Option<Value>); N]) -> Properties {
    all.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?))).collect()
}

/// 0 stands for unknown.
fn integer(number: u64) -> Option<Value> {
    i64::try_from(number).ok().filter(|number| *number > 0).map(Value::Integer)
}

/// What is no number (it cannot be written as JSON) is left out.
fn number(number: f32) -> Option<Value> {
    number.is_finite().then(|| Value::Number(number.into()))
}

fn text(text: impl Into<String>) -> Option<Value> {
    Some(text.into()).filter(|text: &String| !text.is_empty()).map(Value::Text)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::{
        events::{Child, Event, ManifestSeen, What},
        graph::{
            apply::tests::{digest, image, layer, repository, request},
            export::properties::{Type, edge_properties, node_properties},
        },
    };

    fn told(state: &mut State, at: u64, what: What) {
        state.apply(&Event { at: at * 1_000, what });
    }

    fn moved(state: &mut State, at: u64, tag: &str, to: Option<&str>) {
        let (repository, tag) = (repository("library/x"), tag.parse().unwrap());
        told(state, at, What::TagMoved { repository, tag, digest: to.map(digest) });
    }

    /// Something of each kind of node but `blob`, and of each kind of edge.
    fn state() -> State {
        let mut state = State::default();
        let referrer = ManifestSeen { subject: Some(digest("a/b")), ..image("library/x", "s") };
        for seen in [image("library/x", "a/b"), image("library/x", "a/b/c"), image("library/y", "d"), referrer] {
            told(&mut state, 1, What::ManifestSeen(Arc::new(seen)));
        }
        let child = Child { manifest: layer("a/b"), platform: Some("linux/arm64".to_owned()) };
        let index = ManifestSeen {
            manifest: layer("i"),
            manifests: Some(vec![child]),
            config: None,
            layers: vec![],
            ..image("library/x", "i")
        };
        told(&mut state, 1, What::ManifestSeen(Arc::new(index)));
        moved(&mut state, 2, "1.1", Some("a/b"));
        moved(&mut state, 3, "1.1", Some("a/b/c"));
        moved(&mut state, 4, "1.2", Some("i"));
        for (at, repository) in [(5, "library/x"), (6, "library/y")] {
            let content = if at == 5 { "a/b/c" } else { "d" };
            let what = request(crate::events::Kind::Manifest, 1, repository, Some("1.1"), Some(content));
            told(&mut state, at, what);
            told(
                &mut state,
                at,
                request(crate::events::Kind::Blob, 1, repository, None, Some(content.split('/').next().unwrap())),
            );
        }
        state
    }

    fn walk(state: &State) -> Vec<Record> {
        let mut walk = Walk::new(Viewer::Operator, 100);
        std::iter::from_fn(|| walk.next(state)).flatten().collect()
    }

    #[test]
    fn every_node_and_edge_is_told_once_with_what_its_kind_can_have() {
        let state = state();
        let records = walk(&state);
        let (mut nodes, mut edges) = (BTreeMap::new(), BTreeMap::new());
        for record in &records {
            let (before, all, told) = match record {
                Record::Node(node) => (nodes.insert(&node.id, &*node.kind), node_properties(&node.kind), &node.properties),
                Record::Edge(edge) => {
                    assert!(nodes.contains_key(&edge.from) && nodes.contains_key(&edge.to), "{edge:?}");
                    assert!(edges.insert(edge.id(), &*edge.kind).is_none(), "{edge:?} came twice");
                    (None, edge_properties(&edge.kind), &edge.properties)
                }
            };
            assert_eq!(before, None, "{record:?} came twice");
            for (name, value) in told {
                let values = match value {
                    Value::Bool(_) => Type::Bool,
                    Value::Integer(_) => Type::Integer,
                    Value::Number(_) => Type::Number,
                    Value::Text(_) => Type::Text,
                };
                assert!(all.iter().any(|property| property.name == name && property.values == values), "{name}: {record:?}");
            }
        }
        assert_eq!((nodes.len(), edges.len()), (state.graph.node_count(), state.graph.edge_count()));
        let kinds: std::collections::BTreeSet<_> = edges.values().copied().collect();
        assert_eq!(kinds.len(), super::super::EDGE_KINDS.len(), "{kinds:?}");
    }

    #[test]
    fn what_is_told_says_what_it_is() {
        let records = walk(&state());
        let find = |from: &str, kind: &str| {
            records.iter().find_map(|record| match record {
                Record::Edge(edge) if edge.from == from && edge.kind == kind => Some(edge.clone()),
                _ => None,
            })
        };
        let named = find("tag:docker.io/library/x:1.1", "named").unwrap();
        assert_eq!((named.to, named.key), (digest("a/b").to_string(), 2));
        assert_eq!(named.properties, [("since".into(), Value::Integer(2)), ("until".into(), Value::Integer(3))]);
        let child = find(&digest("i").to_string(), "child").unwrap();
        assert_eq!(
            child.properties,
            [("position".into(), Value::Integer(0)), ("platform".into(), Value::Text("linux/arm64".to_owned()))]
        );
        let lowest = find(&digest("a/b/c").to_string(), "contains").unwrap();
        assert_eq!((lowest.to, lowest.key), (digest("a").to_string(), 0));
        assert!(find("audience:dal/acme", "wants").is_some() && find("repository:docker.io/library/x", "co_pulled").is_some());
    }

    #[test]
    fn a_graph_that_changes_while_it_is_told_has_no_edge_without_its_ends() {
        let mut state = State::default();
        let images = |state: &mut State, range: std::ops::Range<u32>| {
            for n in range {
                told(state, 1, What::ManifestSeen(Arc::new(image("library/x", &format!("base/{n}")))));
            }
        };
        images(&mut state, 0..1_000);
        let mut walk = Walk::new(Viewer::Operator, 0);
        let (mut nodes, mut edges, mut chunks) = (HashSet::new(), 0, 0);
        while let Some(records) = walk.next(&state) {
            chunks += 1;
            for record in records {
                match record {
                    Record::Node(node) => assert!(nodes.insert(node.id.clone()), "{node:?} came twice"),
                    Record::Edge(edge) => {
                        assert!(nodes.contains(&edge.from) && nodes.contains(&edge.to), "{edge:?}");
                        edges += 1;
                    }
                }
            }
            if chunks < 12 {
                images(&mut state, 1_000 + chunks * 20..1_020 + chunks * 20);
                let repository = repository("library/x");
                told(&mut state, 2, What::ManifestDeleted { repository, digest: digest(&format!("base/{}", chunks * 30)) });
            }
        }
        assert!(edges > 2_000 && chunks > 10, "{edges} edges in {chunks} chunks");
    }
}
