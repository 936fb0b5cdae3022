//! What the graph costs with a million manifests and more than ten million edges: time to build it, to change it, to keep it and
//! to load it, memory by the edge, and a walk around a node.
//!
//! `cargo bench --bench graph [-- MANIFESTS]`; a million unless told. Each part runs in a process of its own.

use std::{path::Path, process::Command, sync::Arc, time::Instant};

use harbinger::{
    events::{Event, Kind, Layer, ManifestSeen, Repository, Request, Source, What},
    graph::{
        Graph, State, Viewer,
        queries::{self, Bounds, Subject},
    },
    oci::{Algorithm, Digest, MediaType},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Images of operating systems and languages, each of one to four layers.
const BASES: u64 = 2000;

/// Manifests of one repository.
const BUILDS: u64 = 50;

/// Events that are handed over together.
const BATCH: u64 = 1000;

/// Requests that are told when all is built.
const REQUESTS: u64 = 300_000;

fn main() -> Outcome {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [part, manifests] if part == "build" => build(manifests.parse()?),
        [part, manifests, file] if part == "keep" => keep(manifests.parse()?, Path::new(file)),
        [part, _, file] if part == "load" => load(Path::new(file)),
        _ => {
            let manifests = arguments.first().and_then(|argument| argument.parse().ok()).unwrap_or(1_000_000_u64).to_string();
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("graph.redb");
            run(&["build", &manifests])?;
            run(&["keep", &manifests, &file.to_string_lossy()])?;
            run(&["load", &manifests, &file.to_string_lossy()])
        }
    }
}

fn run(arguments: &[&str]) -> Outcome {
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("{arguments:?} failed").into()) }
}

/// In memory alone.
fn build(manifests: u64) -> Outcome {
    println!("in memory");
    let world = World::new(manifests)?;
    let mut state = State::default();
    // All of it is there from the beginning, so as not to be taken for the graph's.
    let mut times = vec![1_u32; 2 * manifests as usize];
    times.clear();
    let before = resident()?;
    let mut apply = |events: Vec<Event>| {
        for event in &events {
            let begun = Instant::now();
            state.apply(event);
            times.push(begun.elapsed().as_nanos() as u32);
        }
    };
    let begun = Instant::now();
    for n in 0..manifests {
        apply(world.build(n)?);
    }
    row("build, events made included", begun.elapsed().as_secs_f64(), "s");
    let memory = resident()?.saturating_sub(before);
    tell_times("update by a manifest or tag", &mut times);
    let edges = tell_size(&state, memory);
    let mut times = Vec::with_capacity(REQUESTS as usize);
    for n in 0..REQUESTS {
        let event = world.request(n)?;
        let begun = Instant::now();
        state.apply(&event);
        times.push(begun.elapsed().as_nanos() as u32);
    }
    tell_times("update by a request", &mut times);
    if edges == 0 { Err("nothing was built".into()) } else { Ok(()) }
}

/// In a database, made durable while it is built.
fn keep(manifests: u64, file: &Path) -> Outcome {
    println!("kept in a database");
    let world = World::new(manifests)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let graph = Graph::at_rest_or_new(file)?;
        let begun = Instant::now();
        for first in (0..manifests).step_by(BATCH as usize) {
            let mut events = Vec::new();
            for n in first..manifests.min(first + BATCH) {
                events.extend(world.build(n)?);
            }
            graph.apply(events).await?;
        }
        row("build and keep", begun.elapsed().as_secs_f64(), "s");
        let begun = Instant::now();
        graph.flush().await?;
        row("until all is durable", begun.elapsed().as_secs_f64(), "s");
        let mut commits = Vec::new();
        for round in 0..20 {
            let requests = (0..1000).map(|n| world.request(round * 1000 + n));
            graph.apply(requests.collect::<Result<_, _>>()?).await?;
            let begun = Instant::now();
            graph.flush().await?;
            commits.push(begun.elapsed().as_nanos() as u32);
        }
        tell_times("commit of a thousand requests", &mut commits);
        graph.stop().await?;
        row("file", std::fs::metadata(file)?.len() as f64 / f64::from(1 << 20), "MiB");
        Ok(())
    })
}

/// By a process that knows nothing yet.
fn load(file: &Path) -> Outcome {
    println!("loaded");
    let before = resident()?;
    let begun = Instant::now();
    let graph = Graph::at_rest(file)?;
    row("load", begun.elapsed().as_secs_f64(), "s");
    let memory = resident()?.saturating_sub(before);
    graph.read(|state| tell_size(state, memory))?;
    let mut times = Vec::new();
    let mut largest = 0;
    let bounds = Bounds { depth: 2, nodes: 500 };
    for n in 0..2000 {
        let subject = Subject::Content(digest("manifest", n * 97));
        let begun = Instant::now();
        let seen = graph
            .read(|state| queries::around(state, Viewer::Operator, &subject, bounds, 0).map_or(0, |found| found.nodes.len()))?;
        times.push(begun.elapsed().as_nanos() as u32);
        largest = largest.max(seen);
    }
    tell_times(&format!("two steps around, {largest} nodes at most"), &mut times);
    Ok(())
}

fn tell_size(state: &State, memory: u64) -> usize {
    let (nodes, edges) = state.size();
    row("nodes", nodes as f64 / 1e6, "million");
    row("edges", edges as f64 / 1e6, "million");
    row("resident", memory as f64 / f64::from(1 << 20), "MiB");
    row("resident by the edge", memory as f64 / edges as f64, "bytes");
    row("estimate", 100.0 * state.memory() as f64 / memory as f64, "% of that");
    edges
}

