//! Made-up histories: what is found, and how soon.

mod lists;

use std::{collections::HashSet, sync::Arc};

use super::*;
use crate::{
    events::{Layer, Repository},
    oci::Algorithm,
};

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 3600 * SECOND;
const DAY: Millis = 24 * HOUR;
const START: Millis = 400 * 365 * DAY / 7;

fn subject(repository: &str, tag: &str) -> Subject {
    let repository = Repository { route: "docker.io".into(), name: repository.parse().unwrap(), private: false };
    Subject { repository, tag: tag.parse().unwrap() }
}

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn pull(subject: &Subject, at: Millis, named: &str, source: Source) -> Event {
    let request = Request {
        customer: None,
        region: "here".into(),
        client: 1,
        repository: subject.repository.clone(),
        tag: Some(subject.tag.clone()),
        digest: Some(digest(named)),
        kind: Kind::Manifest,
        status: 200,
        bytes: 1,
        source,
        first_byte: 1,
        total: 1,
        complete: true,
    };
    Event { at, what: What::Request(Arc::new(request)) }
}

fn moved(subject: &Subject, at: Millis, named: Option<&str>) -> Event {
    let (repository, tag) = (subject.repository.clone(), subject.tag.clone());
    Event { at, what: What::TagMoved { repository, tag, digest: named.map(digest) } }
}

fn seen(subject: &Subject, at: Millis, named: &str, lowest: &str) -> Event {
    let layer = |text: &str, size| Layer { digest: digest(text), size, media_type: "application/x".parse().unwrap() };
    let seen = ManifestSeen {
        repository: subject.repository.clone(),
        manifest: layer(named, 500),
        config: None,
        layers: vec![layer(lowest, 1 << 20), layer(named, 1 << 20)],
        manifests: None,
        subject: None,
        base: None,
        created: None,
    };
    Event { at, what: What::ManifestSeen(Arc::new(seen)) }
}

fn settings(per_minute: u32) -> Settings {
    Settings { requests_per_minute: per_minute, requests_per_minute_each: per_minute, ..Settings::default() }
}

/// The tags that are asked for; no lists are.
fn due(watch: &mut Watch, now: Millis) -> Vec<Subject> {
    let only_tags = |question| match question {
        Question::Tag(subject) => subject,
        Question::List(repository) => panic!("the list of {} is asked for", repository.name),
    };
    watch.due(now).into_iter().map(only_tags).collect()
}

/// A tag of a made-up world.
struct Made {
    subject: Subject,
    /// When it moves.
    moves: Vec<Millis>,
    /// Pulls a day.
    pulls: u64,
}

/// Forty repositories of three tags. One in five moves every day at nine, with all its tags; the others every fortnight or so.
fn world(days: u64) -> Vec<Made> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut made = Vec::new();
    for repository in 0..40_u64 {
        let every = if repository % 5 == 0 { 1 } else { 14 };
        let phase = random.u64(0..every);
        let hour = if every == 1 { 9 * HOUR } else { random.u64(0..DAY) };
        let begins = START - START % DAY;
        let moves: Vec<Millis> = (1..days).filter(|day| day % every == phase).map(|day| begins + day * DAY + hour).collect();
        let pulls = 1 + 200 / (1 + random.u64(0..100));
        made.extend((0..3).map(|tag| Made {
            subject: subject(&format!("library/r{repository}"), &format!("t{tag}")),
            moves: moves.iter().map(|at| at + random.u64(0..60) * SECOND).collect(),
            pulls,
        }));
    }
    made
}

/// The mean delay until a move is found, weighted by pulls, when `ask` says whom to look at every minute; and how many
/// questions that took. The first third is for learning.
fn delay(made: &[Made], days: u64, mut ask: impl FnMut(Millis, &[(usize, bool)]) -> Vec<usize>) -> (f64, usize) {
    let mut found = vec![0; made.len()];
    let (mut late, mut weight, mut questions) = (0.0, 0.0, 0);
    let mut answers = Vec::new();
    for step in 0..days * DAY / MINUTE {
        let now = START + step * MINUTE;
        let asked = ask(now, &answers);
        questions += asked.len();
        answers.clear();
        for place in asked {
            let tag = &made[place];
            let mut has_moved = false;
            while let Some(at) = tag.moves.get(found[place]).filter(|at| **at <= now) {
                has_moved = true;
                found[place] += 1;
                if step * MINUTE > days * DAY / 3 {
                    late += (now - at) as f64 * tag.pulls as f64;
                    weight += tag.pulls as f64;
                }
            }
            answers.push((place, has_moved));
        }
    }
    (late / weight / 1000.0, questions)
}

