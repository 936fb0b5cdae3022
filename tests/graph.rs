//! The graph survives `kill -9`: what is found afterwards is one moment of the past, whole, and nothing that was called durable
//! is missing.
//!
//! `GRAPH_KILLS=200 cargo test --test graph` kills so many times; a few times unless told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[path = "pull/small_disk.rs"]
mod small_disk;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use harbinger::{
    events::{Child, Event, Kind, Layer, ManifestSeen, Repository, Request, Source, What},
    graph::{Graph, State},
    oci::{Algorithm, Digest, MediaType},
};

/// Tells the process that is killed which graph it writes, and which history.
const FILE: &str = "GRAPH_FILE";
const SEED: &str = "GRAPH_SEED";

/// Kills unless told otherwise; every other one hits a graph that has been killed before.
const KILLS: u64 = 6;

#[test]
fn a_graph_whose_process_was_killed_is_a_moment_of_its_past() {
    // The process that is killed is this test, started again.
    if let Some(file) = std::env::var_os(FILE) {
        return write_for_ever(Path::new(&file));
    }
    let kills = std::env::var("GRAPH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    for seed in 0..kills.div_ceil(2) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("graph.redb");
        for _ in 0..2.min(kills - 2 * seed) {
            let durable = write_until_killed(&file, seed);
            let graph = Graph::at_rest(&file).unwrap();
            let sequence = graph.stats().sequence;
            assert!(sequence >= durable, "history {seed}: {durable} events were durable, {sequence} were found");
            let mut rebuilt = State::default();
            (0..sequence).for_each(|n| rebuilt.apply(&event(seed, n)));
            let (found, expected) = (graph.read(State::dump).unwrap(), rebuilt.dump());
            let differences: Vec<_> = found.iter().zip(&expected).filter(|(one, other)| one != other).take(3).collect();
            assert!(found == expected, "history {seed}: not what the first {sequence} events lead to: {differences:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_on_a_full_disk_goes_on_in_memory_and_is_written_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk::SmallDisk::mount(folder.path(), "size=3m") else { return };
    let file = folder.path().join("graph.redb");
    let graph = Graph::at_rest_or_new(&file).unwrap();
    graph.apply((0..16_000).map(unique).collect()).await.unwrap();
    assert!(graph.flush().await.is_err());
    graph.apply((16_000..16_100).map(unique).collect()).await.unwrap();
    let stats = graph.stats();
    assert!(stats.failing && stats.unwritten > 16_000, "{stats:?}");
    disk.grow("128m");
    graph.flush().await.unwrap();
    assert!(!graph.stats().failing);
    let known = graph.read(State::size).unwrap();
    graph.stop().await.unwrap();
    assert_eq!(Graph::at_rest(&file).unwrap().read(State::size).unwrap(), known);
}

/// An image with a layer of its own.
fn unique(n: u64) -> Event {
    let repository = Repository { route: "docker.io".into(), name: "unique".parse().unwrap(), private: false };
    Event { at: n, what: What::ManifestSeen(Arc::new(manifest(repository, 1_000_004 + n * 5))) }
}

/// Starts a process that writes, kills it at some moment, and returns how many events it had called durable.
fn write_until_killed(file: &Path, seed: u64) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "a_graph_whose_process_was_killed_is_a_moment_of_its_past"]);
    command.env(FILE, file).env(SEED, seed.to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (begun, has_begun) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        let durable = lines.filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
        // A line that was cut is less than was written.
        durable.inspect(|_| begun.send(()).unwrap_or_default()).max().unwrap_or(0)
    });
    has_begun.recv().unwrap();
    thread::sleep(Duration::from_micros(fastrand::u64(0..300_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// What a started process does.
fn write_for_ever(file: &Path) {
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let graph = Graph::at_rest_or_new(file).unwrap();
        let mut next = graph.stats().sequence;
        loop {
            let many = fastrand::u64(1..300);
            graph.apply((next..next + many).map(|n| event(seed, n)).collect()).await.unwrap();
            next += many;
            if fastrand::u8(0..3) == 0 {
                graph.flush().await.unwrap();
                println!("durable {next}");
            }
        }
    });
}

/// The `n`th event of a history.
fn event(seed: u64, n: u64) -> Event {
    let mut random = fastrand::Rng::with_seed(seed << 40 | n);
    let repository = Repository {
        route: ["docker.io", "ghcr.io", ""][random.usize(0..3)].into(),
        name: format!("team/service{}", random.u8(0..6)).parse().unwrap(),
        private: false,
    };
    let image = random.u64(0..200);
    let tag = ["latest", "1.0", "1.1", "1.2-rc1", "v2"][random.usize(0..5)].parse().unwrap();
    let what = match random.u8(0..10) {
        0..4 => What::ManifestSeen(Arc::new(manifest(repository, image))),
        4 => What::ManifestDeleted { repository, digest: digest("image", image) },
        5 | 6 => What::TagMoved { repository, tag, digest: Some(digest("image", image)) },
        7 => What::TagMoved { repository, tag, digest: None },
        _ => What::Request(Arc::new(Request {
            customer: Some(format!("customer{}", random.u8(0..5)).into()),
            region: ["dal", "lon"][random.usize(0..2)].into(),
            // Which client pulled what is forgotten when the process ends.
            client: n,
            repository,
            tag: Some(tag),
            digest: Some(digest("image", image)),
            kind: if random.bool() { Kind::Manifest } else { Kind::Blob },
            status: 200,
            bytes: 1,
            source: Source::Disk,
            first_byte: 1,
            total: 2,
            complete: true,
        })),
    };
    Event { at: 1_700_000_000_000 + n * 500, what }
}

/// An image, which says the same whoever has it. Many stand on others, and some are indexes.
fn manifest(repository: Repository, image: u64) -> ManifestSeen {
    let media_type: MediaType = MediaType::OCI_MANIFEST.parse().unwrap();
    let content = |digest: Digest| Layer { digest, size: 7, media_type: media_type.clone() };
    let is_index = image.is_multiple_of(17);
    let layers =
        (0..=image % 5).map(|place| content(digest("layer", if place < 3 { image % 3 + place } else { image }))).collect();
    let children =
        (1..4).map(|more| Child { manifest: content(digest("image", image + more)), platform: Some("linux/arm64".to_owned()) });
    ManifestSeen {
        repository,
        manifest: content(digest("image", image)),
        config: (!is_index).then(|| content(digest("config", image))),
        layers: if is_index { Vec::new() } else { layers },
        manifests: is_index.then(|| children.collect()),
        subject: image.is_multiple_of(13).then(|| digest("image", image / 2)),
        base: image.is_multiple_of(11).then(|| digest("image", image / 3)),
        created: Some(image),
    }
}

fn digest(kind: &str, n: u64) -> Digest {
    Digest::of(Algorithm::Sha256, format!("{kind} {n}").as_bytes())
}
