//! What the tiers cost: a hit in each, a start with many files, a decision what leaves, and moving while clients are served.
//!
//! `cargo bench --bench tiers [-- FILES]`; FILES is how many lie on disk at the start, a million unless told.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use harbinger::{
    config,
    oci::{Algorithm, Digest},
    telemetry::{Metrics, TierName},
    tiers::{
        Bucket, Content, ContentStore, DecayedCounts, DiskSettings, Index, ObjectTier, ScrubSettings, Tier, TierSettings, Tiers,
        Wanted,
    },
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const SMALL: usize = 16 << 10;
const LARGE: usize = 8 << 20;

fn main() -> Outcome {
    let files = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    entries()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        start(files).await?;
        hits().await?;
        moving().await
    })
}

/// A million entries in memory.
fn entries() -> Outcome {
    const ENTRIES: u64 = 1_000_000;
    const VICTIMS: u64 = 50_000;
    println!("a million entries");
    let digests: Vec<_> = (0..ENTRIES).map(digest).collect();
    let before = resident()?;
    let mut index = Index::new(TierName::Ssd, None, 1.0, Arc::new(DecayedCounts));
    for (n, digest) in digests.iter().enumerate() {
        index.insert(*digest, 1000 + n as u64 % 1000, Duration::from_secs(n as u64 % 100_000));
    }
    let memory = resident()?.saturating_sub(before);
    println!("  {:<34} {:>10.1} bytes", "memory per entry", memory as f64 / ENTRIES as f64);
    let target = index.bytes() / ENTRIES * (ENTRIES - VICTIMS);
    let begun = Instant::now();
    let victims = index.shrink(target).len();
    println!("  {:<34} {:>10.2} us", "choosing a victim", begun.elapsed().as_secs_f64() * 1e6 / victims as f64);
    let wanted = Wanted::default();
    let begun = Instant::now();
    for digest in digests.iter().step_by(10) {
        index.touch(digest, &wanted);
    }
    println!("  {:<34} {:>10.2} us", "noting a request", begun.elapsed().as_secs_f64() * 1e6 / (ENTRIES / 10) as f64);
    Ok(())
}

