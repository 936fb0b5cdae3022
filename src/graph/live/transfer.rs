//! From records to a target.

use std::{io, time::SystemTime};

use tokio::sync::mpsc::Receiver;

use super::{
    BATCH, LiveError, Memory, Target,
    memory::{Cut, Sent},
};
use crate::graph::{EdgeRecord, NodeRecord, Record};

/// How far an export is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Nodes that the target has.
    pub nodes: u64,
    /// Edges that the target has.
    pub edges: u64,
}

/// What an export did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Nodes and edges that the target has of it.
    pub there: Progress,
    /// Nodes and edges that it had already, from an export that was cut.
    pub kept: u64,
    /// Nodes and edges of earlier exports that were removed.
    pub removed: u64,
}

/// Brings the graph into `target`. `open` begins to read it: once, or twice when an export that was cut cannot go on. `told`
/// is called after each batch.
///
/// # Errors
/// [`LiveError`]; called again with the same memory, it goes on.
pub async fn export<T: Target>(
    target: &mut T,
    memory: &Memory,
    mut open: impl FnMut() -> Receiver<io::Result<Vec<Record>>>,
    mut told: impl FnMut(Progress),
) -> Result<Outcome, LiveError> {
    target.prepare().await?;
    if let Some(cut) = memory.cut
        && has_all_of(target, &cut).await?
        && let Some(outcome) = Transfer::new(target, memory, cut).run(open(), &mut told).await?
    {
        return Ok(outcome);
    }
    let nothing = Cut { generation: new_generation(memory.cut), nodes: Sent::default(), edges: Sent::default() };
    let outcome = Transfer::new(target, memory, nothing).run(open(), &mut told).await?;
    // Only what goes on can find that it cannot.
    Ok(outcome.unwrap_or_default())
}

/// Whether the target has what it has acknowledged: it may have been emptied since.
async fn has_all_of<T: Target>(target: &mut T, cut: &Cut) -> Result<bool, LiveError> {
    let Progress { nodes, edges } = target.count(cut.generation).await?;
    Ok(nodes >= cut.nodes.count && edges >= cut.edges.count)
}

/// The time in milliseconds, and in any case more than before.
fn new_generation(before: Option<Cut>) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_millis() as i64);
    before.map_or(now, |cut| now.max(cut.generation + 1))
}

struct Transfer<'a, T> {
    target: &'a mut T,
    memory: &'a Memory,
    /// What the target has acknowledged before.
    cut: Cut,
    /// What has come so far.
    come: Cut,
    nodes: Vec<NodeRecord>,
    edges: Vec<EdgeRecord>,
}

/// How a record stands to those that an earlier export has sent.
enum Standing {
    /// It was among them.
    Before,
    /// It comes after them.
    After,
    /// They were others.
    Elsewhere,
}

impl<'a, T: Target> Transfer<'a, T> {
    fn new(target: &'a mut T, memory: &'a Memory, cut: Cut) -> Self {
        let come = Cut { nodes: Sent::default(), edges: Sent::default(), ..cut };
        Self { target, memory, cut, come, nodes: Vec::new(), edges: Vec::new() }
    }

    /// `None` when the records are not those of the export that was cut.
    async fn run(
        &mut self,
        mut records: Receiver<io::Result<Vec<Record>>>,
        told: &mut impl FnMut(Progress),
    ) -> Result<Option<Outcome>, LiveError> {
        while let Some(chunk) = records.recv().await {
            for record in chunk.map_err(LiveError::Records)? {
                let fits = match record {
                    Record::Node(node) => self.take_node(node),
                    Record::Edge(edge) => {
                        // Edges need their nodes.
                        self.send_nodes().await?;
                        self.come.nodes.count >= self.cut.nodes.count && self.take_edge(edge)
                    }
                };
                if !fits {
                    return Ok(None);
                }
                if self.nodes.len() >= BATCH || self.edges.len() >= BATCH {
                    self.send().await?;
                    told(self.there());
                }
            }
        }
        if self.come.nodes.count < self.cut.nodes.count || self.come.edges.count < self.cut.edges.count {
            return Ok(None);
        }
        self.send().await?;
        told(self.there());
        let removed = self.target.sweep(self.cut.generation).await?;
        self.memory.forget();
        Ok(Some(Outcome { there: self.there(), kept: self.cut.nodes.count + self.cut.edges.count, removed }))
    }

