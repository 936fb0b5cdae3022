//! What clients feel of prefetching: answers from the cache and from the upstream, alone and with a full budget beside them, in turn.
//!
//! `cargo bench --bench prefetch [-- ROUNDS [RATE]]`; ROUNDS is how many of each, 40 unless told, and RATE what `prefetch.rate` is, for
//! example 16MiB. Requests leave by a timetable and count from when they should have left, so that an answer that is late makes the
//! next ones late too. The interval is where nine of ten ratios lie when the rounds are drawn again with replacement: what else runs on
//! a machine comes and goes by the round.
//!
//! An upstream is elsewhere, takes no processor from the cache, and sends no faster than its line: here it is a process of the lowest
//! priority that sends in pieces by a timetable.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use harbinger::{
    app::App,
    config::{AccessLog, Config, Upstream},
    events::{self, Repository},
    oci::{Algorithm, Digest},
    predict::{Expected, Kind, Reason},
};
use indicatif::ProgressBar;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a round is.
const ROUND: Duration = Duration::from_secs(3);

/// Connections, and requests a second of each.
const CLIENTS: usize = 8;
const EACH: u32 = 25;

/// Of so many requests, one is for what only the upstream has.
const ONE_IN: usize = 10;

/// What is in the cache, what is not, and what is fetched beside the clients.
const HIT: usize = 256 << 10;
const MISS: usize = 64 << 10;
const EXPECTED: usize = 4 << 20;

/// How long the upstream thinks, how much it sends at once, and how often on one connection: by a line of 1 Gbit/s.
const FAR: Duration = Duration::from_millis(20);
const PIECE: usize = 64 << 10;
const PAUSE: Duration = Duration::from_micros(524);

/// How often the rounds are drawn again.
const DRAWS: usize = 1000;

/// The first argument of the process that is the upstream.
const UPSTREAM: &str = "upstream";

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_upstream = arguments.first().is_some_and(|argument| argument == UPSTREAM);
    let mut told = arguments.iter().skip(usize::from(is_upstream));
    let rounds = told.next().map_or(Ok(40), |rounds| rounds.parse())?;
    let rate = told.next().map_or(Ok(Config::default().prefetch.rate), |rate| rate.parse())?;
    if rounds == 0 || rate.as_u64() == 0 {
        return Err("ROUNDS and RATE have to be more than nothing".into());
    }
    let registry = Registry::new(rounds, rate);
    if is_upstream {
        return Ok(registry.listen()?);
    }
    let (mut upstream, address) = upstream(rounds, rate)?;
    let outcome = tokio::runtime::Runtime::new()?.block_on(side_by_side(&registry, address, rounds, rate));
    upstream.kill()?;
    upstream.wait()?;
    outcome
}

