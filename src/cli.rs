//! The command line: one file a subcommand.

mod cache;
mod check;
mod demo;
mod gc;
mod graph;
mod list;
mod log;
mod operator;
mod predict;
mod purge;
mod replay;
mod scrub;
mod serve;
mod table;
mod warm;

pub use cache::Cache;
pub use check::Check;
pub use demo::Demo;
pub use gc::Gc;
pub use graph::Graph;
pub use log::Log;
pub use predict::Predict;
pub use purge::Purge;
pub use replay::Replay;
pub use scrub::Scrub;
pub use serve::Serve;
pub use warm::Warm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An OCI registry pull-through cache that fetches layers before they are asked for.
#[derive(Debug, Parser)]
#[command(name = "harbinger", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Serve),
    Check(Check),
    Demo(Demo),
    Gc(Gc),
    Purge(Purge),
    Warm(Warm),
    Predict(Predict),
    Scrub(Scrub),
    Cache(Cache),
    Replay(Replay),
    Graph(Graph),
    Log(Log),
}

const EXAMPLES: &str = "\
Examples:
  harbinger serve
      Mirrors the well-known public registries on 127.0.0.1:5000. Then: crane manifest localhost:5000/docker.io/library/alpine
  harbinger check --config harbinger.toml
      Tells whether a configuration is right, and prints what is in force.
  harbinger demo
      Shows what the cache does, against a registry of its own behind a slow line; needs no network.
  harbinger gc --dry-run
      Tells which pushed bytes belong to no repository any more.
  harbinger purge docker.io/library/nginx:1.27
      Forgets an image, so that the next pull fetches it anew.
  harbinger warm nginx:1.27
      Fetches an image, so that the first pull finds it here.
  harbinger scrub
      Reads everything on disk and finds what has rotted.
  harbinger predict explain nginx:1.27
      Tells what is expected of an image, why, what was decided and what became of it.
  harbinger cache du
      Tells how full each tier is, and for whom.
  harbinger replay ~/.local/share/harbinger/demand/*.trace --policy lru,served
      Tells how well other policies and prefetchers would have served what was asked for.
  harbinger graph shares nginx:1.27
      Tells what an image shares with others, and how many bytes that saves.
  harbinger log export --format csv --since 24h
      Gives what was asked for since yesterday to other programs.

Every configuration key can be set by an environment variable: HARBINGER_SERVER__LISTEN=0.0.0.0:5000";

impl Cli {
    /// Runs the subcommand to its end, on a multi-threaded tokio runtime.
    pub async fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(serve) => serve.run().await,
            Command::Check(check) => check.run(),
            Command::Gc(gc) => gc.run().await,
            Command::Purge(purge) => purge.run().await,
            Command::Warm(warm) => warm.run().await,
            Command::Predict(predict) => predict.run().await,
            Command::Scrub(scrub) => scrub.run().await,
            Command::Cache(cache) => cache.run().await,
            Command::Replay(replay) => replay.run().await,
            Command::Graph(graph) => graph.run().await,
            Command::Log(log) => log.run(),
            Command::Demo(demo) => demo.run().await.map_or_else(failure, |()| ExitCode::SUCCESS),
        }
    }
}

/// The only place that reads the environment of the process.
fn environment() -> Vec<(String, String)> {
    let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

fn failure(error: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
