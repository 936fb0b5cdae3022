//! Random histories: what is known at their end does not depend on how it came about.

mod facts;

use std::{collections::BTreeMap, sync::Arc};

use petgraph::{
    stable_graph::NodeIndex,
    visit::{EdgeRef, IntoEdgeReferences},
};
use proptest::prelude::*;
use redb::{Database, backends::InMemoryBackend};

use super::{
    apply::tests::{digest, image, request},
    load::{Progress, load},
    model::{Edge, Role, State},
    store::{Group, Store},
    versions::Version,
};
use crate::{
    events::{Child, Event, Kind, Layer, ManifestSeen, Repository, What},
    oci::Digest,
};
use facts::Facts;

const REPOSITORIES: [(&str, &str); 3] = [("docker.io", "one"), ("docker.io", "two"), ("", "own")];
const TAGS: [&str; 6] = ["latest", "1.0.0", "1.2.0", "1.10.0-rc1", "1.10.0", "1.2.0-alpine"];

/// Images by their layers, some of which say what they are built on (`^`), are about (`~`), or have the same layers as another
/// one (`#`); and indexes, which hold some of them (`+`).
const MANIFESTS: [&str; 22] = [
    "a",
    "a/b",
    "a/b#2",
    "a/b#3",
    "a/b/c",
    "a/b/c/d",
    "a/c",
    "b",
    "b/a",
    "b/a/b",
    "c/c",
    "c/c/c",
    "a/b/c/e^a",
    "a/d^+a/b+b",
    "b/c^never",
    "s~a/b",
    "s/t~+b+a",
    "+a/b+a/c",
    "+b+a",
    "+a/b/c/d+never",
    "d/e^a/d^+a/b+b",
    "+s~a/b",
];

fn repository(n: usize) -> Repository {
    let (route, name) = REPOSITORIES[n];
    Repository { route: route.into(), name: name.parse().unwrap(), private: false }
}

/// What a manifest says follows from its name, as it does from a digest.
fn manifest(repository: Repository, name: &str) -> ManifestSeen {
    // As long as the pulls that are told of.
    let named = |name: &str| Layer { digest: digest(name), size: 77, ..image("x", "x").manifest };
    if let Some(children) = name.strip_prefix('+') {
        let child = |name: &str| Child { manifest: named(name), platform: None };
        let manifests = Some(children.split('+').map(child).collect());
        return ManifestSeen {
            repository,
            manifest: named(name),
            config: None,
            layers: Vec::new(),
            manifests,
            ..image("x", "x")
        };
    }
    let (rest, base) = name.split_once('^').map_or((name, None), |(rest, base)| (rest, Some(digest(base))));
    let (rest, subject) = rest.split_once('~').map_or((rest, None), |(rest, subject)| (rest, Some(digest(subject))));
    let layers = rest.split('#').next().unwrap_or_default().split('/').map(|layer| named(&format!("layer {layer}"))).collect();
    let config = Some(named(&format!("{name} config")));
    ManifestSeen { repository, manifest: named(name), config, layers, subject, base, ..image("x", "x") }
}

/// Something that happens, and how many seconds after the event before it.
#[derive(Debug, Clone)]
enum Step {
    Seen(usize, usize),
    Deleted(usize, usize),
    Moved(usize, usize, usize),
    Untagged(usize, usize),
    Pulled(usize, usize, usize, u64),
    BlobPulled(u8),
    ConfigRead(usize),
    /// For want of memory.
    Forgotten(usize),
    HistoryForgotten,
    /// All that has changed is written.
    Committed,
}

fn step() -> impl Strategy<Value = Step> {
    let (r, m, t) = (0..REPOSITORIES.len(), 0..MANIFESTS.len(), 0..TAGS.len());
    prop_oneof![
        8 => (r.clone(), m.clone()).prop_map(|(r, m)| Step::Seen(r, m)),
        4 => (r.clone(), m.clone()).prop_map(|(r, m)| Step::Deleted(r, m)),
        6 => (r.clone(), t.clone(), m.clone()).prop_map(|(r, t, m)| Step::Moved(r, t, m)),
        2 => (r.clone(), t.clone()).prop_map(|(r, t)| Step::Untagged(r, t)),
        2 => (r, t, m.clone(), 0..3_u64).prop_map(|(r, t, m, client)| Step::Pulled(r, t, m, client)),
        1 => (0..4_u8).prop_map(Step::BlobPulled),
        1 => m.clone().prop_map(Step::ConfigRead),
        1 => m.prop_map(Step::Forgotten),
        1 => Just(Step::HistoryForgotten),
        2 => Just(Step::Committed),
    ]
}

