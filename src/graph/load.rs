//! The graph comes back from its database: one thread reads rows, one puts them together.

use std::{
    hash::BuildHasher,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use hashbrown::{DefaultHashBuilder, HashTable};
use petgraph::{Direction, stable_graph::NodeIndex};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::{
    bases::{Chains, Link},
    codec::{Damaged, Decoded, decode_lone},
    error::GraphError,
    model::{Content, Fingerprint, Node, Role, State},
    names::Interned,
    store::{EDGE_COUNT, EDGES, META, NAMES, NODES, SEQUENCE},
};

/// Rows that are handed over together.
const BATCH: usize = 8192;

/// Batches that may wait.
const WAITING: usize = 4;

/// Indexes may be without a node after much was forgotten: so many times as there are nodes, and so many besides.
const GAPS: (u64, u64) = (64, 1 << 20);

/// How far loading is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    rows: AtomicU64,
    all: AtomicU64,
}

impl Progress {
    /// From 0 to 1.
    pub(super) fn share(&self) -> f64 {
        let all = self.all.load(Ordering::Relaxed);
        if all == 0 { 0.0 } else { self.rows.load(Ordering::Relaxed) as f64 / all as f64 }
    }
}

/// What is found by what it is, put together beside the graph itself.
struct Found {
    contents: HashTable<NodeIndex>,
    chains: Vec<Link>,
}

/// Reads the whole graph. Nothing in the database is believed that does not fit together.
pub(super) fn load(database: &Database, progress: &Progress) -> Result<State, GraphError> {
    // The database checks less than it should: pages that are wrong may end in a panic.
    let loaded = catch_unwind(AssertUnwindSafe(|| read(database, progress)));
    loaded.unwrap_or_else(|_| Err(GraphError::Damaged("its pages make no sense".into())))
}

fn read(database: &Database, progress: &Progress) -> Result<State, GraphError> {
    let transaction = database.begin_read()?;
    let (nodes, edges) = (transaction.open_table(NODES)?.len()?, transaction.open_table(EDGES)?.len()?);
    progress.all.store(nodes + edges, Ordering::Relaxed);
    let last = transaction.open_table(NODES)?.last()?.map(|(key, _)| key.value());
    let slots = last.map_or(0, |last| u64::from(last) + 1);
    if slots > nodes.saturating_mul(GAPS.0).saturating_add(GAPS.1) {
        return Err(GraphError::Damaged(format!("it has {nodes} nodes up to number {slots}").into()));
    }
    let mut state = State::default();
    read_meta(&transaction, &mut state, nodes.saturating_add(edges))?;
    let hasher = state.hasher.clone();
    thread::scope(|scope| {
        let (batches, decoded) = sync_channel(WAITING);
        let reader = scope.spawn(move || read_rows(&transaction, nodes, hasher, &batches, progress));
        let built = build(&mut state, slots as usize, edges as usize, &decoded);
        // A reader that has nobody to read for ends.
        drop(decoded);
        let found = reader.join().unwrap_or_else(|_| Err(GraphError::Damaged("its pages make no sense".into())))?;
        built?;
        (state.contents, state.chains) = (found.contents, Chains::of(found.chains));
        state.find_versions();
        Ok(state)
    })
}

fn read_meta(transaction: &ReadTransaction, state: &mut State, rows: u64) -> Result<(), GraphError> {
    let meta = transaction.open_table(META)?;
    state.sequence = meta.get(SEQUENCE)?.map_or(0, |sequence| sequence.value());
    let edge_count = meta.get(EDGE_COUNT)?.map_or(0, |count| count.value());
    // No image has more layers than this on average.
    state.graph.reserve_exact_edges(edge_count.min(rows.saturating_mul(64)) as usize);
    for row in transaction.open_table(NAMES)?.iter()? {
        let (number, text) = row?;
        if state.names.intern(text.value()) != Interned(number.value()) {
            return Err(GraphError::Damaged(format!("the name {:?} is not in its place", text.value()).into()));
        }
    }
    Ok(())
}

