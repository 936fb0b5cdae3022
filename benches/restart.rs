//! How long the catalog takes to open with a million links after its process was killed, beside a clean stop.
//!
//! `cargo bench --bench restart` starts itself as a second process that writes the links, kills it in the middle of further
//! writes (SIGKILL), and times the opening and the first read. The promise is two seconds.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use futures_util::future::join_all;
use harbinger::{
    catalog::{Catalog, Link, Repository},
    oci::{Algorithm, Digest},
};

const LINKS: u64 = 1_000_000;
const GROUP: u64 = 4_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if let Some(file) = arguments.next() {
        return runtime.block_on(write_until_killed(Path::new(&file)));
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("catalog.redb");

    let mut writer = Command::new(std::env::current_exe()?).arg(&file).stdout(Stdio::piped()).spawn()?;
    let output = writer.stdout.take().ok_or("the writer has no output")?;
    let ready = BufReader::new(output).lines().next();
    writer.kill()?;
    writer.wait()?;
    ready.ok_or("the writer ended before it was ready")??;

    let size = std::fs::metadata(&file)?.len() >> 20;
    time("after SIGKILL", &file)?;
    time("after a clean stop", &file)?;
    println!("{LINKS} links, {size} MiB");
    Ok(())
}

fn time(what: &str, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let catalog = Catalog::open(file)?;
    let found = catalog.link(&repository(LINKS / 2)?, &digest(LINKS / 2))?;
    println!("{what:<20} open and first read: {:>8.1} ms", begun.elapsed().as_secs_f64() * 1000.0);
    found.map(drop).ok_or_else(|| "a durable link was lost".into())
}

async fn write_until_killed(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let catalog = Catalog::open(file)?;
    for first in (0..).step_by(GROUP as usize) {
        let mut writes = Vec::new();
        for n in first..first + GROUP {
            writes.push(catalog.put_link(&repository(n)?, &digest(n), Link { size: Some(n), media_type: None }));
        }
        for result in join_all(writes).await {
            result?;
        }
        if first == LINKS {
            println!("ready");
        }
    }
    Ok(())
}

fn repository(n: u64) -> Result<Repository, harbinger::oci::InvalidName> {
    Ok(Repository { route: "docker.io".into(), name: format!("library/app{}", n % 10_000).parse()? })
}

fn digest(n: u64) -> Digest {
    Digest::of(Algorithm::Sha256, &n.to_be_bytes())
}
