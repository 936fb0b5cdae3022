//! What the public is told is what it would be told if private repositories had never been.

use proptest::{collection::vec, option, prelude::*};
use serde_json::Value;

use super::{
    super::*,
    histories::{History, digest, subject},
};
use crate::graph::{State, Viewer};

const ROUTES: [&str; 4] = ["hub", "secret", "ghcr", "secret2"];
const NAMES: [&str; 3] = ["app", "os", "tool"];
const TAGS: [&str; 4] = ["1.0", "1.1", "2.0", "latest"];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Image { manifest: u8, base: Option<u8>, subject: Option<u8> },
    Index { index: u8 },
    Tag { tag: usize, manifest: Option<u8> },
    Delete { manifest: u8 },
    Pull { content: u8 },
}

/// What a manifest says follows from its number, as from its digest.
fn layers(manifest: u8) -> Vec<u8> {
    match manifest {
        1 => vec![10],
        2 | 3 => vec![10, 11],
        4 => vec![10, 11, 12],
        5 => vec![10, 11, 12, 13],
        6 => vec![20, 21],
        7 => vec![10, 13, 10],
        _ => vec![20],
    }
}

fn children(index: u8) -> Vec<u8> {
    if index == 30 { vec![1, 4] } else { vec![2, 31, 6] }
}

fn step() -> impl Strategy<Value = Step> {
    let manifest = 1_u8..=8;
    let any = prop_oneof![1_u8..=8, 30_u8..=31];
    prop_oneof![
        6 => manifest.prop_map(|manifest| Step::Image {
            manifest,
            base: (manifest == 5).then_some(3),
            subject: (manifest == 8).then_some(4),
        }),
        2 => (30_u8..=31).prop_map(|index| Step::Index { index }),
        5 => (0..TAGS.len(), option::weighted(0.9, any.clone())).prop_map(|(tag, manifest)| Step::Tag { tag, manifest }),
        2 => any.prop_map(|manifest| Step::Delete { manifest }),
        2 => (1_u8..25).prop_map(|content| Step::Pull { content }),
    ]
}

fn history() -> impl Strategy<Value = History> {
    let place = (0..ROUTES.len(), 0..NAMES.len());
    vec((place, step()), 0..60).prop_map(|steps| {
        let mut history = History::default();
        for ((route, name), step) in steps {
            let (route, name) = (ROUTES[route], NAMES[name]);
            match step {
                Step::Image { manifest, base, subject } => {
                    history.manifest(route, name, manifest, &layers(manifest), base, subject);
                }
                Step::Index { index } => {
                    history.index(route, name, index, &children(index));
                }
                Step::Tag { tag, manifest } => {
                    history.tag_moved(route, name, TAGS[tag], manifest);
                }
                Step::Delete { manifest } => {
                    history.deleted(route, name, manifest);
                }
                Step::Pull { content } => {
                    history.pull(route, name, content);
                }
            }
        }
        history
    })
}

/// Everything that can be asked, whether it is there or not.
fn subjects() -> Vec<Subject> {
    let contents = (1..=31).chain(101..=108).map(|content| Subject::Content(digest(content)));
    let names = ROUTES.iter().flat_map(|route| NAMES.iter().map(move |name| format!("{route}/{name}")));
    let named = names.flat_map(|name| {
        let tags = TAGS.iter().map(|tag| format!("{name}:{tag}")).collect::<Vec<_>>();
        let contents = [4, 11, 31].map(|content| format!("{name}@{}", digest(content)));
        [vec![name], tags, contents.to_vec()].concat()
    });
    contents.chain(named.map(|text| subject(&text))).collect()
}

/// All answers to the public.
fn answers(state: &State, now: u32) -> Vec<(String, String)> {
    const PUBLIC: Viewer = Viewer::Public;
    let page = Page { offset: 0, limit: 1_000 };
    let mut answers = Vec::new();
    for subject in subjects() {
        let told = [
            told("shares", sharing(state, PUBLIC, &subject, None, page)),
            told("other platform", sharing(state, PUBLIC, &subject, Some("linux/p1"), page)),
            told("bases", bases(state, PUBLIC, &subject, None)),
            told("versions", versions(state, PUBLIC, &subject, page)),
            told("together", together(state, PUBLIC, &subject, page, now)),
            told("around", around(state, PUBLIC, &subject, Bounds { depth: 3, nodes: 1_000 }, now)),
        ];
        answers.extend(told.map(|(question, answer)| (format!("{question} {subject}"), answer)));
    }
    for content in 1..=31 {
        let own = super::histories::place("ghcr/app").unwrap();
        answers.push((format!("pushed {content}"), format!("{:?}", shared_with(state, &digest(content), &own))));
    }
    let mut survey = Survey::new(PUBLIC);
    while survey.step(state) {}
    answers.push(("stats".to_owned(), serde_json::to_string(&survey.finish()).unwrap()));
    answers.push(("top".to_owned(), format!("{:?}", Ranking::new(PUBLIC, "eu", Order::Bytes, page, now).unwrap_err())));
    answers
}

fn told<T: serde::Serialize>(question: &'static str, answer: Result<T, QuestionError>) -> (&'static str, String) {
    let answer = answer.map_or_else(|error| Value::String(error.to_string()), |answer| serde_json::to_value(answer).unwrap());
    (question, answer.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_public_is_told_what_it_would_be_without_private_repositories(history in history()) {
        let (all, public) = (history.state(), history.public().state());
        for ((question, with), (_, without)) in answers(&all, 2_000).into_iter().zip(answers(&public, 2_000)) {
            prop_assert_eq!(&with, &without, "{}", question);
            // An unknown thing is called what whoever asks calls it.
            let names_a_secret = with.contains("secret") && !with.contains("does not know");
            prop_assert!(!names_a_secret && !with.contains("hush"), "{}: {}", question, with);
        }
    }
}

/// The property would hold for a graph that tells nothing.
#[test]
fn the_public_is_told_something_and_the_operator_more() {
    let mut history = History::default();
    history.image("hub", "os", 1, &layers(1)).tag("hub", "os", "latest", 1);
    history.image("secret", "app", 4, &layers(4)).tag("secret", "app", "latest", 4).image("hub", "app", 2, &layers(2));
    let state = history.state();
    let total = |viewer| shares(&state, viewer, &Subject::Content(digest(10)), Page::default()).unwrap().total;
    assert_eq!((total(Viewer::Public), total(Viewer::Operator)), (2, 3));
    for hidden in ["secret/app", "secret/app:latest"] {
        assert!(subject(hidden).node(&state, Viewer::Public).is_err() && subject(hidden).node(&state, Viewer::Operator).is_ok());
    }
    let only_private = Subject::Content(digest(12));
    assert_eq!(
        only_private.node(&state, Viewer::Public).unwrap_err(),
        Subject::Content(digest(99))
            .node(&State::default(), Viewer::Public)
            .map_err(|_| QuestionError::Unknown(digest(12).to_string()))
            .unwrap_err()
    );
    let own = super::histories::place("secret/app").unwrap();
    let told = |own| shared_with(&state, &digest(11), &own);
    assert_eq!(told(own), ["hub/app", "secret/app"]);
    assert_eq!(told(super::histories::place("hub/os").unwrap()), ["hub/app"]);
}
