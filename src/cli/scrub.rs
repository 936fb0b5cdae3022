//! `harbinger scrub`

use std::{
    error::Error,
    io::IsTerminal,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use clap::Args;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    environment, operator,
    table::{Align, Table, size},
};
use crate::{
    api::{DamageReport, ScrubReport, ScrubState},
    app::ScrubAtRest,
    config::{self, Flags, Sources},
};

/// How often the server is asked how far it is.
const TICK: Duration = Duration::from_millis(200);

/// How often that is told where no bar can be drawn.
const LINE: Duration = Duration::from_secs(10);

/// Read everything on disk and find what has rotted
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger scrub
      Hashes every file, as fast as the disks are; while clients are served, it makes pauses.
  harbinger scrub --data /var/lib/harbinger --rate 50MiB
      Reads at most 50 MiB in a second.
  harbinger scrub --json | jq -r '.damaged[].digest'
      Names what was damaged.

Exit codes: 0 all is right; 1 something is damaged, or could not be read; 2 it could not be done.

What is damaged on a disk tier is moved to the folder 'quarantine' beside it, and fetched anew when it is next asked for, or at
once by a running server. What was pushed here is named but stays as it is: push it again. Files are read from the device as far
as the kernel lets go of what it remembers of them; what a drive or a file system of its own remembers cannot be seen through.

A server that runs on the data folder is asked to do it, and goes on when this command is interrupted; without one it is done
here. The server does it by itself too, every storage.scrub_interval, at storage.scrub_rate.")]
pub struct Scrub {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Bytes per second at most, such as 50MiB
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    rate: Option<ByteSize>,
    /// Tell what was found as JSON
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<ByteSize, String> {
    match text.parse::<ByteSize>() {
        Ok(rate) if rate.as_u64() > 0 => Ok(rate),
        _ => Err("must be a number of bytes such as 50MiB, and more than nothing".to_owned()),
    }
}

/// Who scrubs.
enum By {
    /// The server that runs on this folder.
    Server(PathBuf),
    /// This process.
    Here(Box<ScrubAtRest>),
}

impl Scrub {
    pub(super) async fn run(self) -> ExitCode {
        let json = self.json;
        match self.scrub().await {
            Ok(found) => {
                print(&found, json);
                ExitCode::from(u8::from(found.damaged_count + found.unreadable > 0))
            }
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        }
    }

    async fn scrub(self) -> Result<ScrubState, Box<dyn Error>> {
        let flags = Flags { data: self.data, ..Flags::default() };
        let config = config::load(Sources { file: self.config, environment: environment(), flags })?;
        let by = match ScrubAtRest::open(&config)? {
            Some(here) => By::Here(Box::new(here)),
            None => By::Server(config.storage.data),
        };
        let mut progress = Progress::new();
        let mut state = by.begin(self.rate).await?;
        while state.running {
            progress.show(&state);
            tokio::time::sleep(TICK).await;
            state = by.state().await?;
        }
        progress.bar.finish_and_clear();
        by.end().await;
        Ok(state)
    }
}

impl By {
    async fn begin(&self, rate: Option<ByteSize>) -> Result<ScrubState, Box<dyn Error>> {
        match self {
            Self::Server(data) => {
                let rate = rate.map(|rate| format!("?rate={}", rate.as_u64())).unwrap_or_default();
                let report: ScrubReport = operator::ask(data, Method::POST, &format!("/api/v1/scrub{rate}")).await?;
                Ok(report.asked)
            }
            Self::Here(here) => {
                here.scrubber().request(rate.map_or(u64::MAX, |rate| rate.as_u64()));
                self.state().await
            }
        }
    }

    async fn state(&self) -> Result<ScrubState, Box<dyn Error>> {
        match self {
            Self::Server(data) => {
                let report: ScrubReport = operator::ask(data, Method::GET, "/api/v1/scrub").await?;
                Ok(report.asked)
            }
            Self::Here(here) => Ok(ScrubReport::of(here.scrubber()).asked),
        }
    }

    async fn end(self) {
        if let Self::Here(here) = self {
            here.close().await;
        }
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    said: Instant,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = "{bar:40} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left{msg}";
        // The template is known to be right; without it there would be a plainer bar.
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, said: Instant::now() }
    }

    fn show(&mut self, state: &ScrubState) {
        // More may have come than there was at the beginning.
        self.bar.set_length(state.total_bytes.max(state.bytes));
        self.bar.set_position(state.bytes);
        if state.damaged_count > 0 {
            self.bar.set_message(format!(", {} damaged", state.damaged_count));
        }
        if !std::io::stderr().is_terminal() && self.said.elapsed() >= LINE {
            self.said = Instant::now();
            let ScrubState { checked, total, bytes, total_bytes, damaged_count, .. } = state;
            let of = format!("{checked} of {total} files, {} of {}", size(*bytes), size(*total_bytes));
            eprintln!("checked {of}; {damaged_count} damaged");
        }
    }
}

fn print(found: &ScrubState, json: bool) {
    if json {
        // Strings and numbers cannot fail to be written as JSON.
        return println!("{}", serde_json::to_string_pretty(found).unwrap_or_default());
    }
    let ScrubState { checked, bytes, damaged, damaged_count, unreadable, .. } = found;
    if !damaged.is_empty() {
        print!("{}", table(damaged));
    }
    let untold = damaged_count - damaged.len() as u64;
    if untold > 0 {
        println!("…and {untold} more");
    }
    let judgement = match (damaged_count, unreadable) {
        (0, 0) => "all is right".to_owned(),
        (damaged, 0) => format!("{damaged} damaged"),
        (damaged, unreadable) => format!("{damaged} damaged, {unreadable} could not be read"),
    };
    println!("checked {checked} files, {}: {judgement}", size(*bytes));
}

fn table(damaged: &[DamageReport]) -> Table<5> {
    let heading =
        [("FAULT", Align::Left), ("TIER", Align::Left), ("SIZE", Align::Right), ("NOW", Align::Left), ("DIGEST", Align::Left)];
    let mut table = Table::new(heading);
    for damage in damaged {
        let now = if damage.tier == "hosted" { "left in place" } else { "set aside" };
        let DamageReport { digest, tier, fault, .. } = damage;
        table.push([fault.clone(), tier.clone(), size(damage.size), now.to_owned(), digest.clone()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_more_than_nothing() {
        assert_eq!(rate("50MiB"), Ok(ByteSize::mib(50)));
        for text in ["0", "", "fast", "-1"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