fn tell_times(what: &str, nanoseconds: &mut [u32]) {
    nanoseconds.sort_unstable();
    let mean = nanoseconds.iter().map(|&time| f64::from(time)).sum::<f64>() / nanoseconds.len() as f64;
    let late = nanoseconds[nanoseconds.len() * 99 / 100];
    println!("  {what:<44} {:>10.2} us, 99 of 100 within {:.2} us", mean / 1e3, f64::from(late) / 1e3);
}

fn row(what: &str, number: f64, unit: &str) {
    println!("  {what:<44} {number:>10.2} {unit}");
}

/// Repositories whose images stand on shared bases; every build of one brings a third of its layers anew.
struct World {
    manifests: u64,
    repositories: Vec<Repository>,
    image: MediaType,
    layer: MediaType,
    config: MediaType,
}

impl World {
    fn new(manifests: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let repositories = (0..manifests / BUILDS + 1).map(|n| {
            Ok(Repository { route: "docker.io".into(), name: format!("team{}/service{n}", n % 500).parse()?, private: false })
        });
        Ok(Self {
            manifests,
            repositories: repositories.collect::<Result<_, Box<dyn std::error::Error>>>()?,
            image: MediaType::OCI_MANIFEST.parse()?,
            layer: "application/vnd.oci.image.layer.v1.tar+gzip".parse()?,
            config: "application/vnd.oci.image.config.v1+json".parse()?,
        })
    }

    /// What happens when the `n`th manifest is built.
    fn build(&self, n: u64) -> Result<Vec<Event>, Box<dyn std::error::Error>> {
        let (r, build) = self.place(n);
        let repository = &self.repositories[r];
        let mut layers: Vec<_> = self.base(n, r as u64, build);
        if n >= BASES {
            layers.extend((0..2).map(|part| self.layer(digest("middle", (r as u64 * BUILDS + build / 8) * 2 + part))));
            layers.extend((0..2 + u64::from(n.is_multiple_of(3))).map(|part| self.layer(digest("top", n * 4 + part))));
        }
        let seen = ManifestSeen {
            repository: repository.clone(),
            manifest: Layer { digest: digest("manifest", n), size: 1500, media_type: self.image.clone() },
            config: Some(Layer { digest: digest("config", n), size: 7000, media_type: self.config.clone() }),
            layers,
            manifests: None,
            subject: None,
            base: None,
            created: Some(1_700_000_000 + n),
        };
        let at = 1_700_000_000_000 + n * 1000;
        let mut events = vec![Event { at, what: What::ManifestSeen(Arc::new(seen)) }];
        if n.is_multiple_of(4) {
            for tag in ["latest".to_owned(), format!("1.{build}.0")] {
                let (repository, digest) = (repository.clone(), Some(digest("manifest", n)));
                events.push(Event { at, what: What::TagMoved { repository, tag: tag.parse()?, digest } });
            }
        }
        Ok(events)
    }

    /// Somebody pulls a manifest or a layer; some are pulled much more often.
    fn request(&self, n: u64) -> Result<Event, Box<dyn std::error::Error>> {
        let random = fastrand::Rng::with_seed(n).f64();
        let m = (self.manifests as f64 * random * random * random) as u64;
        let (r, build) = self.place(m);
        let is_manifest = n.is_multiple_of(4);
        let request = Request {
            customer: Some(format!("customer{}", n % 200).into()),
            region: ["dal", "lon", "syd", "fra", "tok"][(n % 5) as usize].into(),
            client: n % 5000,
            repository: self.repositories[r].clone(),
            tag: if is_manifest && m.is_multiple_of(4) { Some(format!("1.{build}.0").parse()?) } else { None },
            digest: Some(if is_manifest { digest("manifest", m) } else { digest("top", m * 4 + n % 2) }),
            kind: if is_manifest { Kind::Manifest } else { Kind::Blob },
            status: 200,
            bytes: 1000,
            source: Source::Disk,
            first_byte: 1,
            total: 2,
            complete: true,
        };
        Ok(Event { at: 1_702_000_000_000 + n * 10, what: What::Request(Arc::new(request)) })
    }

    /// The repository of a manifest, and which of its builds it is. Builds of all repositories come in turns.
    fn place(&self, n: u64) -> (usize, u64) {
        let repositories = self.repositories.len() as u64;
        ((n.wrapping_mul(2_654_435_761) % repositories) as usize, n / repositories)
    }

    /// The layers of the base of a build: a few bases carry most.
    fn base(&self, n: u64, repository: u64, build: u64) -> Vec<Layer> {
        let chosen = fastrand::Rng::with_seed(repository * 1000 + build / 10).f64();
        let base = if n < BASES { n } else { (BASES as f64 * chosen * chosen * chosen) as u64 };
        (0..base % 4 + 1).map(|part| self.layer(digest("base", base * 4 + part))).collect()
    }

    fn layer(&self, digest: Digest) -> Layer {
        Layer { digest, size: 1 << 20, media_type: self.layer.clone() }
    }
}

fn digest(kind: &str, n: u64) -> Digest {
    Digest::of(Algorithm::Sha256, format!("{kind} {n}").as_bytes())
}

/// Bytes of memory that this process has.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split_whitespace().nth(1).ok_or("statm is too short")?.parse()?;
    Ok(pages * 4096)
}