fn history() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let elapsed = prop_oneof![5 => 0..200_i64, 1 => -300..0_i64, 1 => 0..100_000_000_i64];
    proptest::collection::vec((elapsed, step()), 1..120)
}

fn event(step: &Step, at: u32) -> Option<Event> {
    let content = |m: &usize| digest(MANIFESTS[*m]);
    let what = match step {
        Step::Seen(r, m) => What::ManifestSeen(Arc::new(manifest(repository(*r), MANIFESTS[*m]))),
        Step::Deleted(r, m) => What::ManifestDeleted { repository: repository(*r), digest: content(m) },
        Step::Moved(r, t, m) => moved(*r, *t, Some(content(m))),
        Step::Untagged(r, t) => moved(*r, *t, None),
        Step::Pulled(r, t, m, client) => {
            let name = REPOSITORIES[*r].1;
            request(Kind::Manifest, *client, name, Some(TAGS[*t]), Some(MANIFESTS[*m]))
        }
        Step::BlobPulled(n) => {
            request(Kind::Blob, 1, "one", None, Some(["layer a", "layer b", "layer z", "a/b"][usize::from(*n)]))
        }
        Step::ConfigRead(m) => What::ConfigRead { digest: digest(&format!("{} config", MANIFESTS[*m])), created: 7 },
        Step::Forgotten(_) | Step::HistoryForgotten | Step::Committed => return None,
    };
    Some(Event { at: u64::from(at) * 1000, what })
}

fn moved(r: usize, t: usize, digest: Option<Digest>) -> What {
    What::TagMoved { repository: repository(r), tag: TAGS[t].parse().unwrap(), digest }
}

/// Tells a history to the graph, to the plain list of facts, and to a database, in parts.
fn tell(history: &[(i64, Step)]) -> (State, Facts, Store) {
    let (mut state, mut facts) = (State::default(), Facts::default());
    state.touched.start();
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    let mut store = Store::new("memory".into(), database).unwrap();
    let (mut names, mut at) = (0, 1_000_000_000_i64);
    for (elapsed, step) in history.iter().chain(&[(0, Step::HistoryForgotten), (0, Step::Committed)]) {
        at = (at + elapsed).clamp(1, u32::MAX.into());
        let now = at as u32;
        match step {
            Step::Forgotten(m) => {
                if let Some(node) = state.content(&digest(MANIFESTS[*m])) {
                    state.forget_content(node);
                }
                facts.forgotten(MANIFESTS[*m]);
            }
            Step::HistoryForgotten => {
                let edges: Vec<_> = state.graph.edge_indices().collect();
                edges.into_iter().for_each(|edge| state.forget_edge(edge));
                facts.history_forgotten();
            }
            Step::Committed => {
                let rows = state.touched.take();
                store.commit(&Group::of(&state, &rows, names)).unwrap();
                names = state.names().len();
            }
            step => {
                event(step, now).into_iter().for_each(|event| state.apply(&event));
                facts.tell(step, now);
            }
        }
    }
    (state, facts, store)
}

/// Bases and neighbouring versions, found anew in the plainest way.
fn derived(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    let images: Vec<_> = state.graph.node_indices().filter(|&node| state.is_known(node)).collect();
    let layers: BTreeMap<_, _> = images.iter().map(|&image| (image, state.layers(image))).collect();
    let digest = |node: NodeIndex| state.as_content(node).map(|content| content.digest());
    for (image, own) in &layers {
        let declared = state.graph.edges(*image).find(|edge| matches!(edge.weight(), Edge::BasedOn { declared: true, .. }));
        if let Some(declared) = declared {
            let children = state.graph.edges(declared.target()).filter(|edge| matches!(edge.weight(), Edge::Child { .. }));
            let bases = children.map(|edge| edge.target()).chain([declared.target()]);
            let shared = bases.map(|base| own.iter().zip(state.layers(base)).take_while(|(one, other)| *one == other).count());
            found.push(format!("{image:?} on {:?} {:?} declared", declared.target(), shared.max().unwrap_or_default()));
            continue;
        }
        let proper = layers.iter().filter(|(_, base)| !base.is_empty() && base.len() < own.len() && own.starts_with(base));
        let base = proper.min_by_key(|(base, layers)| (std::cmp::Reverse(layers.len()), digest(**base)));
        found.extend(base.map(|(base, layers)| format!("{image:?} on {base:?} {}", layers.len())));
    }
    let tags = state.graph.node_indices().filter_map(|node| Some((node, state.as_tag(node)?)));
    let named = tags.filter(|(node, _)| state.named(*node).is_some());
    let versions = named.filter_map(|(node, tag)| Some((tag.repository, Version::of(tag.tag.as_str())?, node)));
    let mut versions: Vec<_> = versions.collect();
    versions.sort();
    for pair in versions.windows(2) {
        if (pair[0].0, &pair[0].1.series) == (pair[1].0, &pair[1].1.series) {
            found.push(format!("{:?} then {:?}", pair[0].2, pair[1].2));
        }
    }
    found.sort();
    found
}

