//! `harbinger check`

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;

use super::{environment, failure};
use crate::config::{self, Flags, Sources};

/// Validate the configuration and print what is in force, as TOML, with secrets masked
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger check
      What `harbinger serve` would run with.
  HARBINGER_CACHE__TAG_TTL=5m harbinger check --config harbinger.toml
      A file, with one value from the environment.

Exits with 1 and names file, line, key and cause when something is wrong.")]
pub struct Check {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
}

impl Check {
    pub(super) fn run(self) -> ExitCode {
        let sources = Sources { file: self.config, environment: environment(), flags: Flags::default() };
        let config = match config::load(sources) {
            Ok(config) => config,
            Err(error) => return failure(error),
        };
        let text = match toml::to_string_pretty(&config) {
            Ok(text) => text,
            Err(error) => return failure(format_args!("the configuration cannot be written as TOML: {error}")),
        };
        match io::stdout().write_all(text.as_bytes()) {
            // `harbinger check | head` is no failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failure(error),
            _ => ExitCode::SUCCESS,
        }
    }
}
