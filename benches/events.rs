//! What it costs to tell: of one event, of a whole request while nobody keeps up, and of writing and reading a trace.
//!
//! `cargo bench --bench events [-- EVENTS]`; EVENTS is how many the trace holds, three million unless told.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use harbinger::{
    app::App,
    config::{AccessLog, Config, Privacy as LogPrivacy},
    events::{
        Bus, Event, InProcess, Kind, Repository, Request, Source, Subscription, What,
        log::{Privacy, Pseudonyms, TraceHeader, TraceReader, TraceWriter},
    },
    oci::{Algorithm, Digest, Tag},
};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Events that are told in one round.
const ROUND: usize = 100_000;

/// Rounds, of which the median counts.
const ROUNDS: usize = 9;

fn main() -> Outcome {
    let events = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3_000_000);
    telling()?;
    trace(events)?;
    tokio::runtime::Runtime::new()?.block_on(requests())
}

/// What a request knows when its answer ends.
struct Known {
    customer: Arc<str>,
    region: Arc<str>,
    repository: Repository,
    digest: Digest,
    address: IpAddr,
    pseudonyms: Pseudonyms,
}

impl Known {
    fn new() -> Outcome<Self> {
        let repository = Repository { route: "docker.io".into(), name: "library/nginx".parse()?, private: false };
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let address = IpAddr::from([10, 0, 0, 1]);
        Ok(Self {
            customer: "acme".into(),
            region: "eu".into(),
            repository,
            digest,
            address,
            pseudonyms: Pseudonyms::forgotten()?,
        })
    }

    fn event(&self) -> Event {
        Event::now(What::Request(Arc::new(Request {
            customer: Some(self.customer.clone()),
            region: self.region.clone(),
            client: self.pseudonyms.client(self.address),
            repository: self.repository.clone(),
            tag: None,
            digest: Some(self.digest),
            kind: Kind::Blob,
            status: 200,
            bytes: 1 << 20,
            source: Source::Memory,
            first_byte: 100,
            total: 900,
            complete: true,
        })))
    }
}

/// Putting an event together and telling it.
fn telling() -> Outcome {
    println!("an event, put together and told to two subscribers, in ns (median of {ROUNDS} rounds in turns)");
    let known = Known::new()?;
    for threads in [1, 2] {
        let (idle, full, deaf) = (InProcess::default(), InProcess::default(), InProcess::default());
        let waiting = [idle.subscribe("a", threads * ROUND), idle.subscribe("b", threads * ROUND)];
        let _full = [full.subscribe("a", 1), full.subscribe("b", 1)];
        let mut costs = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for (bus, costs) in [&deaf, &idle, &full].into_iter().zip(&mut costs) {
                costs.push(round(bus, &known, threads));
                waiting.iter().for_each(drain);
            }
        }
        let [deaf, idle, full] = costs.map(median);
        println!(
            "  {threads} threads: nobody hears {deaf:>6.0}, room in the queues {idle:>6.0}, queues full {full:>6.0}, ratio {:.2}",
            full / idle
        );
    }
    Ok(())
}

/// Nanoseconds that a thread spends on an event.
fn round(bus: &InProcess, known: &Known, threads: usize) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..ROUND {
                    if bus.has_subscribers() {
                        bus.publish(known.event());
                    }
                }
            });
        }
    });
    begun.elapsed().as_nanos() as f64 / ROUND as f64
}

fn drain(subscription: &Subscription) {
    while let Ok(Some(_)) = subscription.try_next() {}
}

/// Writing and reading a trace of pulls.
fn trace(count: u64) -> Outcome {
    println!("a trace of {count} requests");
    let image = |n: u64| Repository {
        route: "docker.io".into(),
        name: format!("team/app-{n}").parse().unwrap_or_else(|_| unreachable!()),
        private: false,
    };
    let repositories: Vec<_> = (0..2_000).map(image).collect();
    let names = |what: &str, count: usize| -> Vec<Arc<str>> { (0..count).map(|n| format!("{what}-{n}").into()).collect() };
    let (customers, regions) = (names("customer", 50), names("region", 5));
    let tags: Vec<_> = (0..200).map(|n| format!("1.{n}").parse::<Tag>()).collect::<Result<_, _>>()?;
    let digests: Vec<_> = (0..200_000_u32).map(|n| Digest::of(Algorithm::Sha256, &n.to_be_bytes())).collect();
    let mut random = fastrand::Rng::with_seed(1);
    let mut writer = TraceWriter::new(Vec::new(), TraceHeader { privacy: Privacy::Unknown, begun: 0, counted_from: None })?;
    let (mut at, mut written) = (1_700_000_000_000, Duration::ZERO);
    for pull in 0..count / 5 {
        let (client, repository) = (random.u64(..2_000), random.usize(..repositories.len()));
        let tag = &tags[random.usize(..tags.len())];
        for step in 0..5 {
            at += random.u64(..40);
            let magnitude = random.u32(8..26);
            let request = Request {
                customer: Some(customers[client as usize % customers.len()].clone()),
                region: regions[client as usize % regions.len()].clone(),
                client: client.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                repository: repositories[repository].clone(),
                tag: Some(tag.clone()),
                digest: Some(digests[(repository * 97 + random.usize(..97) + step) % digests.len()]),
                kind: if step == 0 { Kind::Manifest } else { Kind::Blob },
                status: 200,
                bytes: random.u64(..1 << magnitude),
                source: Source::Disk,
                first_byte: random.u32(..3_000),
                total: random.u32(3_000..60_000),
                complete: pull % 100 != 0,
            };
            let event = Event { at, what: What::Request(request.into()) };
            let begun = Instant::now();
            writer.push(&event)?;
            written += begun.elapsed();
        }
    }
    let bytes = writer.finish()?;
    let million = |time: Duration| count as f64 / time.as_secs_f64() / 1e6;
    println!("  {:<34} {:>10.1} bytes", "each", bytes.len() as f64 / count as f64);
    println!("  {:<34} {:>10.2} million a second", "written", million(written));
    let begun = Instant::now();
    let read = TraceReader::new(&bytes[..])?.filter(|event| event.is_ok()).count();
    println!("  {:<34} {:>10.2} million a second ({read})", "read", million(begun.elapsed()));
    Ok(())
}