    fn take_node(&mut self, node: NodeRecord) -> bool {
        self.come.nodes.add_node(&node);
        match standing(self.come.nodes, self.cut.nodes) {
            Standing::Before => {}
            Standing::After => self.nodes.push(node),
            Standing::Elsewhere => return false,
        }
        true
    }

    fn take_edge(&mut self, edge: EdgeRecord) -> bool {
        self.come.edges.add_edge(&edge);
        match standing(self.come.edges, self.cut.edges) {
            Standing::Before => {}
            Standing::After => self.edges.push(edge),
            Standing::Elsewhere => return false,
        }
        true
    }

    async fn send(&mut self) -> Result<(), LiveError> {
        self.send_nodes().await?;
        if !self.edges.is_empty() {
            self.target.edges(&self.edges, self.cut.generation).await?;
            self.edges.clear();
            self.memory.keep(&self.acknowledged())?;
        }
        Ok(())
    }

    async fn send_nodes(&mut self) -> Result<(), LiveError> {
        if !self.nodes.is_empty() {
            self.target.nodes(&self.nodes, self.cut.generation).await?;
            self.nodes.clear();
            self.memory.keep(&self.acknowledged())?;
        }
        Ok(())
    }

    /// What the target has, once nothing waits to be sent.
    fn acknowledged(&self) -> Cut {
        let further = |come: Sent, cut: Sent| if come.count > cut.count { come } else { cut };
        let nodes = further(self.come.nodes, self.cut.nodes);
        Cut { nodes, edges: further(self.come.edges, self.cut.edges), ..self.cut }
    }

    fn there(&self) -> Progress {
        Progress { nodes: self.come.nodes.count, edges: self.come.edges.count }
    }
}

