//! What clients feel of prefetching: answers from the cache and from the upstream, with and without a full budget beside them, side
//! by side.
//!
//! `cargo bench --bench prefetch [-- ROUNDS]`; ROUNDS is how many of each, 5 unless told. Requests leave by a timetable and count
//! from when they should have left, so that an answer that is late makes the next ones late too.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use harbinger::{
    app::App,
    config::{AccessLog, Config, Upstream},
    events::{self, Repository},
    oci::{Algorithm, Digest},
    predict::{Expected, Kind, Reason},
};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a round is.
const ROUND: Duration = Duration::from_secs(5);

/// Connections, and requests a second of each.
const CLIENTS: usize = 8;
const EACH: u32 = 25;

/// Of so many requests, one is for what only the upstream has.
const ONE_IN: usize = 10;

/// What is in the cache, what is not, and what is fetched beside the clients.
const HIT: usize = 256 << 10;
const MISS: usize = 64 << 10;
const EXPECTED: usize = 4 << 20;

/// How long the upstream thinks.
const FAR: Duration = Duration::from_millis(20);

fn main() -> Outcome {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let registry = Arc::new(Registry::new(rounds)?);
    let address = registry.clone().listen()?;
    tokio::runtime::Runtime::new()?.block_on(side_by_side(registry, address, rounds))
}

async fn side_by_side(registry: Arc<Registry>, upstream: SocketAddr, rounds: usize) -> Outcome {
    let data = tempfile::tempdir()?;
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.storage.data = data.path().to_owned();
    config.logging.access = AccessLog::Off;
    config.prefetch.floor = bytesize::ByteSize::tib(1);
    config.upstream = vec![Upstream {
        url: Some(format!("http://{upstream}/").parse()?),
        allow_private_addresses: true,
        ..Upstream::new("docker.io")
    }];
    let app = App::start(config).await?;
    let address = app.address();
    let mut figures = [const { (Vec::new(), Vec::new()) }; 2];
    let mut offers = registry.expected.chunks(registry.expected.len().div_ceil(rounds));
    let mut misses = registry.misses.chunks(registry.misses.len().div_ceil(2 * rounds));
    // The first round only fills the cache.
    round(address, &registry.hits, &[]).await?;
    for _ in 0..rounds {
        for (is_beside, (hits, missed)) in [false, true].into_iter().zip(&mut figures) {
            let before = prefetched(&app);
            if is_beside {
                app.prefetch().offer(offers.next().unwrap_or_default().iter().map(expected).collect::<Result<_, _>>()?);
            }
            let waits = round(address, &registry.hits, misses.next().unwrap_or_default()).await?;
            hits.push(percentile(&waits.hits, 99));
            missed.push(percentile(&waits.misses, 99));
            let rate = (prefetched(&app) - before) as f64 / ROUND.as_secs_f64() / 1e6;
            let name = if is_beside { "beside" } else { "alone" };
            println!(
                "  {name:<7} hits: median {:>8.0} us, 99th {:>8.0} us; misses: 99th {:>8.0} us; prefetched {rate:>6.1} MB/s",
                percentile(&waits.hits, 50),
                percentile(&waits.hits, 99),
                percentile(&waits.misses, 99),
            );
            settled(&app).await;
        }
    }
    app.stop().await;
    let [(hits_alone, misses_alone), (hits, misses)] = figures.map(|(hits, misses)| (median(hits), median(misses)));
    println!("99th percentile beside prefetching at full budget, as a multiple of that alone (median of {rounds} rounds)");
    println!("  hits {:.3}, misses {:.3}", hits / hits_alone, misses / misses_alone);
    Ok(())
}

fn prefetched(app: &App) -> u64 {
    app.prefetch().savings().accounts.iter().map(|row| row.account.fetched.bytes).sum()
}

/// Waits until nothing is left over for the next round.
async fn settled(app: &App) {
    let mut last = None;
    while last != Some(prefetched(app)) {
        last = Some(prefetched(app));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn expected(content: &(Digest, usize)) -> Outcome<Expected> {
    Ok(Expected {
        digest: content.0,
        size: content.1 as u64,
        kind: Kind::Blob,
        repository: Repository { route: "docker.io".into(), name: "library/a".parse()?, private: false },
        customer: None,
        reason: Reason::Moved,
        probability: 0.5,
        due: events::now(),
    })
}

/// Microseconds that clients waited.
#[derive(Default)]
struct Waits {
    hits: Vec<f64>,
    misses: Vec<f64>,
}

/// All clients for one round.
async fn round(address: SocketAddr, hits: &[(Digest, usize)], misses: &[(Digest, usize)]) -> Outcome<Waits> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let (hits, misses) = (hits.to_vec(), misses.iter().skip(number).step_by(CLIENTS).copied().collect());
        clients.push(tokio::task::spawn_blocking(move || client(address, number, &hits, misses)));
    }
    let mut all = Waits::default();
    for client in clients {
        let Waits { hits, misses } = client.await??;
        all.hits.extend(hits);
        all.misses.extend(misses);
    }
    Ok(all)
}

