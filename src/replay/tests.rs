//! Workloads that are small enough to be followed by hand, and random ones that no policy may stumble over.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    policy,
    prefetcher::{self, View, Wish},
    workload::{Content, ContentId, Name, Step, What, Workload},
    *,
};
use crate::{
    oci::{Algorithm, Digest},
    predict::World,
};

const HERE: u16 = 0;
const ELSEWHERE: u16 = 1;

/// Layers of these sizes in kilobytes, images of these layers, and what happened.
fn workload(sizes: &[u64], images: &[&[ContentId]], steps: &[(u64, What)]) -> Workload {
    let contents = sizes.iter().zip(0_u32..);
    let contents = contents.map(|(size, number)| {
        let digest = Digest::of(Algorithm::Sha256, &number.to_be_bytes());
        Content { digest, size: size * 1_000 }
    });
    Workload {
        steps: steps.iter().map(|(at, what)| Step { at: *at, what: *what }).collect(),
        world: World { contents: contents.collect(), images: images.iter().map(|layers| (*layers).into()).collect() },
        regions: vec![Arc::from("here"), Arc::from("elsewhere")],
        counted_from: 0,
    }
}

const fn layer(client: u32, content: ContentId) -> What {
    What::Layer { region: HERE, client, content }
}

const fn public(tag: u32) -> Name {
    Name { repository: 0, tag, private: false }
}

const fn private(repository: u32, tag: u32) -> Name {
    Name { repository, tag, private: true }
}

const fn image(region: u16, customer: u32, client: u32, name: Name, image: u32) -> What {
    What::Image { region, customer, client, name, image: Some(image) }
}

const fn moved(name: Name, image: u32) -> What {
    What::Moved { name, image: Some(image) }
}

fn run(workload: &Workload, capacity: u64, policy: &str, prefetch: &str) -> Figures {
    let settings = Settings {
        model: None,
        rows: None,
        region: HERE,
        capacity: capacity * 1_000,
        policy: policy.to_owned(),
        prefetch: prefetch.to_owned(),
        discovery: 90_000,
        network: Network::default(),
    };
    replay(workload, &settings, |_| ()).unwrap()
}

/// Requests for layers of one kilobyte, one a second.
fn requests(contents: &[ContentId]) -> Workload {
    let steps: Vec<_> = contents.iter().zip(1_u64..).map(|(content, second)| (second * 1_000, layer(0, *content))).collect();
    workload(&[1; 10], &[], &steps)
}

#[test]
fn what_each_policy_lets_go() {
    let lately_used = requests(&[0, 1, 0, 2, 0, 1]);
    for (policy, hits) in [("lru", 2), ("fifo", 1), ("lfu", 2), ("sieve", 2), ("belady", 2)] {
        assert_eq!(run(&lately_used, 2, policy, "none").hits, hits, "{policy}");
    }
    // A scan that pushes everything out of an LRU.
    let scan = requests(&[0, 0, 0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 0]);
    assert_eq!(run(&scan, 3, "lru", "none").hits, 2);
    for policy in ["lfu", "gdsf", "gdf", "sieve", "belady"] {
        assert_eq!(run(&scan, 3, policy, "none").hits, 4, "{policy}");
    }
}

#[test]
fn what_is_asked_for_once_passes_by_what_is_asked_for_often() {
    let steps: Vec<_> =
        [0, 0, 0].into_iter().chain(1..60).chain([0]).zip(1_u64..).map(|(content, at)| (at, layer(0, content))).collect();
    let workload = workload(&[1; 60], &[], &steps);
    assert_eq!(run(&workload, 20, "lru", "none").hits, 2);
    for policy in ["s3-fifo", "w-tinylfu"] {
        assert_eq!(run(&workload, 20, policy, "none").hits, 3, "{policy}");
    }
}

#[test]
fn by_size_small_contents_stay_and_by_bytes_large_ones_do() {
    let steps = [(1, layer(0, 0)), (2, layer(0, 1)), (3, layer(0, 2)), (4, layer(0, 0)), (5, layer(0, 1))];
    let workload = workload(&[1, 9, 5], &[], &steps);
    assert_eq!(run(&workload, 14, "gdsf", "none").hits, 1);
    assert_eq!(run(&workload, 14, "lru", "none").hits, 0);
    assert_eq!(run(&workload, 14, "belady-size", "none").hits, 1);
}

