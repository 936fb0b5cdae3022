//! What a disk tier keeps: the exponents of `storage.size_exponent` side by side with LRU and GDSF, on a trace.
//!
//! ```sh
//! cargo bench --bench eviction                                  # a trace that it makes itself
//! cargo bench --bench eviction -- TRACE --skip 2419200000       # lines of `milliseconds content bytes`, in order of time
//! ```
//!
//! What comes before `--skip` (milliseconds since 1970, or since the beginning) fills the tier and is not counted. Three figures
//! are printed for each: the share of requests that were hits, the share of bytes, and the share of the time that clients would
//! have waited for an upstream (80 ms and 60 MB/s) that the tier saved them. They pull in different directions: many small
//! contents make requests hits, few large ones bytes.

use std::{
    collections::{BTreeMap, HashMap},
    io::BufRead,
    sync::Arc,
    time::{Duration, Instant},
};

use harbinger::{
    oci::{Algorithm, Digest},
    telemetry::TierName,
    tiers::{DecayedCounts, Index, Wanted},
};

const CAPACITIES: [f64; 3] = [0.01, 0.05, 0.10];
const EXPONENTS: [f32; 6] = [0.5, 0.75, 1.0, 1.15, 1.35, 1.6];

/// A request for a content.
struct Request {
    time: u64,
    content: u32,
    size: u64,
}

/// What decides what stays.
trait Policy {
    /// Whether it was a hit; a miss is taken in.
    fn request(&mut self, request: &Request, digest: &Digest) -> bool;
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut trace, mut skip) = (None, 0);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--skip" => skip = arguments.next().ok_or("--skip needs a number")?.parse()?,
            _ => trace = Some(argument),
        }
    }
    let requests = match trace {
        Some(file) => read(&file)?,
        None => {
            skip = 600_000_000;
            made_up(1)
        }
    };
    let mut sizes = HashMap::new();
    for request in &requests {
        sizes.insert(request.content, request.size);
    }
    let footprint: u64 = sizes.values().sum();
    let digests: HashMap<u32, Digest> =
        sizes.keys().map(|&content| (content, Digest::of(Algorithm::Sha256, &content.to_be_bytes()))).collect();
    println!("{} requests for {} contents, {:.1} GB", requests.len(), sizes.len(), footprint as f64 / 1e9);
    for share in CAPACITIES {
        let capacity = (footprint as f64 * share) as u64;
        println!(
            "\n{:.0} % of that\n{:<10} {:>9} {:>9} {:>9} {:>11}",
            share * 100.0,
            "policy",
            "requests",
            "bytes",
            "time",
            "us/request"
        );
        let row = |name: &str, mut policy: Box<dyn Policy>| {
            let score = replay(&requests, &digests, skip, &mut *policy);
            println!("{name:<10} {:>9.4} {:>9.4} {:>9.4} {:>11.2}", score.requests, score.bytes, score.time, score.cost);
        };
        row("LRU", Box::new(Lru::new(capacity)));
        row("GDSF", Box::new(Gdsf::new(capacity)));
        for exponent in EXPONENTS {
            row(&format!("{exponent}"), Box::new(Ours::new(capacity, exponent)));
        }
    }
    Ok(())
}

struct Score {
    requests: f64,
    bytes: f64,
    time: f64,
    /// Microseconds per request, misses and what they push out included.
    cost: f64,
}

fn replay(requests: &[Request], digests: &HashMap<u32, Digest>, skip: u64, policy: &mut dyn Policy) -> Score {
    let (mut hits, mut all) = ([0.0; 3], [0.0; 3]);
    let begun = Instant::now();
    for request in requests {
        let hit = policy.request(request, &digests[&request.content]);
        if request.time < skip {
            continue;
        }
        let worth = [1.0, request.size as f64, 0.080 + request.size as f64 / 60e6];
        for (position, worth) in worth.into_iter().enumerate() {
            all[position] += worth;
            hits[position] += if hit { worth } else { 0.0 };
        }
    }
    let cost = begun.elapsed().as_secs_f64() * 1e6 / requests.len() as f64;
    Score { requests: hits[0] / all[0], bytes: hits[1] / all[1], time: hits[2] / all[2], cost }
}

/// What `serve` runs.
struct Ours {
    index: Index,
    capacity: u64,
    wanted: Wanted,
}

impl Ours {
    fn new(capacity: u64, exponent: f32) -> Self {
        let index = Index::replaying(TierName::Ssd, None, exponent, Arc::new(DecayedCounts));
        Self { index, capacity, wanted: Wanted::default() }
    }
}

impl Policy for Ours {
    fn request(&mut self, request: &Request, digest: &Digest) -> bool {
        self.index.set_clock(Duration::from_millis(request.time));
        let hit = self.index.size(digest).is_some();
        if hit {
            self.index.touch(digest, &self.wanted);
        } else if request.size <= self.capacity {
            self.index.insert(*digest, request.size, Duration::ZERO);
            self.index.shrink(self.capacity);
        }
        hit
    }
}

