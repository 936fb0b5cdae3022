//! `harbinger graph`

mod export;
mod import;
mod place;
mod print;
pub(super) mod progress;
mod question;

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use self::question::{Part, Source, Target};
use super::failure;

/// Ask what images are made of, what they share, and what is wanted
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph stats
      Tells how much is known, and how many times over sharing pays.
  harbinger graph shares docker.io/library/nginx:1.27
      Tells which images share layers with it, and how many bytes that saves.
  harbinger graph shares sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1
      Tells which images have this layer.
  harbinger graph base docker.io/library/nginx:1.27 --platform linux/arm64
      Tells what it is built on.
  harbinger graph versions docker.io/library/nginx:1.27
      Tells what the tag named, and which versions came before and after.
  harbinger graph together docker.io/library/nginx
      Tells what else whoever pulls it pulls.
  harbinger graph top --region eu --by rate
      Tells which layers are wanted most there.
  harbinger graph around docker.io/library/nginx:1.27 --depth 2 --json
      Gives the nodes and edges around it.
  harbinger graph import --registry ghcr.io --repo 'acme/*'
      Learns what a registry has, before anybody has pulled it.
  harbinger graph export --format graphml --out graph.graphml
      Writes all of it into a file.

An image is named as in a pull: nginx is docker.io/library/nginx:latest, and local/app:1 was pushed here. A server that runs on the
data folder is asked; without one, what it has left there is read.")]
pub struct Graph {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Stats(Stats),
    Shares(Shares),
    Base(Base),
    Versions(Versions),
    Together(Together),
    Top(Top),
    Around(Around),
    Export(export::Export),
    Import(import::Import),
}

/// Tell how much is known, and how much of it is shared
#[derive(Debug, Args)]
#[command(after_help = "\
FAN-OUT says in how many images a layer is: half of all layers (p50) are in no more than that, and so on. The ratio is what all
layers of all images would take, divided by what they take when each is kept once.")]
struct Stats {
    #[command(flatten)]
    source: Source,
}

/// Tell which images have a layer, or what an image shares with each of its neighbours
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph shares nginx:1.27
      Tells what it shares with its neighbours: the one with most bytes in common first.
  harbinger graph shares nginx:1.27 --platform linux/arm64 --limit 100 --offset 100
      Tells the second hundred of the image for another platform.
  harbinger graph shares sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1 --long
      Tells which images have this layer, with whole digests.

SAVED is what the one does not cost where the other is. TAGS are those that name the image now.")]
struct Shares {
    #[command(flatten)]
    source: Source,
    /// An image, or the digest of a layer
    #[arg(value_name = "WHAT")]
    of: String,
    /// Which image of an index [default: linux/amd64, or the first one]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    platform: Option<String>,
    #[command(flatten)]
    part: Part,
    /// Tell digests whole
    #[arg(long)]
    long: bool,
}

/// Tell what an image is built on
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph base nginx:1.27
      Tells the image that it is built on, the one that that is built on, and so on.

DECLARED says whether the image says so itself, in the annotation org.opencontainers.image.base.digest. Otherwise its layers say
it: they begin with all the layers of the other one.")]
struct Base {
    #[command(flatten)]
    source: Source,
    /// An image
    #[arg(value_name = "IMAGE")]
    of: String,
    /// Which image of an index [default: linux/amd64, or the first one]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    platform: Option<String>,
    /// Tell digests whole
    #[arg(long)]
    long: bool,
}

/// Tell what came before and after a tag or an image
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph versions nginx:1.27
      Tells what the tag names and named, and the tags of earlier and later versions.
  harbinger graph versions nginx@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1
      Tells which tags named this image, and what they named before and after.")]
struct Versions {
    #[command(flatten)]
    source: Source,
    /// A tag, or an image by its digest
    #[arg(value_name = "IMAGE")]
    of: String,
    #[command(flatten)]
    part: Part,
    /// Tell digests whole
    #[arg(long)]
    long: bool,
}

/// Tell what is pulled together with a repository
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph together docker.io/library/nginx
      Tells what the same clients pulled soon before and after it.

WEIGHT counts how often, each time halved every week.")]
struct Together {
    #[command(flatten)]
    source: Source,
    /// A repository, or an image in it
    #[arg(value_name = "REPOSITORY")]
    of: String,
    #[command(flatten)]
    part: Part,
}

/// Tell which layers are worth most in a region
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph top --region eu
      Tells which layers cost most to fetch there, if they were not kept.
  harbinger graph top --region eu --by rate --limit 5
      Tells the five that are asked for most.

HOUR, DAY and WEEK count the requests, each halved after that time. By bytes, DAY times SIZE decides; by rate, DAY alone.")]
struct Top {
    #[command(flatten)]
    source: Source,
    /// The region, as server.region of an edge says
    #[arg(long, value_name = "NAME")]
    region: String,
    /// What makes a layer valuable
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = By::Bytes)]
    by: By,
    #[command(flatten)]
    part: Part,
    /// Tell digests whole
    #[arg(long)]
    long: bool,
}

/// Give the nodes and edges around an image, a repository or a layer
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger graph around nginx:1.27
      Tells what the tag is tied to.
  harbinger graph around docker.io/library/nginx --depth 2 --limit 1000 --json
      Gives all that is two edges away from a repository, for a program.")]
struct Around {
    #[command(flatten)]
    source: Source,
    /// An image, a repository or a digest
    #[arg(value_name = "WHAT")]
    of: String,
    /// Over how many edges, up to 4
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    depth: usize,
    /// How many nodes at most, up to 1,000
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Tell digests whole
    #[arg(long)]
    long: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// The bytes that are asked for
    Bytes,
    /// The requests for it
    Rate,
}

impl Graph {
    pub(super) async fn run(self) -> ExitCode {
        let told = match self.command {
            Command::Stats(Stats { source }) => source.tell(Target::new("stats"), print::stats).await,
            Command::Shares(Shares { source, of, platform, part, long }) => {
                let target = Target::new("shares").with("of", of).with("platform", platform).part(part);
                source.tell(target, |sharing| print::sharing(sharing, long)).await
            }
            Command::Base(Base { source, of, platform, long }) => {
                let target = Target::new("bases").with("of", of).with("platform", platform);
                source.tell(target, |bases| print::bases(bases, long)).await
            }
            Command::Versions(Versions { source, of, part, long }) => {
                source.tell(Target::new("versions").with("of", of).part(part), |found| print::versions(found, long)).await
            }
            Command::Together(Together { source, of, part }) => {
                source.tell(Target::new("together").with("of", of).part(part), print::together).await
            }
            Command::Top(Top { source, region, by, part, long }) => {
                let by = match by {
                    By::Bytes => "bytes",
                    By::Rate => "rate",
                };
                let target = Target::new("top").with("region", region).with("sort", by.to_owned()).part(part);
                source.tell(target, |top| print::top(top, long)).await
            }
            Command::Around(Around { source, of, depth, limit, long }) => {
                let target = Target::new("around").with("of", of);
                let target = target.with("depth", depth.to_string()).with("limit", limit.to_string());
                source.tell(target, |around| print::around(around, long)).await
            }
            Command::Export(export) => export.run().await,
            Command::Import(import) => match import.run().await {
                Ok(true) => Ok(()),
                Ok(false) => return ExitCode::FAILURE,
                Err(error) => Err(error),
            },
        };
        told.map_or_else(failure, |()| ExitCode::SUCCESS)
    }
}