const fn standing(come: Sent, cut: Sent) -> Standing {
    if come.count > cut.count {
        Standing::After
    } else if come.count == cut.count && !come.is(cut) {
        Standing::Elsewhere
    } else {
        Standing::Before
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        path::Path,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// A database in memory, which fails after a number of batches.
    #[derive(Debug, Default, Clone)]
    struct Held {
        nodes: Arc<Mutex<BTreeMap<String, i64>>>,
        edges: Arc<Mutex<BTreeMap<String, i64>>>,
        batches_left: Option<usize>,
        /// Nodes that were sent.
        sent: usize,
    }

    impl Held {
        fn batch(&mut self) -> Result<(), LiveError> {
            match &mut self.batches_left {
                Some(0) => return Err(LiveError::Broken("cut".to_owned())),
                Some(left) => *left -= 1,
                None => {}
            }
            Ok(())
        }

        fn names(&self) -> (Vec<String>, Vec<String>) {
            (self.nodes.lock().unwrap().keys().cloned().collect(), self.edges.lock().unwrap().keys().cloned().collect())
        }
    }

    impl Target for Held {
        async fn prepare(&mut self) -> Result<(), LiveError> {
            Ok(())
        }

        async fn nodes(&mut self, nodes: &[NodeRecord], generation: i64) -> Result<(), LiveError> {
            self.batch()?;
            self.sent += nodes.len();
            self.nodes.lock().unwrap().extend(nodes.iter().map(|node| (node.id.clone(), generation)));
            Ok(())
        }

        async fn edges(&mut self, edges: &[EdgeRecord], generation: i64) -> Result<(), LiveError> {
            self.batch()?;
            let nodes = self.nodes.lock().unwrap();
            assert!(edges.iter().all(|edge| nodes.contains_key(&edge.from) && nodes.contains_key(&edge.to)));
            self.edges.lock().unwrap().extend(edges.iter().map(|edge| (edge.id(), generation)));
            Ok(())
        }

        async fn count(&mut self, generation: i64) -> Result<Progress, LiveError> {
            let of = |held: &Mutex<BTreeMap<String, i64>>| {
                held.lock().unwrap().values().filter(|brought| **brought == generation).count() as u64
            };
            Ok(Progress { nodes: of(&self.nodes), edges: of(&self.edges) })
        }

        async fn sweep(&mut self, generation: i64) -> Result<u64, LiveError> {
            let mut removed = 0;
            for held in [&self.nodes, &self.edges] {
                let mut held = held.lock().unwrap();
                let before = held.len();
                held.retain(|_, brought| *brought == generation);
                removed += before - held.len();
            }
            Ok(removed as u64)
        }
    }

    /// A chain of `count` nodes without the one that is `missing`.
    fn chain(count: usize, missing: Option<usize>) -> Vec<Record> {
        let ids: Vec<_> = (0..count).filter(|at| Some(*at) != missing).map(|at| format!("n{at:06}")).collect();
        let node = |id: &String| Record::Node(NodeRecord { id: id.clone(), kind: "layer".into(), properties: Vec::new() });
        let edges = ids.windows(2).map(|ends| {
            let (from, to) = (ends[0].clone(), ends[1].clone());
            Record::Edge(EdgeRecord { from, to, kind: "refers".into(), key: 0, properties: Vec::new() })
        });
        ids.iter().map(node).chain(edges).collect()
    }

    async fn run(target: &mut Held, folder: &Path, records: &[Record]) -> Result<Outcome, LiveError> {
        let open = || {
            let (sender, receiver) = tokio::sync::mpsc::channel(1_000);
            records.chunks(300).for_each(|chunk| sender.try_send(Ok(chunk.to_vec())).unwrap());
            receiver
        };
        export(target, &Memory::read(folder, "x"), open, |_| {}).await
    }

    fn names(records: &[Record]) -> (Vec<String>, Vec<String>) {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for record in records {
            match record {
                Record::Node(node) => nodes.push(node.id.clone()),
                Record::Edge(edge) => edges.push(edge.id()),
            }
        }
        edges.sort();
        (nodes, edges)
    }

    #[tokio::test]
    async fn wherever_it_is_cut_it_goes_on_and_nothing_is_sent_twice() {
        let records = chain(3_500, None);
        for batches in 0..8 {
            let folder = tempfile::tempdir().unwrap();
            let mut target = Held { batches_left: Some(batches), ..Held::default() };
            assert!(matches!(run(&mut target, folder.path(), &records).await, Err(LiveError::Broken(_))));
            target.batches_left = None;
            let outcome = run(&mut target, folder.path(), &records).await.unwrap();
            assert_eq!(target.names(), names(&records), "cut after {batches} batches");
            assert_eq!(target.sent, 3_500);
            assert_eq!((outcome.there, outcome.removed), (Progress { nodes: 3_500, edges: 3_499 }, 0));
            assert_eq!(outcome.kept > 0, batches > 0);
        }
    }

    #[tokio::test]
    async fn a_graph_that_has_changed_meanwhile_ends_as_it_is_now() {
        for (batches, missing, count) in [(2, 100, 3_500), (6, 100, 3_500), (6, 3_400, 3_500), (7, 1_500, 3_500), (3, 0, 900)] {
            let folder = tempfile::tempdir().unwrap();
            let mut target = Held { batches_left: Some(batches), ..Held::default() };
            run(&mut target, folder.path(), &chain(3_500, None)).await.unwrap_err();
            target.batches_left = None;
            let now = chain(count, Some(missing));
            run(&mut target, folder.path(), &now).await.unwrap();
            assert_eq!(target.names(), names(&now), "{batches} {missing}");
        }
    }

    #[tokio::test]
    async fn what_has_vanished_is_removed_and_a_database_that_was_emptied_is_filled() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = Held::default();
        run(&mut target, folder.path(), &chain(10, None)).await.unwrap();
        let fewer = chain(10, Some(4));
        // A generation is a time in milliseconds.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        assert_eq!(run(&mut target, folder.path(), &fewer).await.unwrap().removed, 3);
        assert_eq!(target.names(), names(&fewer));

        let records = chain(3_500, None);
        let mut target = Held { batches_left: Some(3), ..Held::default() };
        run(&mut target, folder.path(), &records).await.unwrap_err();
        let mut emptied = Held::default();
        run(&mut emptied, folder.path(), &records).await.unwrap();
        assert_eq!(emptied.names(), names(&records));
    }
}