/// Start with many files on disk.
async fn start(files: u64) -> Outcome {
    println!("start with {files} files on disk");
    let folder = tempfile::tempdir()?;
    for shard in 0..=255_u8 {
        fs::create_dir_all(folder.path().join(format!("blobs/sha256/{shard:02x}")))?;
    }
    for n in 0..files {
        let hex = digest(n).hex();
        fs::write(folder.path().join("blobs/sha256").join(&hex[..2]).join(&hex), content(n))?;
    }
    let before = resident()?;
    let begun = Instant::now();
    let tiers = open(vec![DiskSettings::new(folder.path(), 1 << 40)], 0)?;
    println!("  {:<34} {:>10.1} ms", "open", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    tiers.lookup(&digest(files / 2), &Wanted::default()).await.ok_or("a file was not found")?;
    println!("  {:<34} {:>10.1} ms", "first hit, while listing", begun.elapsed().as_secs_f64() * 1e3);
    while !tiers.disks()[0].is_listed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("  {:<34} {:>10.1} ms", "everything listed", begun.elapsed().as_secs_f64() * 1e3);
    println!("  {:<34} {:>10.1} bytes", "memory per file", resident()?.saturating_sub(before) as f64 / files as f64);
    drop(tiers);

    let half = (0..files).map(|n| content(n).len() as u64).sum::<u64>() / 2;
    let begun = Instant::now();
    let tiers = open(vec![DiskSettings::new(folder.path(), half)], 0)?;
    println!("  {:<34} {:>10.1} ms", "open with half of the limit", begun.elapsed().as_secs_f64() * 1e3);
    while !tiers.disks()[0].is_listed() || tiers.disks()[0].usage().bytes > half {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("  {:<34} {:>10.1} ms", "shrunk, in the background", begun.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// What a hit costs before its bytes are sent.
async fn hits() -> Outcome {
    const ROUNDS: u32 = 100_000;
    println!("a hit, until its bytes can be sent");
    let (fast, slow) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let tiers = open(two(fast.path(), slow.path(), 1 << 30), 0)?;
    let (small, large) = (Bytes::from(vec![1; SMALL]), Bytes::from(vec![2; LARGE]));
    let below = Bytes::from(vec![3; LARGE]);
    for content in [&small, &large] {
        tiers.store(&digest_of(content), Content::Bytes(content.clone())).await?;
    }
    tiers.disks()[1].store(&digest_of(&below), Content::Bytes(below.clone())).await?;
    let bucket = object(fast.path(), &large).await?;
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        bucket.open(&digest_of(&large), 0).await.ok_or("a content is gone from the bucket")?;
    }
    println!(
        "  {:<34} {:>10.2} us",
        "object, 8 MiB, a bucket in memory",
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    );
    for (name, content) in [("memory, 16 KiB", &small), ("ssd, 8 MiB", &large), ("hdd, 8 MiB", &below)] {
        let (digest, wanted) = (digest_of(content), Wanted::default());
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            tiers.lookup(&digest, &wanted).await.ok_or("a content is gone")?;
        }
        println!("  {name:<34} {:>10.2} us", begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
    Ok(())
}

/// A bucket that holds a content.
async fn object(data: &Path, content: &Bytes) -> Result<ObjectTier, Box<dyn std::error::Error>> {
    let bucket = Bucket::over(Arc::new(object_store::memory::InMemory::new()), None, "");
    let runtime = tokio::runtime::Handle::current();
    let tier = ObjectTier::start(bucket, &config::Object::default(), data, &Metrics::new(), runtime)?;
    tier.store(&digest_of(content), Content::Bytes(content.clone())).await?;
    Ok(tier)
}

/// Hits while contents are moved at full speed, and while nothing is moved.
async fn moving() -> Outcome {
    println!("hits on ssd, 99th percentile of five runs each, in turns");
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let [still, moving] = [hits_while(0).await?, hits_while(64 << 20).await?];
        println!("  nothing moves {:>8.1} us, 64 MiB/s are moved {:>8.1} us", still * 1e6, moving * 1e6);
        ratios.push(moving / still);
    }
    ratios.sort_by(f64::total_cmp);
    println!("  {:<34} {:>10.2}", "ratio, median", ratios[2]);
    Ok(())
}

async fn hits_while(move_rate: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let (fast, slow) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let tiers = Arc::new(open(two(fast.path(), slow.path(), 256 << 20), move_rate)?);
    let hot: Vec<_> = (0..8_u8).map(|n| Bytes::from(vec![n; 1 << 20])).collect();
    for content in &hot {
        tiers.store(&digest_of(content), Content::Bytes(content.clone())).await?;
    }
    // More than fits under the mark: there is always something to be moved down.
    for n in 0..60_u8 {
        let content = Bytes::from(vec![100 + n; 4 << 20]);
        tiers.store(&digest_of(&content), Content::Bytes(content)).await?;
    }
    tiers.start(&tokio::runtime::Handle::current());
    let mut waits = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        for content in &hot {
            let digest = digest_of(content);
            let asked = Instant::now();
            tiers.lookup(&digest, &Wanted::default()).await.ok_or("a content is gone")?;
            waits.push(asked.elapsed().as_secs_f64());
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    waits.sort_by(f64::total_cmp);
    Ok(waits[waits.len() * 99 / 100])
}

fn two(fast: &Path, slow: &Path, limit: u64) -> Vec<DiskSettings> {
    let disk = |name: &str, kind, folder, limit, elsewhere| DiskSettings {
        name: name.to_owned(),
        kind,
        elsewhere,
        ..DiskSettings::new(folder, limit)
    };
    vec![disk("fast", TierName::Ssd, fast, limit, Some(TierName::Hdd)), disk("slow", TierName::Hdd, slow, 1 << 40, None)]
}

fn open(disks: Vec<DiskSettings>, move_rate: u64) -> std::io::Result<Tiers> {
    let hosted = ContentStore::open(&disks[0].folder)?;
    Tiers::open(
        TierSettings { memory_limit: 64 << 20, memory_max_entry: 256 << 10, disks, move_rate, scrub: ScrubSettings::NEVER },
        hosted,
    )
}

fn content(n: u64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn digest(n: u64) -> Digest {
    digest_of(&content(n))
}

fn digest_of(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

/// Bytes of this process in memory.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}