/// Whole requests to a server whose subscribers do not keep up, and to one that has none.
async fn requests() -> Outcome {
    const ASKED: usize = 5_000;
    println!("a GET of 1 KiB over one connection, in us, five rounds in turns");
    let silent = Server::start(|config| {
        config.graph.enabled = false;
        config.demand_log.privacy = LogPrivacy::Off;
    })
    .await?;
    let learning = Server::start(|_| ()).await?;
    let saturated = Server::start(|config| {
        config.graph.enabled = false;
        config.demand_log.privacy = LogPrivacy::Off;
    })
    .await?;
    let _full = [saturated.app.bus().subscribe("a", 1), saturated.app.bus().subscribe("b", 1)];
    let servers = [("no subscribers", &silent), ("graph and log", &learning), ("two full queues", &saturated)];
    let mut all = [const { (Vec::new(), Vec::new()) }; 3];
    for _ in 0..5 {
        for ((_, server), (medians, tails)) in servers.iter().zip(&mut all) {
            let (median, tail) = server.ask(ASKED).await?;
            medians.push(median);
            tails.push(tail);
        }
    }
    let figures = all.map(|(medians, tails)| (median(medians), median(tails)));
    for ((name, _), (middle, tail)) in servers.iter().zip(figures) {
        let (base, base_tail) = figures[0];
        println!("  {name:<20} median {middle:>7.1} ({:.2}), 99th {tail:>7.1} ({:.2})", middle / base, tail / base_tail);
    }
    for server in [silent, learning, saturated] {
        server.app.stop().await;
    }
    Ok(())
}

struct Server {
    app: App,
    _data: tempfile::TempDir,
}

impl Server {
    /// A server that has one blob.
    async fn start(change: impl FnOnce(&mut Config)) -> Outcome<Self> {
        let data = tempfile::tempdir()?;
        let mut config = Config::default();
        config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.server.workers = 1;
        config.storage.data = data.path().to_owned();
        config.logging.access = AccessLog::Off;
        config.upstream = Vec::new();
        change(&mut config);
        let server = Self { app: App::start(config).await?, _data: data };
        let address = server.app.address();
        let pushed = tokio::task::spawn_blocking(move || {
            let head = format!(
                "POST /v2/local/a/blobs/uploads/?digest={} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1024\r\n\r\n",
                Digest::of(Algorithm::Sha256, &[7; 1024])
            );
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(&[head.as_bytes(), &[7; 1024]].concat())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        });
        let answer = pushed.await??;
        if answer.starts_with("HTTP/1.1 201") { Ok(server) } else { Err(answer.into()) }
    }

    /// The median and the 99th percentile of so many requests.
    async fn ask(&self, count: usize) -> Outcome<(f64, f64)> {
        let address = self.app.address();
        let asking = tokio::task::spawn_blocking(move || {
            let request =
                format!("GET /v2/local/a/blobs/{} HTTP/1.1\r\nhost: x\r\n\r\n", Digest::of(Algorithm::Sha256, &[7; 1024]));
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let (mut waits, mut buffer) = (Vec::with_capacity(count), vec![0; 64 << 10]);
            for _ in 0..count {
                let asked = Instant::now();
                stream.write_all(request.as_bytes())?;
                let (mut filled, mut wanted) = (0, usize::MAX);
                while filled < wanted {
                    let read = stream.read(&mut buffer[filled..])?;
                    if read == 0 {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    filled += read;
                    if let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                        wanted = end + 4 + 1024;
                    }
                }
                waits.push(asked.elapsed().as_secs_f64() * 1e6);
            }
            waits.sort_by(f64::total_cmp);
            Ok::<_, std::io::Error>((waits[count / 2], waits[count * 99 / 100]))
        });
        Ok(asking.await??)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
