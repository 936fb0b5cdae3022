//! `harbinger replay`

mod plot;
mod report;

use std::{error::Error, fs, io::IsTerminal, path::PathBuf, process::ExitCode};

use bytesize::ByteSize;
use clap::Args;
use humantime_serde::re::humantime;
use indicatif::{ProgressBar, ProgressStyle};

use super::failure;
use crate::{
    events::{Millis, log::TraceReader},
    predict,
    replay::{self, Network, Reader, Settings, Told, Workload},
};
use report::{Report, Row};

/// Try policies and prefetchers on what happened
///
/// Simulates a cache of one region along a trace: a segment of the demand log, or what was converted into one. Every policy and
/// prefetcher sees only what an edge would have seen by then, apart from those that are marked as bounds. The same trace and the same
/// settings give the same figures.
#[derive(Debug, Args)]
#[command(after_long_help = explanation(), after_help = "Use --help for the list of policies and prefetchers.")]
pub struct Replay {
    /// Traces, which are put in order of time
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// The region whose cache is simulated [default: the one with most requests]
    #[arg(long)]
    region: Option<String>,
    /// Sizes of the cache: bytes (`40 GB`), or a share of all layers that the region asks for (`5%`)
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "5%", value_parser = Capacity::parse)]
    capacity: Vec<Capacity>,
    /// What stays; several are read in pairs with --prefetch, or one is used for all
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "lru")]
    policy: Vec<String>,
    /// What is fetched before it is asked for
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "none")]
    prefetch: Vec<String>,
    /// Seconds from a push or a move of a tag until a prefetcher can act on it
    #[arg(long, value_name = "SECONDS", default_value_t = 90.0)]
    discovery: f64,
    /// Time from the beginning in which the cache fills and nothing is counted [default: what the trace says, else a quarter]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    warm_up: Option<std::time::Duration>,
    /// Round trip to the upstream, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 80.0)]
    round_trip: f64,
    /// Bytes per second from the upstream
    #[arg(long, value_name = "SIZE", default_value = "60 MB")]
    rate: ByteSize,
    /// An ONNX file that says what is likely, instead of what --prefetch model learns; see examples/train
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Write what the model learns from, as CSV: a row of features and what came of it; see examples/train
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a plot of hit ratios as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// How large a cache is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Capacity {
    Share(f64),
    Bytes(u64),
}

