//! The database: one row a node, one an edge that has a row of its own, and what belongs to all.
//!
//! Each commit is one moment of the graph, complete in itself, with the number of the last event that is in it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use petgraph::stable_graph::NodeIndex;
use redb::{Database, ReadableDatabase, TableDefinition};

use super::{
    codec::encode_lone,
    error::GraphError,
    model::{Edge, Node, State},
    touched::Rows,
};
use crate::events::spare_room;

/// By the index of the node.
pub(super) const NODES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("nodes");
/// By the indexes of the nodes that the edge leaves and enters.
pub(super) const EDGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("edges");
/// By number.
pub(super) const NAMES: TableDefinition<'_, u16, &str> = TableDefinition::new("names");
/// [`FORMAT`], [`SEQUENCE`] and [`EDGE_COUNT`].
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

pub(super) const SEQUENCE: &str = "sequence";
/// How many edges there are: a hint.
pub(super) const EDGE_COUNT: &str = "edges";
const FORMAT: &str = "format";

/// What this version writes and reads.
const THIS_FORMAT: u64 = 1;

/// Bytes of the file that are kept in memory at most.
const CACHE: usize = 32 << 20;

/// A database that is opened again after the disk failed: redb refuses all work then.
#[derive(Debug)]
pub(super) struct Store {
    file: PathBuf,
    database: Option<Database>,
}

/// What has changed between two moments.
#[derive(Debug, Default)]
pub(super) struct Group {
    bytes: Vec<u8>,
    nodes: Vec<(u32, Option<Range<usize>>)>,
    edges: Vec<(u64, Option<Range<usize>>)>,
    names: Vec<(u16, Arc<str>)>,
    sequence: u64,
    edge_count: u64,
}

impl Store {
    /// Opens the database in `file`, which is made if it is not there.
    pub(super) fn open_or_create(file: &Path) -> Result<Self, GraphError> {
        Self::new(file.to_owned(), Database::builder().set_cache_size(CACHE).create(file)?)
    }

    /// A database that has been opened, or made.
    pub(super) fn new(file: PathBuf, database: Database) -> Result<Self, GraphError> {
        let is_new = database.begin_read()?.list_tables()?.next().is_none();
        if is_new {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            transaction.open_table(NODES)?;
            transaction.open_table(EDGES)?;
            transaction.open_table(NAMES)?;
            transaction.open_table(META)?.insert(FORMAT, THIS_FORMAT)?;
            transaction.commit()?;
        }
        Self::check(file, database)
    }

    /// Opens the database in `file`, which has to be there.
    pub(super) fn open(file: &Path) -> Result<Self, GraphError> {
        if !file.exists() {
            return Err(GraphError::Missing(file.parent().unwrap_or(file).to_owned()));
        }
        Self::check(file.to_owned(), Database::builder().set_cache_size(CACHE).open(file)?)
    }

    fn check(file: PathBuf, database: Database) -> Result<Self, GraphError> {
        match database.begin_read()?.open_table(META)?.get(FORMAT)?.map(|format| format.value()) {
            Some(THIS_FORMAT) => Ok(Self { file, database: Some(database) }),
            Some(other) => Err(GraphError::Later(other)),
            None => Err(GraphError::Damaged("it does not say in which format it is".into())),
        }
    }

    /// The open database.
    pub(super) fn database(&self) -> Result<&Database, GraphError> {
        self.database.as_ref().ok_or(GraphError::Closed)
    }

    /// Lets go of the file until the next commit.
    pub(super) fn close(&mut self) {
        self.database = None;
    }

    /// Makes a group durable, all of it or nothing.
    ///
    /// [`GraphError::Missing`] when the file has gone while it was closed: all rows have to be written into the new one.
    pub(super) fn commit(&mut self, group: &Group) -> Result<(), GraphError> {
        spare_room(self.file.parent().unwrap_or(Path::new("."))).map_err(redb::Error::Io)?;
        if self.database.is_none() {
            let reopened = Self::open(&self.file);
            if matches!(reopened, Err(GraphError::Missing(_))) {
                *self = Self::open_or_create(&self.file)?;
            }
            *self = reopened?;
        }
        let outcome = write(self.database()?, group);
        if outcome.is_err() {
            self.close();
        }
        outcome
    }
}

fn write(database: &Database, group: &Group) -> Result<(), GraphError> {
    let mut transaction = database.begin_write()?;
    // A crash then costs milliseconds at the next start, not a walk over all rows.
    transaction.set_quick_repair(true);
    {
        let mut nodes = transaction.open_table(NODES)?;
        for (key, row) in &group.nodes {
            match row.clone().and_then(|range| group.bytes.get(range)) {
                Some(row) => drop(nodes.insert(key, row)?),
                None => drop(nodes.remove(key)?),
            }
        }
        let mut edges = transaction.open_table(EDGES)?;
        for (key, row) in &group.edges {
            match row.clone().and_then(|range| group.bytes.get(range)) {
                Some(row) => drop(edges.insert(key, row)?),
                None => drop(edges.remove(key)?),
            }
        }
        let mut names = transaction.open_table(NAMES)?;
        for (number, text) in &group.names {
            names.insert(number, &**text)?;
        }
        let mut meta = transaction.open_table(META)?;
        meta.insert(SEQUENCE, group.sequence)?;
        meta.insert(EDGE_COUNT, group.edge_count)?;
    }
    transaction.commit()?;
    Ok(())
}

impl Group {
    /// The rows of `state` as they are now, and its names from the `names`th on.
    pub(super) fn of(state: &State, rows: &Rows, names: usize) -> Self {
        let mut group = Self { sequence: state.sequence, edge_count: state.graph.edge_count() as u64, ..Self::default() };
        let mut nodes: Vec<_> = rows.nodes.iter().copied().collect();
        nodes.sort_unstable();
        for node in nodes {
            let start = group.bytes.len();
            state.encode(node, &mut group.bytes);
            let row = state.node(node).map(|_| start..group.bytes.len());
            group.nodes.push((node.index() as u32, row));
        }
        let mut edges: Vec<_> = rows.edges.iter().copied().collect();
        edges.sort_unstable();
        for (from, to) in edges {
            let start = group.bytes.len();
            let row = state.lone_edge(from, to).map(|edge| {
                encode_lone(&edge, &mut group.bytes);
                start..group.bytes.len()
            });
            group.edges.push(((from.index() as u64) << 32 | to.index() as u64, row));
        }
        let new = state.names.iter().skip(names.max(1));
        group.names = new.map(|(number, text)| (number.0, text.into())).collect();
        group
    }
}

impl State {
    /// The edge with a row of its own between two nodes: what it is follows from where it begins.
    fn lone_edge(&self, from: NodeIndex, to: NodeIndex) -> Option<Edge> {
        let like = match self.node(from)? {
            Node::Repository(_) => Edge::Has,
            Node::Audience(_) => Edge::Wants { weight: 0.0, at: 0 },
            Node::Content(_) | Node::Tag(_) => return None,
        };
        self.graph.edge_weight(self.linked(from, to, like)?).copied()
    }
}
