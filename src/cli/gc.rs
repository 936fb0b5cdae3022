//! `harbinger gc`

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bytesize::ByteSize;
use clap::Args;
use hyper::Method;

use super::{environment, failure, operator};
use crate::{
    api::GarbageReport,
    app,
    config::{self, Flags, Sources},
};

/// Delete pushed bytes that no repository has any more
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger gc --dry-run
      Tells what would be deleted.
  harbinger gc --data /var/lib/harbinger --grace 10m
      Deletes what was written more than ten minutes ago and belongs to no repository.

A server that runs on the data folder is asked to do it, and goes on serving; without one it is done here. The server does it
by itself too, every hosted.gc_interval. The cache of mirrored registries is not touched: it keeps within its limit by itself.")]
pub struct Gc {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Delete nothing, only tell what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Spare what was written less than this ago [default: hosted.gc_grace, an hour]
    #[arg(long, value_name = "DURATION", value_parser = humantime_serde::re::humantime::parse_duration)]
    grace: Option<Duration>,
}

impl Gc {
    pub(super) async fn run(self) -> ExitCode {
        match self.collect().await {
            Ok(report) => {
                print(&report);
                ExitCode::SUCCESS
            }
            Err(error) => failure(error),
        }
    }

    async fn collect(self) -> Result<GarbageReport, Box<dyn std::error::Error>> {
        let flags = Flags { data: self.data, ..Flags::default() };
        let config = config::load(Sources { file: self.config, environment: environment(), flags })?;
        let spinner = indicatif::ProgressBar::new_spinner().with_message("looking at what was pushed…");
        spinner.enable_steady_tick(Duration::from_millis(100));
        let report = match app::collect_garbage(&config, self.grace, self.dry_run).await? {
            Some(collected) => GarbageReport::new(&collected, self.dry_run),
            None => {
                let grace = self.grace.map(|grace| format!("&grace={}ms", grace.as_millis())).unwrap_or_default();
                let path = format!("/api/v1/gc?dry_run={}{grace}", self.dry_run);
                operator::ask(&config.storage.data, Method::POST, &path).await?
            }
        };
        spinner.finish_and_clear();
        Ok(report)
    }
}

fn print(report: &GarbageReport) {
    let in_words = |bytes: u64| ByteSize::b(bytes).display().iec().to_string();
    for garbage in &report.garbage {
        let age = humantime_serde::re::humantime::format_duration(Duration::from_secs(garbage.age));
        println!("{}  {:>10}  written {age} ago", garbage.digest, in_words(garbage.size));
    }
    println!("looked at {}; {} without a repository are too new to be deleted", report.examined, report.in_grace);
    let bytes = report.garbage.iter().map(|garbage| garbage.size).sum();
    let done = if report.dry_run { "would delete" } else { "deleted" };
    println!("{done} {} blobs, {}", report.garbage.len(), in_words(bytes));
}
