use std::{fs, path::PathBuf, sync::Arc};

use tempfile::TempDir;

use super::*;
use crate::{
    events::{Bus, InProcess, What},
    graph::apply::tests::{digest, image, repository, request},
};

/// Makes a file that cannot be read.
type Spoil = fn(&PathBuf);

struct Fixture {
    folder: TempDir,
    bus: InProcess,
    catalog: Arc<Catalog>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.redb")).unwrap());
        Self { folder, bus: InProcess::default(), catalog }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("graph.redb")
    }

    fn open(&self) -> Graph {
        let events = self.bus.subscribe("graph", 1024);
        Graph::open(&self.file(), &config::Graph::default(), events, self.catalog.clone(), &Metrics::new()).unwrap()
    }
}

fn seen(at: u64, layers: &str) -> Event {
    Event { at: at * 1000, what: What::ManifestSeen(Arc::new(image("one", layers))) }
}

fn dump(graph: &Graph) -> Vec<String> {
    graph.read(State::dump).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_there_after_a_restart() {
    let fixture = Fixture::new();
    let graph = fixture.open();
    fixture.bus.publish(seen(1, "a/b"));
    fixture.bus.publish(Event { at: 2000, what: request(crate::events::Kind::Blob, 1, "one", None, Some("a")) });
    graph.flush().await.unwrap();
    graph.apply((3..2000).map(|n| seen(n, &format!("a/b/{n}"))).collect()).await.unwrap();
    let deleted = What::ManifestDeleted { repository: repository("one"), digest: digest("a/b/1000") };
    graph.apply(vec![Event { at: 2_000_000, what: deleted }]).await.unwrap();
    let known = dump(&graph);
    assert_eq!(graph.stats().sequence, 2000);
    graph.stop().await.unwrap();
    assert_eq!((dump(&graph), graph.stats().unwritten), (known.clone(), 0), "it can be read still");
    assert!(matches!(graph.apply(Vec::new()).await, Err(GraphError::Closed)));
    assert!(matches!(graph.flush().await, Err(GraphError::Closed)));

    let again = fixture.open();
    again.flush().await.unwrap();
    assert_eq!(dump(&again), known);
    fixture.bus.publish(seen(3000, "x"));
    drop(again);
    let at_rest = Graph::at_rest(&fixture.file()).unwrap();
    assert!(dump(&at_rest).len() >= known.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_use_or_missing_is_told_apart() {
    let fixture = Fixture::new();
    assert!(matches!(Graph::at_rest(&fixture.file()), Err(GraphError::Missing(_))));
    let graph = fixture.open();
    graph.flush().await.unwrap();
    assert!(matches!(Graph::at_rest(&fixture.file()), Err(GraphError::InUse)));
    graph.stop().await.unwrap();
    let at_rest = Graph::at_rest_or_new(&fixture.file()).unwrap();
    at_rest.apply(vec![seen(1, "a/b")]).await.unwrap();
    at_rest.flush().await.unwrap();
    let known = dump(&at_rest);
    // Whoever comes second waits for the first.
    let waiting = fixture.open();
    assert!(waiting.stats().loading.is_some());
    drop(at_rest);
    waiting.flush().await.unwrap();
    assert_eq!(dump(&waiting), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_waits_for_its_file_can_be_stopped() {
    let fixture = Fixture::new();
    let _first = Graph::at_rest_or_new(&fixture.file()).unwrap();
    let second = fixture.open();
    assert!(second.read(|_| ()).is_err());
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_set_aside() {
    let spoil: [(&str, Spoil); 3] = [
        ("no database", |file| fs::write(file, "something else ".repeat(9000)).unwrap()),
        ("a later format", |file| {
            let database = redb::Database::create(file).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(super::super::store::META).unwrap().insert("format", 2).unwrap();
            transaction.commit().unwrap();
        }),
        ("a row that makes no sense", |file| {
            drop(Store::open_or_create(file).unwrap());
            let database = redb::Database::create(file).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(super::super::store::NODES).unwrap().insert(0, &[9_u8][..]).unwrap();
            transaction.commit().unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        let fixture = Fixture::new();
        spoil(&fixture.file());
        let refused = Graph::at_rest(&fixture.file());
        assert!(matches!(refused, Err(GraphError::Damaged(_) | GraphError::Later(2))), "{what}: {refused:?}");
        let graph = fixture.open();
        graph.flush().await.unwrap();
        assert_eq!(dump(&graph), [""; 0], "{what}");
        assert!(fixture.folder.path().join("graph.aside.redb").exists(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_whose_file_has_gone_is_written_whole() {
    let fixture = Fixture::new();
    let graph = Graph::at_rest_or_new(&fixture.file()).unwrap();
    graph.apply(vec![seen(1, "a/b")]).await.unwrap();
    let mut store = {
        graph.stop().await.unwrap();
        Store::open(&fixture.file()).unwrap()
    };
    store.close();
    fs::remove_file(fixture.file()).unwrap();
    let shared = graph.shared.clone();
    shared.state.write().touched.take();
    let (commands, thread) = Writer::start(shared, Source::Open(store)).unwrap();
    let (done, applied) = oneshot::channel();
    commands.send(Command::Apply(vec![seen(2, "c")], Some(done))).unwrap();
    applied.await.unwrap();
    let flush = async || {
        let (done, flushed) = oneshot::channel();
        commands.send(Command::Flush(done)).unwrap();
        flushed.await.unwrap()
    };
    assert!(matches!(flush().await, Err(GraphError::Missing(_))));
    flush().await.unwrap();
    commands.send(Command::Stop).unwrap();
    thread.join().unwrap();
    assert_eq!(dump(&Graph::at_rest(&fixture.file()).unwrap()), dump(&graph));
}
