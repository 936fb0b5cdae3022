//! `harbinger log export`

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Place, csv, row::Row, when};
use crate::events::{
    Event, Millis,
    log::{Losses, TraceReader},
};

/// Events after which the progress bar is moved on.
const STEP: u64 = 10_000;

/// Give events to other programs
#[derive(Debug, Args)]
#[command(after_help = "\
csv and parquet have one row per event, of all kinds: the column 'event' tells them apart. jsonl has one JSON object a line, with
all that the log knows. docs/trace-format.md describes the log's own format.

A time is RFC 3339 (2026-11-23T06:00:00Z), a date (2026-11-23) or how long ago it was (24h).")]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    /// Traces to be read instead of the log in the data folder
    #[arg(value_name = "TRACE", conflicts_with = "data")]
    traces: Vec<PathBuf>,
    /// How it is written
    #[arg(long, value_enum)]
    format: Format,
    /// From when on
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    since: Option<Millis>,
    /// Until when, that moment excluded
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    until: Option<Millis>,
    /// File to be written; it is there when it is whole [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
    Parquet,
}

/// Who writes events down.
pub(super) trait Sink {
    fn push(&mut self, event: &Event) -> Result<(), Box<dyn Error>>;

    fn finish(self: Box<Self>) -> Result<(), Box<dyn Error>>;
}

impl Export {
    pub(super) fn run(self) -> Result<(), Box<dyn Error>> {
        let wanted = self.since.unwrap_or(0)..=self.until.map_or(Millis::MAX, |until| until.saturating_sub(1));
        if wanted.is_empty() || self.until == Some(0) {
            return Err("nothing lies between --since and --until: --since must be the earlier one".into());
        }
        self.format.check(self.out.as_deref())?;
        let traces = if self.traces.is_empty() { self.place.segments()? } else { self.traces };
        let unfinished = self.out.as_ref().map(|out| out.with_added_extension("part"));
        let out: Box<dyn Write + Send> = match &unfinished {
            Some(path) => Box::new(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?),
            None => Box::new(io::stdout()),
        };
        let mut sink = self.format.sink(BufWriter::with_capacity(256 << 10, out))?;
        let exported = export(&traces, &wanted, &mut *sink).and_then(|losses| sink.finish().map(|()| losses));
        let losses = match exported {
            Ok(losses) => losses,
            // Whoever reads has seen enough.
            Err(error) if is_broken_pipe(&*error) => return Ok(()),
            Err(error) => {
                if let Some(path) = unfinished {
                    let _ = fs::remove_file(path);
                }
                return Err(error);
            }
        };
        if let (Some(from), Some(to)) = (unfinished, self.out) {
            fs::rename(from, to)?;
        }
        if losses.damaged > 0 {
            eprintln!("warning: {} places are damaged, with {} events at least", losses.damaged, losses.events);
        }
        Ok(())
    }
}

/// Reads all traces, and tells what they have lost.
fn export(traces: &[PathBuf], wanted: &std::ops::RangeInclusive<Millis>, sink: &mut dyn Sink) -> Result<Losses, Box<dyn Error>> {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let total = traces.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum();
    let bar = bar(total);
    let (mut all, mut before, mut count) = (Losses::default(), 0, 0);
    for path in traces {
        let mut reader = TraceReader::open(path).map_err(|error| named(path, &error))?.between(wanted.clone());
        while let Some(event) = reader.next() {
            sink.push(&event.map_err(|error| named(path, &error))?)?;
            count += 1;
            if count % STEP == 0 {
                bar.set_position(before + reader.read_bytes());
            }
        }
        before += reader.read_bytes();
        bar.set_position(before);
        all.damaged += reader.losses().damaged;
        all.events += reader.losses().events;
    }
    bar.finish_and_clear();
    Ok(all)
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    // The template is right, and a bar without one would do too.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

impl Format {
    /// Whether it can be written there.
    fn check(self, out: Option<&Path>) -> Result<(), Box<dyn Error>> {
        if self != Self::Parquet {
            return Ok(());
        }
        if !cfg!(feature = "parquet") {
            return Err("this program was built without Parquet: build it with 'cargo build --release --features parquet', \
                        or use --format csv"
                .into());
        }
        if out.is_none() && io::stdout().is_terminal() {
            return Err("Parquet is nothing to look at: name a file with --out".into());
        }
        Ok(())
    }

    fn sink(self, out: BufWriter<Box<dyn Write + Send>>) -> Result<Box<dyn Sink>, Box<dyn Error>> {
        Ok(match self {
            Self::Csv => Box::new(Csv::begin(out)?),
            Self::Jsonl => Box::new(Jsonl(out)),
            #[cfg(feature = "parquet")]
            Self::Parquet => Box::new(super::parquet::Parquet::begin(out)?),
            #[cfg(not(feature = "parquet"))]
            Self::Parquet => return Err("this program was built without Parquet".into()),
        })
    }
}

struct Csv<W>(W);

impl<W: Write> Csv<W> {
    fn begin(mut out: W) -> io::Result<Self> {
        csv::heading(&mut out)?;
        Ok(Self(out))
    }
}

impl<W: Write> Sink for Csv<W> {
    fn push(&mut self, event: &Event) -> Result<(), Box<dyn Error>> {
        Ok(csv::row(&mut self.0, &Row::of(event))?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Box<dyn Error>> {
        Ok(self.0.flush()?)
    }
}

struct Jsonl<W>(W);

impl<W: Write> Sink for Jsonl<W> {
    fn push(&mut self, event: &Event) -> Result<(), Box<dyn Error>> {
        serde_json::to_writer(&mut self.0, event).map_err(io::Error::from)?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Box<dyn Error>> {
        Ok(self.0.flush()?)
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