/// Bases and neighbouring versions, as they are linked.
fn linked(state: &State) -> Vec<String> {
    let edges = state.graph.edge_references().filter_map(|edge| match edge.weight() {
        Edge::BasedOn { shared, declared } => {
            let declared = if *declared { " declared" } else { "" };
            Some(format!("{:?} on {:?} {shared}{declared}", edge.source(), edge.target()))
        }
        Edge::NextVersion => Some(format!("{:?} then {:?}", edge.source(), edge.target())),
        _ => None,
    });
    let mut linked: Vec<_> = edges.collect();
    linked.sort();
    linked
}

/// All but history and demand.
fn structure(state: &State) -> Vec<String> {
    let name = |node: NodeIndex| match (state.as_content(node), state.as_repository(node), state.as_tag(node)) {
        (Some(content), ..) => content.digest().to_string(),
        (_, Some(repository), _) => format!("{}/{}", repository.route, repository.name),
        (.., Some(tag)) => {
            format!("{:?} of {:?}", tag.tag, state.as_repository(tag.repository).map(|repository| &repository.name))
        }
        _ => String::new(),
    };
    let edges = state.graph.edge_references().filter_map(|edge| {
        let kind = match edge.weight() {
            Edge::Names { until: 0, .. } => "names".to_owned(),
            Edge::Names { .. } | Edge::Holds | Edge::Succeeded { .. } | Edge::CoPulled { .. } | Edge::Wants { .. } => {
                return None;
            }
            other => format!("{other:?}"),
        };
        Some(format!("{} {kind} {}", name(edge.source()), name(edge.target())))
    });
    let known =
        state.graph.node_indices().filter_map(|node| state.as_content(node)).filter(|content| content.role >= Role::Layer);
    let known = known.map(|content| format!("{} is a {:?} of {} bytes", content.digest(), content.role, content.size));
    let mut lines: Vec<_> = edges.chain(known).collect();
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_is_what_would_be_found_anew(history in history()) {
        let (state, facts, store) = tell(&history);
        prop_assert_eq!(derived(&state), linked(&state));
        prop_assert_eq!(structure(&state), structure(&facts.rebuilt()));
        let mut loaded = load(store.database().unwrap(), &Progress::default()).unwrap();
        prop_assert_eq!(loaded.dump(), state.dump());
        prop_assert_eq!(loaded.sequence(), state.sequence());
        // Nodes are where they were, and the tables that are not dumped say the same.
        prop_assert_eq!(linked(&loaded), linked(&state));
        prop_assert_eq!(loaded.versions.len(), state.versions.len());
        prop_assert_eq!(loaded.chains.len(), state.chains.len());
        // What happens next has the same outcome, apart from what only this run remembers of clients.
        let next = |state: &mut State| {
            for (n, name) in MANIFESTS.iter().enumerate() {
                state.apply(&event(&Step::Seen(n % 3, n), 4_000_000_000).unwrap());
                state.apply(&event(&Step::Moved(n % 3, n % 6, n), 4_000_000_000).unwrap());
                state.apply(&Event { at: 0, what: What::ManifestDeleted { repository: repository(n % 2), digest: digest(name) } });
            }
        };
        let mut state = state;
        next(&mut state);
        next(&mut loaded);
        prop_assert_eq!(loaded.dump(), state.dump());
        prop_assert_eq!(derived(&loaded), linked(&loaded));
    }
}