impl Capacity {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is neither a size such as '40 GB' nor a share such as '5%'");
        if let Some(share) = text.trim().strip_suffix('%') {
            let share: f64 = share.trim().parse().map_err(|_| wrong())?;
            return if share > 0.0 && share <= 100.0 { Ok(Self::Share(share / 100.0)) } else { Err(wrong()) };
        }
        text.parse::<ByteSize>().map(|size| Self::Bytes(size.as_u64())).map_err(|_| wrong())
    }

    fn bytes(self, footprint: u64) -> u64 {
        match self {
            Self::Share(share) => (footprint as f64 * share) as u64,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Replay {
    /// Runs to the end.
    pub async fn run(self) -> ExitCode {
        // It computes all the time: not on the threads of the runtime.
        match tokio::task::spawn_blocking(move || self.replay()).await {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(error)) => failure(error),
            Err(error) => failure(error),
        }
    }

    fn replay(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let pairs = self.pairs()?;
        let network = self.network()?;
        let model = self.model.as_deref().map(predict::given).transpose()?;
        let workload = self.read()?;
        let region = match &self.region {
            Some(name) => workload.region(name)?,
            None => workload.busiest_region(),
        };
        if self.rows.is_some() && pairs.len() * self.capacity.len() > 1 {
            return Err("--rows takes what one replay learns from: name one policy, one prefetcher and one capacity".into());
        }
        let footprint = workload.footprint(region);
        let mut rows = Vec::new();
        for capacity in &self.capacity {
            let capacity = capacity.bytes(footprint);
            for (policy, prefetch) in &pairs {
                let settings = Settings {
                    region,
                    capacity,
                    policy: policy.clone(),
                    prefetch: prefetch.clone(),
                    discovery: (self.discovery * 1000.0) as Millis,
                    network,
                    model: model.clone(),
                    rows: self.rows.clone(),
                };
                let told = simulate(&workload, &settings)?;
                rows.push(Row { policy: policy.clone(), prefetch: prefetch.clone(), capacity, told });
            }
        }
        let report = Report { region: workload.regions[usize::from(region)].to_string(), footprint, rows };
        print!("{}", report.table());
        if let Some(file) = &self.json {
            write(file, &serde_json::to_string_pretty(&report)?)?;
        }
        if let Some(file) = &self.plot {
            write(file, &plot::svg(&report))?;
        }
        Ok(())
    }

    /// Policies and prefetchers in pairs.
    fn pairs(&self) -> Result<Vec<(String, String)>, String> {
        let (policies, prefetchers) = (self.policy.len(), self.prefetch.len());
        if policies != prefetchers && policies != 1 && prefetchers != 1 {
            return Err(format!(
                "--policy names {policies} and --prefetch {prefetchers}: give lists of the same length, or one name for all"
            ));
        }
        let of = |names: &[String], at: usize| names[if names.len() == 1 { 0 } else { at }].clone();
        let pairs: Vec<_> = (0..policies.max(prefetchers)).map(|at| (of(&self.policy, at), of(&self.prefetch, at))).collect();
        // Before anything long begins.
        pairs.iter().try_for_each(|(policy, prefetch)| replay::check(policy, prefetch)).map_err(|error| error.to_string())?;
        Ok(pairs)
    }

    fn network(&self) -> Result<Network, String> {
        let (round_trip, rate) = (self.round_trip, self.rate.as_u64() as f64 / 1000.0);
        if !(0.0..=3_600_000.0).contains(&round_trip) || rate <= 0.0 || !(0.0..=1e9).contains(&self.discovery) {
            return Err("--round-trip, --rate and --discovery take times and rates that can be: no less than nothing".to_owned());
        }
        Ok(Network { round_trip, rate, ..Network::default() })
    }

    fn read(&self) -> Result<Workload, Box<dyn Error + Send + Sync>> {
        let sizes = self.traces.iter().map(|file| fs::metadata(file).map(|metadata| metadata.len()));
        let named = |file: &PathBuf, error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let sizes: Vec<u64> =
            sizes.zip(&self.traces).map(|(size, file)| size.map_err(|error| named(file, &error))).collect::<Result<_, _>>()?;
        let bar = progress(sizes.iter().sum(), "{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
        bar.set_message("reading");
        let (mut reader, mut counted_from, mut done) = (Reader::default(), None, 0);
        for (file, size) in self.traces.iter().zip(sizes) {
            let mut trace = TraceReader::open(file).map_err(|error| named(file, &error))?;
            counted_from = counted_from.max(trace.header().counted_from);
            for number in 0_u64.. {
                let Some(event) = trace.next() else { break };
                reader.take(&event.map_err(|error| named(file, &error))?);
                if number % (1 << 14) == 0 {
                    bar.set_position(done + trace.read_bytes());
                }
            }
            done += size;
            let losses = trace.losses();
            if losses.events > 0 || losses.damaged > 0 {
                eprintln!(
                    "{}: {} events are lost, the file is damaged in {} places",
                    file.display(),
                    losses.events,
                    losses.damaged
                );
            }
        }
        bar.finish_and_clear();
        let (begin, end) = reader.span();
        let counted_from = match (self.warm_up, counted_from) {
            (Some(warm_up), _) => begin + warm_up.as_millis() as Millis,
            (None, Some(counted_from)) => counted_from,
            (None, None) => begin + (end - begin) / 4,
        };
        Ok(reader.finish(counted_from)?)
    }
}

fn simulate(workload: &Workload, settings: &Settings) -> Result<Told, Box<dyn Error + Send + Sync>> {
    let bar = progress(workload.steps.len() as u64, "{msg} {wide_bar} {percent} % {eta}");
    bar.set_message(format!("{} {}", settings.policy, settings.prefetch));
    let figures = replay::replay(workload, settings, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(figures.told())
}

fn progress(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn write(file: &PathBuf, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

fn explanation() -> String {
    let list =
        |all: Vec<(&str, &str)>| all.into_iter().map(|(name, meaning)| format!("  {name:<13} {meaning}\n")).collect::<String>();
    format!(
        "Policies:\n{}\nPrefetchers:\n{}\nExamples:\n  \
         harbinger replay week.trace --policy lru,gdsf,served\n      \
         Compares policies at 5 % of what the busiest region asks for.\n  \
         harbinger replay *.trace --region eu --capacity 1%,5%,10% --policy lru,gdf-graph --prefetch none,co-pull --plot eu.svg\n      \
         Compares two pairs at three sizes, and draws them.\n",
        list(replay::policies().collect()),
        list(replay::prefetchers().collect()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities() {
        assert_eq!(Capacity::parse("5%"), Ok(Capacity::Share(0.05)));
        assert_eq!(Capacity::parse("0.5 %"), Ok(Capacity::Share(0.005)));
        assert_eq!(Capacity::parse("40 GB"), Ok(Capacity::Bytes(40_000_000_000)));
        for wrong in ["", "%", "0%", "101%", "-5%", "nan%", "much"] {
            assert!(Capacity::parse(wrong).unwrap_err().contains("neither"), "{wrong}");
        }
        assert_eq!(Capacity::Share(0.05).bytes(1_000), 50);
    }
}