#[test]
fn what_is_larger_than_the_cache_passes_through() {
    let workload = workload(&[90, 1], &[], &[(1, layer(0, 1)), (2, layer(0, 0)), (3, layer(0, 0)), (4, layer(0, 1))]);
    for (policy, _) in policies() {
        let figures = run(&workload, 50, policy, "none");
        assert_eq!((figures.hits, figures.missed_bytes), (1, 181_000), "{policy}");
    }
}

#[test]
fn what_is_asked_for_before_the_warm_up_ends_is_not_counted() {
    let mut workload = requests(&[0, 0, 0]);
    workload.counted_from = 2_500;
    let figures = run(&workload, 5, "lru", "none");
    assert_eq!((figures.requests, figures.hits), (1, 1));
}

/// A public tag is pulled here, moves, and is pulled again a minute or five later.
fn tag_that_moves(after: u64) -> Workload {
    let second = 200_000 + after;
    let steps = [
        (100_000, image(HERE, 0, 0, public(0), 0)),
        (100_100, layer(0, 0)),
        (200_000, moved(public(0), 1)),
        (second, image(HERE, 0, 0, public(0), 1)),
        (second + 100, layer(0, 1)),
    ];
    workload(&[1; 2], &[&[0], &[0, 1]], &steps)
}

#[test]
fn a_tag_that_is_followed_is_fetched_once_its_move_is_known() {
    for prefetch in ["tag-follow", "rule"] {
        let figures = run(&tag_that_moves(300_000), 10, "lru", prefetch);
        assert_eq!((figures.hits, figures.used, figures.prefetched), (1, 1, 1), "{prefetch}");
    }
    // These fetch the first image too, when its manifest is asked for.
    for prefetch in ["graph-rule", "model"] {
        assert_eq!(run(&tag_that_moves(300_000), 10, "lru", prefetch).hits, 2, "{prefetch}");
    }
    assert_eq!(run(&tag_that_moves(60_000), 10, "lru", "rule").hits, 0);
    assert_eq!(run(&tag_that_moves(300_000), 10, "lru", "none").hits, 0);
}

#[test]
fn a_private_image_is_fetched_when_its_customer_pulls_it_elsewhere() {
    let steps = [
        (100_000, image(HERE, 0, 0, private(0, 0), 0)),
        (200_000, image(ELSEWHERE, 1, 1, private(0, 1), 1)),
        (300_000, layer(0, 1)),
        (400_000, image(ELSEWHERE, 0, 2, private(0, 1), 1)),
        (500_000, layer(0, 2)),
    ];
    let workload = workload(&[1; 3], &[&[0], &[1, 2]], &steps);
    let figures = run(&workload, 10, "lru", "rule");
    // The first one is another customer's business.
    assert_eq!((figures.requests, figures.hits, figures.prefetched), (2, 1, 1));
}

#[test]
fn on_a_manifest_only_what_its_client_lacks_is_fetched() {
    let steps = [(1_000, layer(7, 0)), (2_000, image(HERE, 0, 7, public(0), 0)), (9_000, layer(7, 1)), (9_001, layer(7, 2))];
    let workload = workload(&[1; 3], &[&[0, 1, 2]], &steps);
    let figures = run(&workload, 10, "lru", "graph-rule");
    assert_eq!((figures.hits, figures.prefetched), (2, 2));
}

#[test]
fn what_is_asked_for_on_its_way_is_late_and_what_leaves_unused_is_wasted() {
    let steps = [
        (1_000, image(HERE, 0, 7, public(0), 0)),
        (1_050, layer(7, 0)),
        (2_000, layer(7, 2)),
        (3_000, layer(7, 3)),
        (4_000, layer(7, 4)),
    ];
    let workload = workload(&[1; 5], &[&[0, 1]], &steps);
    let figures = run(&workload, 2, "lru", "graph-rule");
    assert_eq!((figures.late, figures.used, figures.prefetched, figures.wasted_bytes), (1, 1, 2, 1_000));
    assert_eq!(figures.told().upstream_bytes, 5_000);
}