#[test]
fn moves_are_found_sooner_than_by_going_round_evenly_as_often() {
    const DAYS: u64 = 30;
    let made = world(DAYS);
    let places: HashMap<Subject, usize> = made.iter().enumerate().map(|(place, made)| (made.subject.clone(), place)).collect();
    let mut watch = Watch::new(settings(1));
    for made in &made {
        for _ in 0..made.pulls {
            watch.hear(&pull(&made.subject, START, "first", Source::Upstream));
        }
    }
    let mut version = 0;
    let (watching, questions) = delay(&made, DAYS, |now, answers| {
        for (place, has_moved) in answers {
            let subject = &made[*place].subject;
            version += 1;
            let named = digest(&format!("{version}"));
            watch.answered(subject, now, if *has_moved { Answer::Names(named) } else { Answer::Same });
        }
        // They are pulled as often as ever.
        if now % DAY < MINUTE {
            for made in &made {
                for _ in 0..made.pulls {
                    watch.hear(&pull(&made.subject, now, "unused", Source::Catalog));
                }
            }
        }
        due(&mut watch, now).iter().map(|subject| places[subject]).collect()
    });
    let mut next = 0;
    let (evenly, as_many) = delay(&made, DAYS, |_, _| {
        next = (next + 1) % made.len();
        vec![next]
    });
    assert!(questions <= as_many, "{questions} questions, not {as_many}");
    assert!(watching < evenly / 3.0, "{watching} s, evenly {evenly} s");
}

#[test]
fn when_a_tag_has_moved_its_siblings_are_asked_for_next() {
    let mut watch = Watch::new(settings(60));
    let others: Vec<_> = (0..50).map(|number| subject(&format!("library/other{number}"), "latest")).collect();
    let siblings = [subject("library/a", "latest"), subject("library/a", "1"), subject("library/a", "1.2")];
    for subject in others.iter().chain(&siblings) {
        for _ in 0..100 {
            watch.hear(&pull(subject, START, "first", Source::Upstream));
        }
    }
    let mut now = START;
    for _ in 0..60 {
        now += 60 * SECOND;
        for subject in due(&mut watch, now) {
            watch.answered(&subject, now, Answer::Same);
        }
    }
    watch.hear(&moved(&siblings[0], now, Some("second")));
    now += 60 * SECOND;
    let due = due(&mut watch, now);
    let first: Vec<_> = due.iter().take(2).collect();
    assert!(first.contains(&&siblings[1]) && first.contains(&&siblings[2]), "{due:?}");
}

#[test]
fn when_an_image_was_rebuilt_those_on_the_same_lowest_layer_are_likelier_to_move() {
    let share = |rebuilt: bool| {
        let mut watch = Watch::new(settings(1));
        let (base, dependent) = (subject("library/debian", "12"), subject("library/nginx", "latest"));
        let other = subject("library/alpine", "latest");
        for (subject, image, lowest) in [(&base, "d1", "l1"), (&dependent, "n1", "l1"), (&other, "a1", "l9")] {
            watch.hear(&pull(subject, START, image, Source::Upstream));
            watch.hear(&seen(subject, START, image, lowest));
        }
        watch.due(START);
        if rebuilt {
            watch.hear(&moved(&base, START, Some("d2")));
            watch.hear(&seen(&base, START, "d2", "l2"));
        }
        watch.due(START + HOUR);
        let cost = |subject: &Subject| watch.tags[watch.places[subject] as usize].late_cost();
        cost(&dependent) / cost(&other)
    };
    assert!(share(true) > 2.0 * share(false));
}

#[test]
fn an_index_stands_where_its_images_stand() {
    let mut anatomy = Anatomy::default();
    let subject = subject("library/nginx", "latest");
    let What::ManifestSeen(image) = seen(&subject, START, "amd64", "l1").what else { unreachable!() };
    let child = crate::events::Child { manifest: image.manifest.clone(), platform: Some("linux/amd64".to_owned()) };
    let index = ManifestSeen {
        manifest: Layer { digest: digest("index"), ..image.manifest.clone() },
        layers: Vec::new(),
        manifests: Some(vec![child]),
        ..(*image).clone()
    };
    let of_index = |anatomy: &Anatomy| anatomy.of(subject::short(&digest("index")));
    anatomy.seen(&index);
    assert_eq!(of_index(&anatomy), None);
    anatomy.seen(&image);
    assert_eq!(of_index(&anatomy).map(|known| (known.family, known.bytes)), Some((subject::short(&digest("l1")), 2 << 20)));
    let mut anatomy = Anatomy::default();
    anatomy.seen(&image);
    anatomy.seen(&index);
    assert!(of_index(&anatomy).is_some());
}

#[test]
fn a_limit_stops_all_questions_of_its_upstream_until_it_is_over() {
    let mut watch = Watch::new(settings(600));
    let tags: Vec<_> = (0..5).map(|number| subject("library/a", &format!("t{number}"))).collect();
    for subject in &tags {
        watch.hear(&pull(subject, START, "first", Source::Upstream));
    }
    watch.due(START);
    let now = START + 2 * HOUR;
    assert_eq!(watch.due(now).len(), 5);
    watch.answered(&tags[0], now, Answer::Limited(Duration::from_secs(600)));
    for subject in &tags[1..] {
        watch.answered(subject, now, Answer::Same);
    }
    assert!(watch.due(now + 599 * SECOND).is_empty());
    assert!(!watch.due(now + 2 * HOUR).is_empty());
}

