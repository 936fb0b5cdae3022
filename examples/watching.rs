//! How soon moves of tags are found: the questions of `predict::watch` against as many that go round evenly.
//!
//! ```text
//! cargo run --release --example watching -- FOLDER [--tags 1000] [--pulls-per-day 2000] [--per-minute 6] [--days 120] [--seed 1]
//! ```
//!
//! The folder holds `docker_official_tag_moves.csv.gz` and `docker_official_manifests.jsonl.gz`, as `official_history` reads them.
//! An edge pulls some of these tags: repositories and tags are as popular as Zipf's law has it, in a random order, and pulls come
//! at random. Both ways follow what was pulled within thirty days. A client's pull finds a move too, at most `cache.tag_ttl`
//! (a minute) after the upstream was last asked: such a move was found too late. Moves of tags that are not followed, and those
//! of the first quarter of the time, do not count.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    error::Error,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::Instant,
};

use flate2::read::GzDecoder;
use harbinger::{
    events::{Event, Kind, Layer, ManifestSeen, Millis, Repository, Request, Source, What},
    oci::{Algorithm, Digest, Tag},
    predict::watch::{Answer, Question, Settings, Subject, Watch},
};
use serde::Deserialize;

const TICK: Millis = 10_000;
const DAY: Millis = 86_400_000;
const TAG_TTL: Millis = 60_000;
const FOLLOWS: Millis = 30 * DAY;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Options {
    tags: usize,
    pulls_per_day: f64,
    per_minute: u32,
    days: u64,
    seed: u64,
}

/// What a tag names from a time on; `None` when it was deleted.
type Names = Vec<(Millis, Option<u32>)>;

struct History {
    tags: Vec<(Subject, Names)>,
    images: Vec<Image>,
    begins: Millis,
    ends: Millis,
}

#[derive(Clone)]
struct Image {
    digest: Digest,
    bytes: u64,
    lowest: u32,
}

#[derive(Deserialize)]
struct Manifest {
    manifest_id: u32,
    digest: Digest,
    total_bytes: Option<u64>,
    layers: Vec<u32>,
}

/// A tag as the edge knows it.
#[derive(Clone, Default)]
struct Known {
    image: Option<u32>,
    asked: Millis,
    pulled: Millis,
    /// Since when it names something else.
    moved: Option<Millis>,
    next: usize,
}

/// How the moves of one way were found.
#[derive(Default)]
struct Found {
    /// Delay in seconds, and how often the tag is pulled.
    delays: Vec<(f64, f64)>,
    by_clients: f64,
    questions: u64,
}

enum Way {
    Watching(Box<Watch>),
    Evenly { per_minute: u32, next: usize, left: f64 },
}

fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of the history")?;
    let mut options = Options { tags: 1000, pulls_per_day: 2000.0, per_minute: 6, days: 120, seed: 1 };
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        match name.as_str() {
            "--tags" => options.tags = value.parse()?,
            "--pulls-per-day" => options.pulls_per_day = value.parse()?,
            "--per-minute" => options.per_minute = value.parse()?,
            "--days" => options.days = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            other => return Err(format!("there is no option {other}").into()),
        }
    }
    let mut history = read(Path::new(&folder))?;
    history.ends = history.ends.min(history.begins + options.days * DAY);
    let weights = popularity(&history, &options);
    println!(
        "{} tags that are pulled {} times a day, {} questions a minute, seed {}",
        options.tags, options.pulls_per_day, options.per_minute, options.seed
    );
    println!("| way | questions | moves | mean delay | median | p90 | within 90 s | found by a client first |");
    println!("|---|---|---|---|---|---|---|---|");
    let each = u32::MAX;
    let settings = Settings { requests_per_minute: options.per_minute, requests_per_minute_each: each, ..Settings::default() };
    for (name, way) in [
        ("evenly", Way::Evenly { per_minute: options.per_minute, next: 0, left: 0.0 }),
        ("watching", Way::Watching(Box::new(Watch::new(settings)))),
    ] {
        let started = Instant::now();
        let found = run(&history, &weights, &options, way);
        print(name, found);
        eprintln!("{name}: {:.1} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Lives through the history.
fn run(history: &History, weights: &[f64], options: &Options, mut way: Way) -> Found {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let sums: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let mut tags = vec![Known::default(); history.tags.len()];
    let mut found = Found::default();
    let counts_from = history.begins + (history.ends - history.begins) / 4;
    let mut now = history.begins;
    let mut next_pull = now as f64;
    let places: HashMap<Subject, usize> =
        history.tags.iter().enumerate().map(|(at, (subject, _))| (subject.clone(), at)).collect();
    while now < history.ends {
        while next_pull < now as f64 {
            next_pull += -(1.0 - random.f64()).ln() * DAY as f64 / options.pulls_per_day;
            let tag = sums.partition_point(|sum| *sum < random.f64() * sums[sums.len() - 1]).min(sums.len() - 1);
            settle(history, &mut tags[tag], tag, now);
            let known = &mut tags[tag];
            let is_stale = known.asked + TAG_TTL <= now;
            if is_stale {
                look(history, tag, known, now, weights[tag], counts_from, true, &mut found);
            }
            known.pulled = now;
            if let (Way::Watching(watch), Some(image)) = (&mut way, tags[tag].image) {
                watch.hear(&pull(&history.tags[tag].0, &history.images[image as usize], now, is_stale));
                watch.hear(&seen(&history.tags[tag].0, &history.images[image as usize], now));
            }
        }
        let due: Vec<usize> = match &mut way {
            Way::Watching(watch) => watch.due(now).iter().filter_map(|question| asked(question, &places)).collect(),
            Way::Evenly { per_minute, next, left } => {
                let follows = |tag: &usize| tags[*tag].image.is_some() && tags[*tag].pulled + FOLLOWS >= now;
                *left += f64::from(*per_minute) * TICK as f64 / 60_000.0;
                let count = *left as usize;
                *left -= count as f64;
                let round: Vec<usize> =
                    (0..tags.len()).map(|step| (*next + step) % tags.len()).filter(follows).take(count).collect();
                *next = round.last().map_or(*next, |last| last + 1);
                round
            }
        };
        for tag in due {
            found.questions += 1;
            settle(history, &mut tags[tag], tag, now);
            let has_moved = look(history, tag, &mut tags[tag], now, weights[tag], counts_from, false, &mut found);
            let (subject, image) = (&history.tags[tag].0, tags[tag].image.map(|image| &history.images[image as usize]));
            let Way::Watching(watch) = &mut way else { continue };
            match image {
                None => watch.answered(subject, now, Answer::Gone),
                Some(image) if has_moved => {
                    watch.answered(subject, now, Answer::Names(image.digest));
                    watch.hear(&seen(subject, image, now));
                }
                Some(_) => watch.answered(subject, now, Answer::Same),
            }
        }
        now += TICK;
    }
    found
}

/// The tag that is asked for. Of public repositories, no lists are.
fn asked(question: &Question, places: &HashMap<Subject, usize>) -> Option<usize> {
    match question {
        Question::Tag(subject) => places.get(subject).copied(),
        Question::List(_) => None,
    }
}

/// Takes over what the history has done to a tag up to now.
fn settle(history: &History, known: &mut Known, tag: usize, now: Millis) {
    let names = &history.tags[tag].1;
    while let Some((at, image)) = names.get(known.next).filter(|(at, _)| *at <= now) {
        if *image != known.image && known.image.is_some() && known.moved.is_none() {
            known.moved = Some(*at);
        }
        known.next += 1;
    }
}

/// Somebody asks the upstream. Whether the tag has moved.
#[expect(clippy::too_many_arguments, reason = "a step of one loop")]
fn look(
    history: &History,
    tag: usize,
    known: &mut Known,
    now: Millis,
    weight: f64,
    counts_from: Millis,
    by_client: bool,
    found: &mut Found,
) -> bool {
    let moved = known.moved.take();
    if let Some(at) = moved.filter(|at| *at >= counts_from && known.pulled + FOLLOWS >= *at) {
        found.delays.push(((now - at) as f64 / 1000.0, weight));
        found.by_clients += if by_client { weight } else { 0.0 };
    }
    known.asked = now;
    known.image = known.next.checked_sub(1).and_then(|last| history.tags[tag].1[last].1);
    moved.is_some()
}

fn print(name: &str, mut found: Found) {
    found.delays.sort_by(|one, other| one.0.total_cmp(&other.0));
    let weight: f64 = found.delays.iter().map(|(_, weight)| weight).sum();
    let mean: f64 = found.delays.iter().map(|(delay, weight)| delay * weight).sum::<f64>() / weight;
    let quantile = |share: f64| {
        let mut left = share * weight;
        found
            .delays
            .iter()
            .find(|(_, weight)| {
                left -= weight;
                left <= 0.0
            })
            .map_or(0.0, |(delay, _)| *delay)
    };
    let soon: f64 = found.delays.iter().filter(|(delay, _)| *delay <= 90.0).map(|(_, weight)| weight).sum();
    println!(
        "| {name} | {} | {} | {mean:.0} s | {:.0} s | {:.0} s | {:.1} % | {:.1} % |",
        found.questions,
        found.delays.len(),
        quantile(0.5),
        quantile(0.9),
        100.0 * soon / weight,
        100.0 * found.by_clients / weight
    );
}

/// How often each tag is pulled, in some unit; most are not.
fn popularity(history: &History, options: &Options) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(options.seed ^ 0x9e37_79b9_7f4a_7c15);
    let mut repositories: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, (subject, _)) in history.tags.iter().enumerate() {
        repositories.entry(subject.repository.name.as_str()).or_default().push(place);
    }
    let mut repositories: Vec<Vec<usize>> = repositories.into_values().collect();
    random.shuffle(&mut repositories);
    let mut weights = vec![0.0; history.tags.len()];
    for (rank, tags) in repositories.iter_mut().enumerate() {
        random.shuffle(tags);
        // Most pull what is called latest.
        tags.sort_by_key(|place| history.tags[*place].0.tag.as_str() != "latest");
        for (tag_rank, place) in tags.iter().enumerate() {
            weights[*place] = 1.0 / (rank + 1) as f64 / ((tag_rank + 1) as f64).powf(1.2);
        }
    }
    let mut sorted = weights.clone();
    sorted.sort_by(|one, other| other.total_cmp(one));
    let least = sorted.get(options.tags).copied().unwrap_or_default();
    for weight in &mut weights {
        *weight = if *weight > least { *weight } else { 0.0 };
    }
    weights
}

