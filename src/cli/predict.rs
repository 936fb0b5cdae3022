//! `harbinger predict`

use std::{error::Error, io, path::PathBuf, process::ExitCode};

use chrono::DateTime;
use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{
    environment, failure,
    operator::{self, AskError},
    table::{
        Align::{Left, Right},
        Table, size,
    },
};
use crate::{
    config::{self, Flags, Sources},
    events::Millis,
    predict::Reason,
    prefetch::{Decision, Savings},
};

/// Ask what is expected to be pulled, why, and what has come of it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger predict explain nginx:1.27
      Content by content: how likely it is to be asked for, what says so, what was decided, and what became of it.
  harbinger predict decisions --limit 20
      The last things that were expected, and what was decided.
  harbinger predict savings
      What was fetched before it was asked for, by customer and reason: used, late, wasted, and the seconds saved.")]
pub struct Predict {
    #[command(subcommand)]
    question: Question,
    /// The region of the edge that is asked; an edge in another one is not asked [default: whichever it is]
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<String>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, global = true, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What is expected of an image or a content, and why
    Explain {
        /// An image, as in a pull, or a digest
        #[arg(value_name = "IMAGE|DIGEST")]
        what: String,
    },
    /// The last decisions
    Decisions {
        /// How many at most
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// What has been saved and wasted, earlier runs included
    Savings,
}

#[derive(Debug, Deserialize)]
struct Answer {
    region: String,
    #[serde(default)]
    explanation: Option<Explanation>,
    decisions: Vec<Decision>,
    savings: Savings,
}

#[derive(Debug, Deserialize)]
struct Explanation {
    digest: String,
    manifest: Option<String>,
    contents: Vec<Content>,
}

#[derive(Debug, Deserialize)]
struct Content {
    digest: String,
    size: u64,
    is_here: bool,
    requests_in_six_hours: f64,
    kept_because: Vec<Feature>,
    last_expected: Option<Thought>,
}

#[derive(Debug, Deserialize)]
struct Thought {
    reason: Reason,
    at: Millis,
    probability: f64,
    needed: f64,
    decided_by: String,
    fetched: bool,
    due: Option<Millis>,
    features: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
struct Feature {
    feature: String,
    value: f32,
    contribution: f64,
}

/// Features that are told of each content.
const FEATURES: usize = 4;

impl Predict {
    pub(super) async fn run(self) -> ExitCode {
        match self.ask().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failure(error),
        }
    }

    async fn ask(self) -> Result<(), Box<dyn Error>> {
        let flags = Flags { data: self.data.clone(), ..Flags::default() };
        let config = config::load(Sources { file: self.config.clone(), environment: environment(), flags })?;
        let data = &config.storage.data;
        let answer = operator::ask::<Value>(data, Method::GET, &self.path()).await;
        let answer = answer.map_err(|error| match error {
            AskError::File(_, cause) if cause.kind() == io::ErrorKind::NotFound => format!(
                "no server runs on the data folder {}; start one with 'harbinger serve', or name its folder with --data",
                data.display()
            ),
            AskError::Refused(_, why) => why,
            error => error.to_string(),
        })?;
        let read = Answer::deserialize(&answer)?;
        if let Some(region) = self.region.as_ref().filter(|region| **region != read.region) {
            let own = if read.region.is_empty() { "no region" } else { &read.region };
            return Err(format!("this edge predicts for {own}: ask one in '{region}', with its --config or --data").into());
        }
        if self.json {
            println!("{answer:#}");
        } else {
            self.tell(&read);
        }
        Ok(())
    }

    fn path(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        match &self.question {
            Question::Explain { what } => query.append_pair("what", what),
            Question::Decisions { limit } => query.append_pair("limit", &limit.to_string()),
            Question::Savings => query.append_pair("limit", "1"),
        };
        format!("/api/v1/predictions?{}", query.finish())
    }