#[test]
fn the_budget_holds_and_an_upstream_that_is_off_is_not_asked() {
    let mut watch = Watch::new(settings(2));
    for number in 0..200 {
        watch.hear(&pull(&subject(&format!("library/r{number}"), "latest"), START, "first", Source::Upstream));
    }
    let mut asked = 0;
    for second in 0..7200 {
        let now = START + second * SECOND;
        for subject in due(&mut watch, now) {
            asked += 1;
            watch.answered(&subject, now, Answer::Same);
        }
    }
    // An hour passes until somebody is overdue; the next hour's worth, and what can be saved.
    assert!((110..=125).contains(&asked), "{asked}");
    watch.reconfigure(Settings { off: HashSet::from(["docker.io".into()]), ..settings(2) });
    assert!(watch.due(START + DAY).is_empty());
}

#[test]
fn only_tags_of_mirrors_that_are_pulled_by_name_are_followed_and_not_for_ever() {
    let mut watch = Watch::new(settings(60));
    let followed = subject("library/a", "latest");
    let mut hosted = subject("local/a", "latest");
    hosted.repository.route = "".into();
    watch.hear(&pull(&hosted, START, "first", Source::Hosted));
    let unknown = subject("library/b", "latest");
    let mut failed = pull(&unknown, START, "first", Source::None);
    if let What::Request(request) = &mut failed.what {
        Arc::make_mut(request).status = 404;
    }
    watch.hear(&failed);
    watch.hear(&moved(&unknown, START, Some("first")));
    assert!(watch.is_empty());
    watch.hear(&pull(&followed, START, "first", Source::Upstream));
    assert!(watch.follows(&followed));
    watch.due(START + DAY);
    assert_eq!(watch.len(), 1);
    watch.due(START + DAY);
    watch.due(START + 31 * DAY);
    assert!(watch.is_empty());
    watch.hear(&pull(&followed, START + 31 * DAY, "first", Source::Upstream));
    watch.hear(&moved(&followed, START + 31 * DAY, None));
    assert!(watch.is_empty());
}

#[test]
fn no_more_than_so_many_are_followed_and_those_stay_that_are_pulled_most() {
    let mut watch = Watch::new(settings(60));
    watch.due(START);
    for number in 0..MOST + 10 {
        watch.hear(&pull(&subject(&format!("r{number}"), "latest"), START, "first", Source::Upstream));
    }
    let often = subject(&format!("r{}", MOST + 9), "latest");
    watch.hear(&pull(&often, START, "first", Source::Catalog));
    watch.due(START + SECOND);
    assert!(watch.len() <= MOST && watch.follows(&often), "{}", watch.len());
}

#[test]
fn whatever_is_told_in_whatever_order_nothing_breaks() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut watch = Watch::new(settings(600));
    for _ in 0..20_000 {
        let subject = subject(&format!("r{}", random.u8(0..6)), &format!("t{}", random.u8(0..4)));
        let at = START + random.u64(0..90) * DAY / 3;
        let (named, lowest) = (format!("{}", random.u8(0..3)), format!("{}", random.u8(0..3)));
        match random.u8(0..8) {
            0 | 1 => watch.hear(&pull(&subject, at, &named, Source::Upstream)),
            2 => watch.hear(&moved(&subject, at, Some(named.as_str()).filter(|_| random.bool()))),
            3 => watch.hear(&seen(&subject, at, &named, &lowest)),
            4 => drop(watch.due(at)),
            5 => watch.answered(&subject, at, Answer::Same),
            6 => watch.answered(&subject, at, Answer::Failed),
            _ => watch.answered(&subject, at, Answer::Gone),
        }
        for tag in &watch.tags {
            assert!(tag.late_cost() >= 0.0 && tag.late_cost().is_finite());
        }
    }
    assert_eq!(watch.places.len(), watch.tags.len());
    assert_eq!(watch.groups.values().map(Vec::len).sum::<usize>(), watch.tags.len());
}

#[test]
fn what_is_heard_again_counts_with_the_time_that_passed() {
    let (restless, calm, gone) = (subject("library/a", "latest"), subject("library/b", "latest"), subject("library/c", "latest"));
    let mut watch = Watch::new(settings(60));
    watch.recall(&pull(&gone, START - 15 * DAY, "first", Source::Upstream));
    for day in 0..20 {
        let at = START + day * DAY;
        watch.recall(&pull(&restless, at, &format!("of {day}"), Source::Upstream));
        watch.recall(&pull(&calm, at, "first", Source::Revalidated));
    }
    assert!(watch.follows(&restless) && watch.follows(&calm) && !watch.follows(&gone));
    watch.due(START + 20 * DAY);
    let tag = |subject: &Subject| &watch.tags[watch.places[subject] as usize];
    assert!(tag(&restless).late_cost() > 2.0 * tag(&calm).late_cost());
    let pulls_a_day = tag(&calm).demand.rate() * 86_400.0;
    assert!((0.7..1.2).contains(&pulls_a_day), "{pulls_a_day}");
}