#[test]
fn a_client_that_comes_to_life_gets_what_else_its_customer_runs() {
    let run_all =
        |client: u32, at: u64| (0..3).map(move |one| (at + u64::from(one) * 1_000, image(HERE, 0, client, private(one, 0), one)));
    let steps: Vec<_> = run_all(1, 10_000)
        .chain([(20_000, layer(9, 3)), (21_000, layer(9, 4)), (22_000, layer(9, 5))])
        .chain(run_all(2, 500_000).take(2))
        .chain([(510_000, layer(2, 2))])
        .collect();
    let workload = workload(&[1; 6], &[&[0], &[1], &[2]], &steps);
    assert_eq!(run(&workload, 3, "lru", "model").hits, 1);
    assert_eq!(run(&workload, 3, "lru", "graph-rule").hits, 0);
}

#[test]
fn what_was_superseded_leaves_first_in_gdf_graph() {
    let deploy = |at, image_number, client| {
        [
            (at, image(HERE, 0, client, private(0, image_number), image_number)),
            (at + 1, image(HERE, 0, client, private(0, image_number), image_number)),
        ]
    };
    let mut steps = vec![(1, layer(1, 0)), (2, layer(1, 0)), (3, layer(1, 0)), (4, layer(1, 1))];
    steps.extend(deploy(10, 0, 1));
    steps.extend(deploy(20, 1, 1));
    steps.extend([(30, layer(1, 2)), (31, layer(1, 1))]);
    let workload = workload(&[1; 3], &[&[0], &[1]], &steps);
    assert_eq!(run(&workload, 2, "gdf-graph", "none").hits - run(&workload, 2, "gdf", "none").hits, 1);
}

#[test]
fn the_clairvoyant_knows_only_what_is_published() {
    let steps = [(1_000, layer(0, 1)), (10_000, moved(public(0), 0)), (20_000, layer(0, 0)), (30_000, layer(0, 2))];
    let workload = workload(&[1; 3], &[&[0]], &steps);
    assert_eq!(run(&workload, 10, "lru", "clairvoyant").hits, 1);
}

#[test]
fn what_followed_before_is_expected_again() {
    let turns = (0..4_u64).flat_map(|turn| (0..4).map(move |one| (turn * 100_000 + u64::from(one) * 10_000, layer(0, one))));
    let steps: Vec<_> = turns.collect();
    let workload = workload(&[1; 4], &[], &steps);
    assert_eq!((run(&workload, 2, "fifo", "none").hits, run(&workload, 2, "fifo", "markov-layer").hits), (0, 11));
}

#[test]
fn names_that_there_are_not_are_refused_with_those_that_there_are() {
    assert!(check("lru", "none").is_ok() && check("gdf:0.5", "rule").is_ok());
    for policy in ["", "LRU", "lru:1", "gdf:", "gdf:x", "gdf:-1", "gdf:9"] {
        assert!(check(policy, "none").unwrap_err().to_string().contains("there are lru, fifo"), "{policy}");
    }
    assert!(check("lru", "all").unwrap_err().to_string().contains("there are none, manifest"));
}

#[test]
fn a_region_where_nothing_happened_is_told_with_those_where_something_did() {
    let workload = requests(&[0]);
    assert_eq!(workload.region("elsewhere"), Ok(ELSEWHERE));
    assert!(workload.region("mars").unwrap_err().to_string().ends_with("here, elsewhere"));
    assert_eq!((workload.busiest_region(), workload.footprint(HERE), workload.footprint(ELSEWHERE)), (HERE, 1_000, 0));
}

/// A cache in which nothing ever was.
struct Empty;

impl View for Empty {
    fn was_here(&self, _content: ContentId) -> bool {
        false
    }

    fn is_here(&self, _content: ContentId) -> bool {
        false
    }
}

const CONTENTS: u32 = 30;