fn client(address: SocketAddr, number: usize, hits: &[(Digest, usize)], misses: Vec<(Digest, usize)>) -> Outcome<Waits> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut reader, mut waits, mut misses) = (BufReader::new(stream.try_clone()?), Waits::default(), misses.into_iter());
    let (begun, pause) = (Instant::now(), Duration::from_secs(1) / EACH);
    for turn in 0..(ROUND.as_secs() * u64::from(EACH)) as usize {
        let due = begun + pause * turn as u32 + pause * number as u32 / CLIENTS as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let miss = if turn % ONE_IN == 0 { misses.next() } else { None };
        get(&stream, &mut reader, &miss.unwrap_or(hits[(turn + number) % hits.len()]).0)?;
        let wait = due.elapsed().as_secs_f64() * 1e6;
        if miss.is_some() { waits.misses.push(wait) } else { waits.hits.push(wait) }
    }
    Ok(waits)
}

fn get(mut stream: &TcpStream, reader: &mut impl BufRead, digest: &Digest) -> Outcome {
    stream.write_all(format!("GET /v2/library/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())?;
    let (mut line, mut length) = (String::new(), 0);
    let mut status = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            head if status.is_empty() => status = head.to_owned(),
            header => {
                if let Some((_, value)) = header.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                {
                    length = value.parse()?;
                }
            }
        }
    }
    if status.split(' ').nth(1) != Some("200") {
        return Err(status.into());
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    Ok(())
}

/// A registry that has made-up contents: a number, and the same bytes behind it.
struct Registry {
    body: Vec<u8>,
    contents: HashMap<String, (u64, usize)>,
    hits: Vec<(Digest, usize)>,
    misses: Vec<(Digest, usize)>,
    expected: Vec<(Digest, usize)>,
}

impl Registry {
    fn new(rounds: usize) -> Outcome<Self> {
        let mut body = vec![0; EXPECTED];
        fastrand::Rng::with_seed(7).fill(&mut body);
        let mut registry = Self { body, contents: HashMap::new(), hits: Vec::new(), misses: Vec::new(), expected: Vec::new() };
        let seconds = ROUND.as_secs() as usize;
        let missed = CLIENTS * EACH as usize * seconds / ONE_IN * 2 * rounds;
        // As much as the default rate lets through, and a little more.
        let beside = (80 << 20) * seconds * rounds / EXPECTED;
        registry.hits = registry.make(0, 100, HIT);
        registry.misses = registry.make(1_000_000, missed, MISS);
        registry.expected = registry.make(2_000_000, beside, EXPECTED);
        Ok(registry)
    }

    fn make(&mut self, first: u64, count: usize, size: usize) -> Vec<(Digest, usize)> {
        let mut made = Vec::with_capacity(count);
        for number in first..first + count as u64 {
            let mut hasher = Algorithm::Sha256.hasher();
            hasher.update(&number.to_be_bytes());
            hasher.update(&self.body[8..size]);
            let digest = hasher.finish();
            self.contents.insert(format!("/v2/library/a/blobs/{digest}"), (number, size));
            made.push((digest, size));
        }
        made
    }

    fn listen(self: Arc<Self>) -> Outcome<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let registry = self.clone();
                // A connection that breaks is the proxy's right.
                thread::spawn(move || drop(registry.serve(&stream)));
            }
        });
        Ok(address)
    }

    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        while let Some(request) = lines.next().transpose()? {
            for line in lines.by_ref() {
                if line?.is_empty() {
                    break;
                }
            }
            thread::sleep(FAR);
            let path = request.split(' ').nth(1).and_then(|path| path.split('?').next()).unwrap_or_default();
            let Some((number, size)) = self.contents.get(path) else {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            };
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").as_bytes())?;
            stream.write_all(&number.to_be_bytes())?;
            stream.write_all(&self.body[8..*size])?;
        }
        Ok(())
    }
}

fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn median(values: Vec<f64>) -> f64 {
    percentile(&values, 50)
}