/// Entries in the order in which they leave.
struct Ordered<K> {
    keys: HashMap<u32, (K, u64)>,
    order: BTreeMap<K, u32>,
    bytes: u64,
}

impl<K: Ord + Copy> Ordered<K> {
    fn new() -> Self {
        Self { keys: HashMap::new(), order: BTreeMap::new(), bytes: 0 }
    }

    fn put(&mut self, content: u32, size: u64, key: K) {
        self.take(content);
        self.keys.insert(content, (key, size));
        self.order.insert(key, content);
        self.bytes += size;
    }

    fn take(&mut self, content: u32) {
        if let Some((key, size)) = self.keys.remove(&content) {
            self.order.remove(&key);
            self.bytes -= size;
        }
    }

    fn first(&self) -> Option<(K, u32)> {
        self.order.first_key_value().map(|(key, content)| (*key, *content))
    }
}

/// What was wanted longest ago leaves first.
struct Lru {
    entries: Ordered<u64>,
    capacity: u64,
    clock: u64,
}

impl Lru {
    fn new(capacity: u64) -> Self {
        Self { entries: Ordered::new(), capacity, clock: 0 }
    }
}

impl Policy for Lru {
    fn request(&mut self, request: &Request, _digest: &Digest) -> bool {
        self.clock += 1;
        let hit = self.entries.keys.contains_key(&request.content);
        if hit || request.size <= self.capacity {
            self.entries.put(request.content, request.size, self.clock);
        }
        while self.entries.bytes > self.capacity {
            let Some((_, content)) = self.entries.first() else { break };
            self.entries.take(content);
        }
        hit
    }
}

/// Greedy-Dual-Size-Frequency (Cherkasova, 1998): frequency by size, above a floor that rises with what leaves.
struct Gdsf {
    entries: Ordered<(u64, u64)>,
    frequencies: HashMap<u32, f64>,
    floor: f64,
    capacity: u64,
    clock: u64,
}

impl Gdsf {
    fn new(capacity: u64) -> Self {
        Self { entries: Ordered::new(), frequencies: HashMap::new(), floor: 0.0, capacity, clock: 0 }
    }
}

impl Policy for Gdsf {
    fn request(&mut self, request: &Request, _digest: &Digest) -> bool {
        self.clock += 1;
        let hit = self.entries.keys.contains_key(&request.content);
        if hit || request.size <= self.capacity {
            let frequency = self.frequencies.entry(request.content).or_default();
            *frequency = if hit { *frequency + 1.0 } else { 1.0 };
            let priority = self.floor + *frequency * 1e6 / (request.size as f64 + 1.0);
            // Positive floats are in the order of their bits.
            self.entries.put(request.content, request.size, (priority.to_bits(), self.clock));
        }
        while self.entries.bytes > self.capacity {
            let Some(((priority, _), content)) = self.entries.first() else { break };
            self.floor = f64::from_bits(priority);
            self.entries.take(content);
        }
        hit
    }
}

fn read(file: &str) -> Result<Vec<Request>, Box<dyn std::error::Error>> {
    let mut requests = Vec::new();
    for (number, line) in std::io::BufReader::new(std::fs::File::open(file)?).lines().enumerate() {
        let line = line?;
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(time)), Some(Ok(content)), Some(Ok(size))) = (fields.next(), fields.next(), fields.next()) else {
            return Err(format!("{file}, line {}: not three numbers", number + 1).into());
        };
        requests.push(Request { time, content: u32::try_from(content)?, size });
    }
    Ok(requests)
}

/// Two weeks of a registry that releases new versions every day: layer sizes between a kilobyte and some hundred megabytes, a
/// few contents very popular, most of them soon forgotten.
fn made_up(seed: u64) -> Vec<Request> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (images, days, per_day) = (2_000_u32, 14_u64, 40_000_u64);
    let popularity: Vec<f64> = (0..images)
        .scan(0.0, |sum, rank| {
            *sum += 1.0 / f64::from(rank + 1);
            Some(*sum)
        })
        .collect();
    let size_of = |content: u32| {
        let mut own = fastrand::Rng::with_seed(u64::from(content));
        // A log-normal of wide spread: most layers are small, most bytes are in large ones.
        let normal: f64 = (0..12).map(|_| own.f64()).sum::<f64>() - 6.0;
        ((13.0 + 3.0 * normal).exp() as u64).clamp(128, 600_000_000)
    };
    let mut requests = Vec::new();
    for request in 0..days * per_day {
        let time = request * 86_400_000 / per_day;
        let point = random.f64() * popularity[popularity.len() - 1];
        let image = popularity.partition_point(|sum| *sum < point) as u32;
        // An image has eight layers; every so many days it gets a new version, which changes the upper ones.
        let version = (time / 86_400_000) as u32 / (1 + image % 9);
        for layer in 0..8 {
            let content = if layer < 5 { image * 8 + layer } else { 1_000_000 + (version * images + image) * 8 + layer };
            // Most nodes have the lower layers already.
            if layer >= 5 || random.u8(..) < 64 {
                requests.push(Request { time, content, size: size_of(content) });
            }
        }
    }
    requests
}
