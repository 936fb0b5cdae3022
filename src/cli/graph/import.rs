//! `harbinger graph import`

mod list;
mod log;
mod registry;
mod sink;
mod walk;

use std::{error::Error, path::PathBuf};

use clap::Args;
use futures_util::{Stream, StreamExt, stream};

use super::{
    place::{Holder, Place},
    progress::Progress,
};
use crate::{app, config::Config};
use registry::Registry;
use sink::Sink;
use walk::{Found, Learned, WalkError};

/// Failures that are told in full.
const MOST_TOLD: u64 = 20;

/// The variable that the password for a registry is read from.
const PASSWORD: &str = "REGISTRY_PASSWORD";

/// Let the graph learn from a registry, from demand logs or from a list of images
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph import --registry ghcr.io --repo 'acme/*'
      Learns all images of acme: their layers, and what tags name. Layers are not fetched.
  harbinger graph import --registry https://registry.example
      Learns a whole registry, if it tells what it has.
  harbinger graph import --images images.txt --configs
      Learns the images of a list, one a line, as in a pull, and when they were made.
  harbinger graph import --log /var/lib/harbinger/demand/*.trace
      Learns what was pulled where.

A registry is asked by HEAD what a tag names, and only for manifests that the graph lacks: an import that was interrupted goes on where
it was, and one that is repeated costs little. Four images are looked at at once. A running server learns at once; without one, what it
has left in the data folder does.

Exit codes: 0 all was learned; 1 something was not, which is told.")]
#[group(id = "what", required = true, multiple = false, args = ["registry", "log", "images"])]
pub(super) struct Import {
    #[command(flatten)]
    place: Place,
    /// A registry: an upstream of the configuration by its name, or any other by its URL
    #[arg(long, value_name = "NAME|URL")]
    registry: Option<String>,
    /// Only these repositories: a name, or a pattern in which * stands for any text without / and ** for any text
    #[arg(long, value_name = "PATTERN", requires = "registry")]
    repo: Vec<String>,
    /// User name at the registry; the password is read from REGISTRY_PASSWORD, and what is learned is private
    #[arg(long, value_name = "NAME", env = "REGISTRY_USER", requires = "registry")]
    user: Option<String>,
    /// Demand logs, or other traces
    #[arg(long, value_name = "FILE", num_args = 1..)]
    log: Vec<PathBuf>,
    /// A list of images, one a line; - is the standard input
    #[arg(long, value_name = "FILE")]
    images: Option<PathBuf>,
    /// Fetch the configurations of images too, which say when they were made
    #[arg(long, conflicts_with = "log")]
    configs: bool,
}

impl Import {
    /// Whether all was learned.
    pub(super) async fn run(self) -> Result<bool, Box<dyn Error>> {
        let config = self.place.config()?;
        let sink = Sink::new(Holder::of_or_new(&config)?);
        let learned = self.learn(&config, &sink).await;
        // What was learned before a failure is kept.
        sink.end().await?;
        learned
    }

    async fn learn(self, config: &Config, sink: &Sink) -> Result<bool, Box<dyn Error>> {
        if let Some(registry) = &self.registry {
            let registry = Registry::new(registry, self.credentials()?, config)?;
            let names = registry.repositories(&self.repo).await?;
            eprintln!("{} repositories", names.len());
            return learn_images(registry.images(names), 0, sink, self.configs).await;
        }
        if let Some(file) = &self.images {
            let found = list::read(file, &app::routes(config)?)?;
            let total = found.len() as u64;
            return learn_images(stream::iter(found), total, sink, self.configs).await;
        }
        let log::Replayed { events, lost } = log::replay(&self.log, sink).await?;
        println!("{events} events learned, {lost} lost");
        Ok(lost == 0)
    }

    fn credentials(&self) -> Result<Option<(String, String)>, Box<dyn Error>> {
        let Some(user) = &self.user else { return Ok(None) };
        let password = super::super::environment().into_iter().find(|(name, _)| name == PASSWORD).map(|(_, value)| value);
        let password = password.ok_or_else(|| format!("--user needs a password, in the variable {PASSWORD}"))?;
        Ok(Some((user.clone(), password)))
    }
}

/// Learns images, and tells what came of it. `total` is how many there are, 0 when that is not known.
async fn learn_images(
    found: impl Stream<Item = Found> + Send,
    total: u64,
    sink: &Sink,
    configs: bool,
) -> Result<bool, Box<dyn Error>> {
    let mut tally = Tally { progress: Progress::new("images"), total, images: 0, learned: Learned::default(), failed: 0 };
    let mut learned = std::pin::pin!(walk::learn(found, sink, configs));
    while let Some((image, outcome)) = learned.next().await {
        match outcome {
            Err(error) if error.ends_all() => return tally.tell(Some(format!("{image}: {error}"))),
            outcome => tally.count(&image, outcome),
        }
    }
    tally.tell(None)
}

/// What came of images so far.
struct Tally {
    progress: Progress,
    total: u64,
    images: u64,
    learned: Learned,
    failed: u64,
}

impl Tally {
    fn count(&mut self, image: &str, outcome: Result<Learned, WalkError>) {
        match outcome {
            Ok(Learned { fetched, missing }) => {
                self.images += 1;
                self.learned.fetched += fetched;
                self.learned.missing += missing;
            }
            Err(error) => {
                self.failed += 1;
                if self.failed <= MOST_TOLD {
                    let separator = if image.is_empty() { "" } else { ": " };
                    self.progress.note(&format!("{image}{separator}{error}"));
                }
            }
        }
        self.progress.show(self.images + self.failed, self.total);
    }

    /// Whether all was learned.
    fn tell(self, ended: Option<String>) -> Result<bool, Box<dyn Error>> {
        let Self { progress, images, learned: Learned { fetched, missing }, failed, .. } = self;
        drop(progress);
        println!(
            "{images} images learned, {fetched} manifests fetched, {missing} that the registry lacks, {failed} images failed"
        );
        match ended {
            Some(error) => Err(format!("{error}; start it again to go on").into()),
            None => Ok(failed == 0),
        }
    }
}
