//! `harbinger log`

mod csv;
mod export;
#[cfg(feature = "parquet")]
mod parquet;
mod row;
mod when;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use super::{
    environment, failure,
    table::{
        Align::{Left, Right},
        Table, size,
    },
};
use crate::{
    config::{self, Flags, Privacy, Sources},
    events::log::{DemandLogSettings, Segment, Segments},
};

/// Look into the demand log, and give it to other programs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger log ls
      Tells which segments there are, of what time and size.
  harbinger log export --format csv --since 24h > day.csv
      Gives all events of the last day as a table.
  harbinger log export --format jsonl --since 2026-11-01 --until 2026-12-01 --out november.jsonl
      Gives a month as JSON, one event a line.

The log is read where it lies, whether a server runs or not; a running one is behind by a second at most.")]
pub struct Log {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(Ls),
    Export(export::Export),
}

/// List the segments of the demand log
#[derive(Debug, Args)]
struct Ls {
    #[command(flatten)]
    place: Place,
}

/// Where the log is.
#[derive(Debug, Args)]
struct Place {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Log {
    pub(super) fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Ls(ls) => ls.list(),
            Command::Export(export) => export.run(),
        };
        done.map_or_else(failure, |()| ExitCode::SUCCESS)
    }
}

impl Place {
    /// The segments, the oldest first.
    ///
    /// # Errors
    /// When there is none, or they cannot be listed.
    fn segments(self) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        let flags = Flags { data: self.data, ..Flags::default() };
        let config = config::load(Sources { file: self.config, environment: environment(), flags })?;
        let folder = DemandLogSettings::folder_in(&config.storage.data);
        let paths = Segments::in_folder(&folder).paths().map_err(|error| format!("{}: {error}", folder.display()))?;
        if paths.is_empty() {
            let cure = match config.demand_log.privacy {
                Privacy::Off => "the demand log is off: set demand_log.privacy, and restart the server",
                _ => "nothing has been asked of a server there; name its folder with --data",
            };
            return Err(format!("there is no demand log in {}: {cure}", folder.display()).into());
        }
        Ok(paths)
    }
}

impl Ls {
    fn list(self) -> Result<(), Box<dyn Error>> {
        let mut table = Table::new([
            ("SEGMENT", Left),
            ("FROM", Left),
            ("TO", Left),
            ("EVENTS", Right),
            ("SIZE", Right),
            ("CUSTOMERS", Left),
        ]);
        let (mut events, mut bytes, mut unfinished) = (0, 0, Vec::new());
        for path in self.place.segments()? {
            let segment = match Segment::look_at(&path) {
                Ok(segment) => segment,
                Err(error) => {
                    eprintln!("warning: {}: {error}", path.display());
                    continue;
                }
            };
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let [from, to] = segment.times.map_or_else(Default::default, |(from, to)| [from, to].map(when::written));
            events += segment.events;
            bytes += segment.bytes;
            if segment.rest > 0 {
                unfinished.push(format!("{name}: the last {} are no whole block", size(segment.rest)));
            }
            let privacy = segment.header.privacy.as_str().to_owned();
            table.push([name, from, to, segment.events.to_string(), size(segment.bytes), privacy]);
        }
        print!("{table}");
        println!("{events} events, {}", size(bytes));
        unfinished.iter().for_each(|line| println!("{line}"));
        Ok(())
    }
}