/// Starts the upstream.
fn upstream(rounds: usize, rate: ByteSize) -> Outcome<(Child, SocketAddr)> {
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(std::env::current_exe()?).args([UPSTREAM, &rounds.to_string(), &rate.as_u64().to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(child.stdout.take().ok_or("the upstream has no output")?).read_line(&mut address)?;
    Ok((child, address.trim().parse()?))
}

async fn side_by_side(registry: &Registry, upstream: SocketAddr, rounds: usize, rate: ByteSize) -> Outcome {
    let data = tempfile::tempdir()?;
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.storage.data = data.path().to_owned();
    config.logging.access = AccessLog::Off;
    (config.prefetch.floor, config.prefetch.rate) = (ByteSize::tib(1), rate);
    config.upstream = vec![Upstream {
        url: Some(format!("http://{upstream}/").parse()?),
        allow_private_addresses: true,
        ..Upstream::new("docker.io")
    }];
    let app = App::start(config).await?;
    let (mut alone, mut beside, mut fetched) = (Vec::new(), Vec::new(), 0);
    let mut offers = registry.expected.chunks(registry.expected.len() / rounds);
    let mut misses = registry.misses.chunks(registry.misses.len() / (2 * rounds));
    // The first round only fills the cache.
    round(app.address(), &registry.hits, &[]).await?;
    let progress = ProgressBar::new(2 * rounds as u64);
    for turn in 0..2 * rounds {
        // None is always the first of two: alone, beside, beside, alone.
        let is_beside = matches!(turn % 4, 1 | 2);
        let before = prefetched(&app);
        if is_beside {
            app.prefetch().offer(offers.next().unwrap_or_default().iter().map(expected).collect::<Result<_, _>>()?);
        }
        let waits = round(app.address(), &registry.hits, misses.next().unwrap_or_default()).await?;
        if is_beside {
            fetched += prefetched(&app) - before;
            beside.push(waits);
        } else {
            alone.push(waits);
        }
        settled(&app).await;
        progress.inc(1);
    }
    progress.finish_and_clear();
    app.stop().await;
    println!("{rounds} rounds each, {:.1} MB/s prefetched", fetched as f64 / (ROUND * rounds as u32).as_secs_f64() / 1e6);
    let kinds: [Waited; 3] = [
        ("all", |waits| [&waits.hits[..], &waits.misses].concat()),
        ("hits", |waits| waits.hits.clone()),
        ("misses", |waits| waits.misses.clone()),
    ];
    for (name, of) in kinds {
        let (alone, beside): (Vec<_>, Vec<_>) = (alone.iter().map(of).collect(), beside.iter().map(of).collect());
        for percent in [50, 90, 99] {
            let (without, with) = (percentile(&alone, percent), percentile(&beside, percent));
            let (low, high) = interval(&alone, &beside, percent);
            let ratio = with / without;
            println!(
                "{name:<7}{percent}th percentile {without:>6.0} us alone, {with:>6.0} us beside: {ratio:.3} ({low:.3} to {high:.3})"
            );
        }
    }
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
        tokio::time::sleep(Duration::from_millis(500)).await;
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

/// Some of the requests of a round.
type Waited = (&'static str, fn(&Waits) -> Vec<f64>);

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
        let (digest, _) = miss.unwrap_or(hits[(turn + number) % hits.len()]);
        get(&stream, &mut reader, &digest)?;
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
    io::copy(&mut reader.take(length), &mut io::sink())?;
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
    fn new(rounds: usize, rate: ByteSize) -> Self {
        let mut body = vec![0; EXPECTED];
        fastrand::Rng::with_seed(7).fill(&mut body);
        let mut registry = Self { body, contents: HashMap::new(), hits: Vec::new(), misses: Vec::new(), expected: Vec::new() };
        let seconds = ROUND.as_secs() as usize;
        let missed = CLIENTS * EACH as usize * seconds / ONE_IN * 2 * rounds;
        // As much as the rate lets through, and a little more.
        let beside = (rate.as_u64() as usize * seconds * 5 / 4).div_ceil(EXPECTED) * rounds;
        registry.hits = registry.make(0, 100, HIT);
        registry.misses = registry.make(1_000_000, missed, MISS);
        registry.expected = registry.make(2_000_000, beside, EXPECTED);
        registry
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

    /// Prints where it listens, and answers until whoever has started it is gone.
    fn listen(&self) -> io::Result<()> {
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            std::process::exit(0);
        });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.local_addr()?);
        thread::scope(|scope| {
            for stream in listener.incoming().map_while(Result::ok) {
                // A connection that breaks is the proxy's right.
                scope.spawn(move || drop(self.serve(&stream)));
            }
        });
        Ok(())
    }

    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
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
            let begun = Instant::now();
            for (turn, piece) in (0..).zip(self.body[8..*size].chunks(PIECE)) {
                thread::sleep((begun + PAUSE * turn).saturating_duration_since(Instant::now()));
                stream.write_all(piece)?;
            }
        }
        Ok(())
    }
}

/// Of all rounds together.
fn percentile<R: AsRef<[f64]>>(rounds: &[R], percent: usize) -> f64 {
    let mut values: Vec<f64> = rounds.iter().flat_map(AsRef::as_ref).copied().collect();
    values.sort_by(f64::total_cmp);
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Where nine of ten ratios of percentiles lie when the rounds are drawn again.
fn interval(alone: &[Vec<f64>], beside: &[Vec<f64>], percent: usize) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut draw = |rounds: &[Vec<f64>]| {
        let drawn: Vec<_> = rounds.iter().map(|_| &rounds[random.usize(..rounds.len())]).collect();
        percentile(&drawn, percent)
    };
    let mut ratios: Vec<f64> = (0..DRAWS).map(|_| draw(beside) / draw(alone)).collect();
    ratios.sort_by(f64::total_cmp);
    (ratios[DRAWS / 20], ratios[DRAWS - DRAWS / 20 - 1])
}
