//! How well what happens next is told on two real histories: test, then train, along the order of time.
//!
//! ```sh
//! cargo run --release --example histories -- DATA_DIR [TASK…]
//! ```
//!
//! `DATA_DIR` holds `govuk_image_tag_moves_to_2025-06.csv.gz` (which image each environment of GOV.UK runs) and
//! `gitops_image_pins_to_2025-06.csv.gz` (which images five home clusters pin). The tasks, all unless some are named:
//!
//! | task | question | asked |
//! |---|---|---|
//! | `int-prod` | is it in production within an hour? | when a version comes to integration |
//! | `int-stg` | is it in staging within an hour? | when a version comes to integration |
//! | `stg-prod` | is it in production within an hour? | when a version comes to staging |
//! | `adopts` | does this customer pin it within seven days? | when the first customer pins a version, of each that has pinned the image |
//!
//! What came before 2023 is for warming up. A yes is learned when it happens, a no when its time is over; features are read from what
//! was known before the question. Features and settings were chosen on these files; the last year, told apart, was
//! looked at on the way and is no untouched test.

mod features;
mod gitops;
mod govuk;
mod groups;
mod learners;

use std::{collections::HashMap, error::Error, fs::File, io::Read, path::Path};

use flate2::read::GzDecoder;
use gitops::{Adoptions, Pin, Version};
use govuk::{Environment, Move, Promotions};
use harbinger::predict::learn::{Learner, Prediction, Stream, run, scores};
use learners::{Blend, Column, Online, Weekly};

type Failure = Box<dyn Error>;

/// The learners of each task, in their order.
const LEARNERS: [&str; 5] = ["rate", "last outcome", "ftrl", "logistic", "both, calibrated"];

/// The first seconds of 2023 and of July 2024.
const BEGIN: u64 = 1_672_531_200;
const CHOSEN: u64 = 1_719_792_000;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let data = arguments.next().ok_or("say where the histories are: histories DATA_DIR [TASK…]")?;
    let data = Path::new(&data);
    let tasks: Vec<String> = arguments.collect();
    let wanted = |task: &str| tasks.is_empty() || tasks.iter().any(|wanted| wanted == task);
    let moves = moves(&data.join("govuk_image_tag_moves_to_2025-06.csv.gz"))?;
    let pins = pins(&data.join("gitops_image_pins_to_2025-06.csv.gz"))?;
    for (task, from, to) in [
        ("int-prod", Environment::Integration, Environment::Production),
        ("int-stg", Environment::Integration, Environment::Staging),
        ("stg-prod", Environment::Staging, Environment::Production),
    ] {
        if wanted(task) {
            let mut stream = Promotions::new(from, to);
            let names = stream.names(&moves[0]);
            evaluate(task, &mut stream, &names, ["app, fast", "app, last outcome"], &moves);
        }
    }
    if wanted("adopts") {
        evaluate("adopts", &mut Adoptions::new(), &Adoptions::names(&pins[0]), ["own, fast", "own, last outcome"], &pins);
    }
    Ok(())
}

/// Runs all learners along a history and prints how they did. `baselines` are the features that are predictions by themselves.
fn evaluate<S: Stream>(task: &str, stream: &mut S, names: &[String], baselines: [&str; 2], events: &[S::Event]) {
    let width = names.len();
    let column = |baseline: &str| names.iter().position(|name| name == baseline).expect("the feature is there");
    let mut learners: Vec<Box<dyn Learner>> = vec![
        Box::new(Column { index: column(baselines[0]), is_rate: true }),
        Box::new(Column { index: column(baselines[1]), is_rate: false }),
        Box::new(Online::new(width)),
        Box::new(Weekly::new(width)),
        Box::new(Blend::new(&[2, 3])),
    ];
    let predictions = run(stream, &mut learners, events);
    println!("\n## {task}, {width} features\n");
    for (period, begin, end) in
        [("2023-01 to 2024-06", BEGIN, CHOSEN), ("2024-07 to 2025-06", CHOSEN, u64::MAX), ("all", BEGIN, u64::MAX)]
    {
        report(period, predictions.iter().filter(|prediction| (begin..end).contains(&prediction.at)));
    }
}

/// Prints a table of all learners. What is not known by the end of the history does not count.
fn report<'a>(period: &str, predictions: impl Iterator<Item = &'a Prediction>) {
    let known: Vec<_> = predictions.filter_map(|prediction| Some((&prediction.said, prediction.came_true?))).collect();
    let positives = known.iter().filter(|(_, came_true)| *came_true).count() as f64 / known.len().max(1) as f64;
    println!(
        "| {period}: {}, {positives:.3} of them yes | AUC | AP | ECE | log-loss | Brier | P at R .95 | P at R .80 |",
        known.len()
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (i, learner) in LEARNERS.iter().enumerate() {
        let pairs: Vec<_> = known.iter().map(|(said, came_true)| (said[i], *came_true)).collect();
        let columns = [
            scores::auc(&pairs),
            scores::average_precision(&pairs),
            scores::calibration_error(&pairs),
            scores::log_loss(&pairs),
            scores::brier(&pairs),
            scores::precision_at(&pairs, 0.95),
            scores::precision_at(&pairs, 0.80),
        ];
        println!("| {learner} | {} |", columns.map(|score| format!("{score:.4}")).join(" | "));
    }
    println!();
}

/// commit_time,author_time,environment,app,old_tag,new_tag
fn moves(file: &Path) -> Result<Vec<Move>, Failure> {
    let mut apps = Numbers::default();
    let row = |row: Vec<String>| {
        let environment = match row.get(2)?.as_str() {
            "integration" => Environment::Integration,
            "staging" => Environment::Staging,
            "production" => Environment::Production,
            _ => return None,
        };
        let app = apps.of(&row[3]);
        Some(Move { at: row[0].parse().ok()?, environment, app, from: row[4].clone(), to: row.get(5)?.clone() })
    };
    Ok(table(file)?.into_iter().filter_map(row).collect())
}

/// commit_time,author_time,customer,image,tag,digest
fn pins(file: &Path) -> Result<Vec<Pin>, Failure> {
    let (mut customers, mut images, mut owners) = (Numbers::default(), Numbers::default(), Numbers::default());
    let row = |row: Vec<String>| {
        Some(Pin {
            at: row.first()?.parse().ok()?,
            customer: u8::try_from(customers.of(row.get(2)?)).ok()?,
            image: images.of(row.get(3)?),
            owner: owners.of(row[3].rsplit_once('/').map_or("", |(owner, _)| owner)),
            version: Version { tag: row.get(4)?.as_str().into(), digest: row.get(5)?.as_str().into() },
        })
    };
    let mut pins: Vec<Pin> = table(file)?.into_iter().filter_map(row).collect();
    // A commit that pins the same version in several places pins it once.
    let mut seen = std::collections::HashSet::new();
    pins.retain(|pin| seen.insert((pin.at, pin.customer, pin.image, pin.version.clone())));
    Ok(pins)
}

/// The rows of a compressed table below its heading.
fn table(file: &Path) -> Result<Vec<Vec<String>>, Failure> {
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    GzDecoder::new(opened).read_to_string(&mut text)?;
    Ok(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

/// Numbers for names, in the order in which they are met.
#[derive(Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    fn of(&mut self, name: &str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}