fn read_rows(
    transaction: &ReadTransaction,
    nodes: u64,
    hasher: DefaultHashBuilder,
    batches: &SyncSender<Decoded>,
    progress: &Progress,
) -> Result<Found, GraphError> {
    let mut found = Found { contents: HashTable::with_capacity(nodes as usize), chains: Vec::new() };
    let mut batch = Decoded::default();
    let mut rows = 0;
    for row in transaction.open_table(NODES)?.iter()? {
        let (key, row) = row?;
        batch.read(key.value(), row.value())?;
        if let Some((index, Node::Content(content))) = batch.nodes.last() {
            // There is room for all: nothing has to be hashed again.
            found.contents.insert_unique(hasher.hash_one(content.digest.as_bytes()), NodeIndex::from(*index), |_| 0);
        }
        rows += 1;
        if rows == BATCH && !hand_over(&mut batch, &mut rows, batches, &mut found, progress) {
            return Ok(found);
        }
    }
    for row in transaction.open_table(EDGES)?.iter()? {
        let (key, row) = row?;
        let (from, to) = ((key.value() >> 32) as u32, key.value() as u32);
        let edge = decode_lone(row.value()).ok_or(Damaged(from))?;
        batch.edges.push((from, to, edge));
        rows += 1;
        if rows == BATCH && !hand_over(&mut batch, &mut rows, batches, &mut found, progress) {
            return Ok(found);
        }
    }
    hand_over(&mut batch, &mut rows, batches, &mut found, progress);
    Ok(found)
}

/// Hands over what has been read. False when nobody takes it.
fn hand_over(
    batch: &mut Decoded,
    rows: &mut usize,
    batches: &SyncSender<Decoded>,
    found: &mut Found,
    progress: &Progress,
) -> bool {
    found.chains.append(&mut batch.chains);
    progress.rows.fetch_add(std::mem::take(rows) as u64, Ordering::Relaxed);
    batches.send(std::mem::take(batch)).is_ok()
}

/// Puts nodes and edges where they were. Where there was none, there is none afterwards.
fn build(state: &mut State, slots: usize, lone_edges: usize, batches: &Receiver<Decoded>) -> Result<(), GraphError> {
    state.graph.reserve_exact_nodes(slots);
    for _ in 0..slots {
        state.graph.add_node(vacant());
    }
    state.by_ends.reserve(lone_edges, |_| 0);
    let mut is_filled = vec![false; slots];
    for batch in batches {
        for (index, node) in batch.nodes {
            let is_content = matches!(node, Node::Content(_));
            state.graph[NodeIndex::from(index)] = node;
            is_filled[index as usize] = true;
            if !is_content {
                state.make_found(NodeIndex::from(index));
            }
        }
        for (from, to, edge) in batch.edges {
            if from as usize >= slots || to as usize >= slots {
                return Err(Damaged(from).into());
            }
            state.link(NodeIndex::from(from), NodeIndex::from(to), edge);
        }
        for (node, region, rates) in batch.rates {
            state.rates.entry(region).or_default().insert(NodeIndex::from(node), rates);
        }
    }
    for index in (0..slots).filter(|&index| !is_filled[index]) {
        let index = NodeIndex::new(index);
        let mut directions = [Direction::Outgoing, Direction::Incoming].into_iter();
        if directions.any(|direction| state.graph.edges_directed(index, direction).next().is_some()) {
            return Err(Damaged(index.index() as u32).into());
        }
        state.graph.remove_node(index);
    }
    Ok(())
}

/// Stands where no node has come yet.
const fn vacant() -> Node {
    Node::Content(Content {
        digest: Fingerprint::Sha256([0; 32]),
        size: 0,
        first_seen: 0,
        created: 0,
        media_type: Interned::NONE,
        role: Role::Unknown,
    })
}

impl State {
    /// Finds versions in the tags that name something.
    fn find_versions(&mut self) {
        let tags: Vec<_> = self.tags.values().copied().filter(|&tag| self.named(tag).is_some()).collect();
        for tag in tags {
            if let Some(Node::Tag(node)) = self.graph.node_weight(tag) {
                self.versions.insert(node.repository, &node.tag, tag);
            }
        }
    }
}