fn pull(subject: &Subject, image: &Image, at: Millis, is_fresh: bool) -> Event {
    let request = Request {
        customer: None,
        region: Arc::from("here"),
        client: 0,
        repository: subject.repository.clone(),
        tag: Some(subject.tag.clone()),
        digest: Some(image.digest),
        kind: Kind::Manifest,
        status: 200,
        bytes: 0,
        source: if is_fresh { Source::Revalidated } else { Source::Catalog },
        first_byte: 0,
        total: 0,
        complete: true,
    };
    Event { at, what: What::Request(Arc::new(request)) }
}

fn seen(subject: &Subject, image: &Image, at: Millis) -> Event {
    let layer = |digest, size| Layer {
        digest,
        size,
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".parse().unwrap_or_else(|_| unreachable!()),
    };
    let lowest = Digest::of(Algorithm::Sha256, &image.lowest.to_be_bytes());
    let rest = Digest::of(Algorithm::Sha256, b"the rest");
    let seen = ManifestSeen {
        repository: subject.repository.clone(),
        manifest: layer(image.digest, 1000),
        config: None,
        layers: vec![layer(lowest, 0), layer(rest, image.bytes)],
        manifests: None,
        subject: None,
        base: None,
        created: None,
    };
    Event { at, what: What::ManifestSeen(Arc::new(seen)) }
}

fn read(folder: &Path) -> Outcome<History> {
    let mut images: Vec<Option<Image>> = Vec::new();
    for line in lines(&folder.join("docker_official_manifests.jsonl.gz"))? {
        let manifest: Manifest = serde_json::from_str(&line?)?;
        let at = manifest.manifest_id as usize;
        images.resize(images.len().max(at + 1), None);
        let lowest = manifest.layers.first().copied().unwrap_or_default();
        images[at] = Some(Image { digest: manifest.digest, bytes: manifest.total_bytes.unwrap_or_default(), lowest });
    }
    let mut tags: BTreeMap<String, Names> = BTreeMap::new();
    for line in lines(&folder.join("docker_official_tag_moves.csv.gz"))?.skip(1) {
        let line = line?;
        let mut fields = line.split(',');
        let mut field = || fields.next().ok_or_else(|| format!("a field is missing: {line}"));
        let (at, tag, event, _, image) = (field()?, field()?, field()?, field()?, field()?);
        let image = if event == "D" { None } else { image.parse().ok() };
        tags.entry(tag.to_owned()).or_default().push((at.parse::<Millis>()? * 1000, image));
    }
    let times = tags.values().flatten().map(|(at, _)| *at);
    let (begins, ends) = (times.clone().min().unwrap_or_default(), times.max().unwrap_or_default());
    let tags = tags.into_iter().map(|(name, names)| Ok((subject(&name)?, names))).collect::<Outcome<_>>()?;
    let nothing = Image { digest: Digest::of(Algorithm::Sha256, b""), bytes: 0, lowest: 0 };
    let images = images.into_iter().map(|image| image.unwrap_or_else(|| nothing.clone())).collect();
    Ok(History { tags, images, begins, ends })
}

fn subject(name: &str) -> Outcome<Subject> {
    let (repository, tag) = name.rsplit_once(':').ok_or("an image without a tag")?;
    let repository = Repository { route: "docker.io".into(), name: format!("library/{repository}").parse()?, private: false };
    Ok(Subject { repository, tag: tag.parse::<Tag>()? })
}

fn lines(path: &Path) -> Outcome<impl Iterator<Item = std::io::Result<String>>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufReader::new(GzDecoder::new(file)).lines())
}
