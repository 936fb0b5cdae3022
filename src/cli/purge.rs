//! `harbinger purge`

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bytesize::ByteSize;
use clap::Args;
use hyper::Method;

use super::{environment, failure, operator};
use crate::{
    api::{PurgeEntry, PurgeReport},
    app,
    config::{self, Flags, Sources},
    registry::Selection,
};

/// Forget a part of the cache, so that the next pull fetches it anew
#[derive(Debug, Args)]
#[command(after_help = "\
What can be named:
  docker.io/library/nginx            a repository: its tags, and all manifests and blobs that were pulled from it
  docker.io/library/nginx:1.27       a tag, and what nothing else of the repository uses
  docker.io/library/nginx@sha256:…   a manifest, its tags, and what nothing else of the repository uses; or a blob
  sha256:…                           a content in all repositories, and in the bucket that other servers share
  'docker.io/library/*'              all repositories that match: * is any text without '/', ** any text
  'ghcr.io/acme/**:pr-*'             all tags that match

Examples:
  harbinger purge nginx:1.27 --dry-run
      Tells what would be forgotten; nginx is docker.io/library/nginx, as in a pull.
  harbinger purge 'ghcr.io/acme/**:pr-*' --data /var/lib/harbinger
      Forgets the images of all pull requests.
  harbinger purge sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1
      Forgets one content everywhere, because it must not be kept.

Bytes leave the cache when no repository has them any more: what is told as 'shared' is read by another one. A tag matched by
immutable_tags is asked for again only after it was purged. Readers are not disturbed: an answer that is under way is finished.

A server that runs on the data folder is asked to do it, and goes on serving; without one it is done here. Repositories that are
hosted here are never touched: nothing could bring them back. Their tags and manifests are deleted with DELETE, and 'harbinger
gc' frees the bytes.")]
pub struct Purge {
    /// What to forget; see below
    #[arg(required = true, value_name = "WHAT", value_parser = str::parse::<Selection>)]
    what: Vec<Selection>,
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Forget nothing, only tell what would be forgotten
    #[arg(long)]
    dry_run: bool,
}

impl Purge {
    pub(super) async fn run(self) -> ExitCode {
        match self.purge().await {
            Ok(reports) => {
                reports.iter().for_each(print);
                ExitCode::SUCCESS
            }
            Err(error) => failure(error),
        }
    }

    async fn purge(self) -> Result<Vec<PurgeReport>, Box<dyn std::error::Error>> {
        let flags = Flags { data: self.data, ..Flags::default() };
        let config = config::load(Sources { file: self.config, environment: environment(), flags })?;
        let spinner = indicatif::ProgressBar::new_spinner().with_message("looking at what is cached…");
        spinner.enable_steady_tick(Duration::from_millis(100));
        let reports = match app::purge(&config, &self.what, self.dry_run).await? {
            Some(purged) => {
                let selected = self.what.iter().zip(purged);
                selected.map(|(selection, purged)| PurgeReport::new(selection, purged, self.dry_run)).collect()
            }
            None => {
                let mut reports = Vec::with_capacity(self.what.len());
                for selection in &self.what {
                    let mut query = url::form_urlencoded::Serializer::new(String::new());
                    query.append_pair("what", &selection.to_string());
                    let path = format!("/api/v1/purge?{}&dry_run={}", query.finish(), self.dry_run);
                    reports.push(operator::ask(&config.storage.data, Method::POST, &path).await?);
                }
                reports
            }
        };
        spinner.finish_and_clear();
        Ok(reports)
    }
}

fn print(report: &PurgeReport) {
    for PurgeEntry { kind, name, size, bytes } in &report.entries {
        let size = size.map(in_words).unwrap_or_default();
        println!("{kind:<8}  {name}  {size:>10}  {}", bytes.as_deref().unwrap_or_default());
    }
    if report.unnamed > 0 {
        println!("…and {} more", report.unnamed);
    }
    if report.under_way > 0 {
        println!("{} of them are being fetched; who reads them now gets them whole", report.under_way);
    }
    let done = if report.dry_run { "would forget" } else { "forgot" };
    let PurgeReport { what, tags, manifests, blobs, removed, bytes, .. } = report;
    let of = format!("{what}: {done} {tags} tags, {manifests} manifests, {blobs} blobs");
    println!("{of}; {removed} contents leave the cache, {}", in_words(*bytes));
}

fn in_words(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}