prop_compose! {
    fn any_step()(
        kind in 0..4_u8, region in 0..2_u16, customer in 0..3_u32, client in 0..6_u32, content in 0..CONTENTS,
        repository in 0..3_u32, tag in 0..3_u32, is_private in any::<bool>(), number in 0..8_u32,
    ) -> What {
        let name = Name { repository, tag, private: is_private };
        match kind {
            0 => moved(name, number),
            1 => image(region, customer, client, name, number),
            _ => What::Layer { region, client, content },
        }
    }
}

prop_compose! {
    fn any_steps()(steps in prop::collection::vec((0..200_000_u64, any_step()), 1..300)) -> Vec<(u64, What)> {
        let mut now = 1;
        steps.into_iter().map(|(pause, what)| {
            now += pause;
            (now, what)
        }).collect()
    }
}

fn random(sizes: &[u64], steps: &[(u64, What)]) -> Workload {
    let images: Vec<Vec<ContentId>> =
        (0..8_u32).map(|number| (0..5).map(|layer| (number * 7 + layer * 3) % CONTENTS).collect()).collect();
    workload(sizes, &images.iter().map(Vec::as_slice).collect::<Vec<_>>(), steps)
}

/// All that a prefetcher wishes for along a workload.
fn wishes(workload: &Workload, prefetch: &str) -> Vec<Vec<Wish>> {
    let mut prefetcher = prefetcher::make(prefetch, &prefetcher::Setting { workload, region: HERE }).unwrap();
    let step = |step: &Step| {
        let mut wishes = Vec::new();
        prefetcher.observe(step, &Empty, &mut wishes);
        prefetcher.discover(step, step.at, &Empty, &mut wishes);
        wishes
    };
    workload.steps.iter().map(step).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_pair_gets_through_and_keeps_its_books(steps in any_steps(), sizes in prop::collection::vec(1..40_u64, CONTENTS as usize)) {
        let workload = random(&sizes, &steps);
        for (policy, _) in policies() {
            for (prefetch, _) in prefetchers() {
                let figures = run(&workload, 60, policy, prefetch);
                prop_assert_eq!(figures.latencies(), figures.requests as usize);
                prop_assert!(figures.hits + figures.late <= figures.requests);
                prop_assert!(figures.used <= figures.prefetched, "{policy} {prefetch}");
                prop_assert!(figures.used_bytes + figures.wasted_bytes <= figures.prefetched_bytes);
            }
        }
    }

    #[test]
    fn the_same_trace_gives_the_same_figures(steps in any_steps()) {
        let workload = random(&[7; CONTENTS as usize], &steps);
        for (policy, _) in policies() {
            let told = || serde_json::to_string(&run(&workload, 60, policy, "model").told()).unwrap();
            prop_assert_eq!(told(), told());
        }
    }

    /// Whatever comes after a moment changes nothing that was wished for before it.
    #[test]
    fn no_prefetcher_but_the_bound_knows_the_future(past in any_steps(), future in any_steps(), other in any_steps()) {
        let end = past.last().map_or(0, |(at, _)| *at);
        let then = |future: &[(u64, What)]| -> Vec<_> {
            past.iter().copied().chain(future.iter().map(|(at, what)| (end + at, *what))).collect()
        };
        let sizes = [7; CONTENTS as usize];
        let (one, other) = (random(&sizes, &then(&future)), random(&sizes, &then(&other)));
        for (prefetch, _) in prefetchers().filter(|(name, _)| *name != "clairvoyant") {
            prop_assert_eq!(&wishes(&one, prefetch)[..past.len()], &wishes(&other, prefetch)[..past.len()], "{}", prefetch);
        }
    }
}

#[test]
fn the_bound_does_know_the_future() {
    let steps = |content| [(1_000, moved(public(0), 0)), (2_000, layer(0, content))];
    let (one, other) = (workload(&[1; 2], &[&[0, 1]], &steps(0)), workload(&[1; 2], &[&[0, 1]], &steps(1)));
    assert_ne!(wishes(&one, "clairvoyant")[0], wishes(&other, "clairvoyant")[0]);
    let made = policy::make("belady", &policy::Setting { workload: &one, region: HERE, capacity: 1 });
    assert!(made.is_some());
}