    fn tell(&self, answer: &Answer) {
        match &self.question {
            Question::Explain { .. } => {
                answer.explanation.iter().for_each(explain);
                print!("{}", decisions(&answer.decisions));
            }
            Question::Decisions { .. } => print!("{}", decisions(&answer.decisions)),
            Question::Savings => print!("{}", savings(&answer.savings)),
        }
    }
}

fn explain(explanation: &Explanation) {
    match &explanation.manifest {
        Some(manifest) => println!("{}, of which likely {manifest}", explanation.digest),
        None => println!("{}", explanation.digest),
    }
    for content in &explanation.contents {
        let here = if content.is_here { "here" } else { "not here" };
        let requests = content.requests_in_six_hours;
        println!("\n{}  {}  {here}  {requests:.2} requests expected within 6 h", content.digest, size(content.size));
        features("stays by", &content.kept_because);
        if let Some(thought) = &content.last_expected {
            let Thought { reason, at, probability, needed, decided_by, fetched, due, .. } = thought;
            let decided = if *fetched { "worth fetching" } else { "not worth fetching" };
            let due = due.map_or_else(String::new, |due| format!(" by {}", time(due)));
            println!(
                "  expected {} ({}){due}: {probability:.2}, {needed:.2} needed: {decided} (by {decided_by})",
                time(*at),
                reason.as_str()
            );
            features("because of", &thought.features);
        }
    }
    println!();
}

fn features(why: &str, features: &[Feature]) {
    let told = features.iter().take(FEATURES).map(|one| format!("{} {:.2} ({:+.2})", one.feature, one.value, one.contribution));
    let told: Vec<_> = told.collect();
    if !told.is_empty() {
        println!("  {why}: {}", told.join("; "));
    }
}

fn decisions(decisions: &[Decision]) -> String {
    let mut table = Table::new([
        ("WHEN", Left),
        ("CONTENT", Left),
        ("SIZE", Right),
        ("REASON", Left),
        ("LIKELY", Right),
        ("DECIDED", Left),
        ("BECAME", Left),
        ("BYTES", Right),
        ("MS", Right),
    ]);
    for decision in decisions {
        let decided = serde_json::to_value(decision.verdict).unwrap_or_default();
        let word = |key: &str| decided.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let decided = [word("decided"), word("why")].join(" ");
        table.push([
            time(decision.at),
            decision.digest.to_string().chars().take(19).collect(),
            size(decision.size),
            decision.reason.as_str().to_owned(),
            format!("{:.2}", decision.probability),
            decided.trim_end().to_owned(),
            decision.outcome.map_or("-", |outcome| outcome.as_str()).to_owned(),
            size(decision.bytes),
            decision.milliseconds.to_string(),
        ]);
    }
    table.to_string()
}

fn savings(savings: &Savings) -> String {
    let mut table = Table::new([
        ("CUSTOMER", Left),
        ("REASON", Left),
        ("FETCHED", Right),
        ("USED", Right),
        ("LATE", Right),
        ("WASTED", Right),
        ("SECONDS SAVED", Right),
        ("PULLS", Right),
    ]);
    for row in &savings.accounts {
        let account = &row.account;
        table.push([
            row.customer.as_deref().unwrap_or("-").to_owned(),
            row.reason.as_str().to_owned(),
            size(account.fetched.bytes),
            size(account.used.bytes),
            size(account.late.bytes),
            size(account.wasted.bytes),
            format!("{:.1}", account.seconds_saved),
            account.pulls.to_string(),
        ]);
    }
    let precision = savings.precision.map_or_else(|| "not known yet".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let unasked = size(savings.unasked.bytes);
    format!("{table}since {}; asked for within a day: {precision}; waiting to be asked for: {unasked}\n", time(savings.since))
}

fn time(at: Millis) -> String {
    let time = i64::try_from(at).ok().and_then(DateTime::from_timestamp_millis);
    time.map_or_else(|| at.to_string(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}
