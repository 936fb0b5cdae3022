//! Small worlds, and random ones in which nothing may be known too early.

use proptest::prelude::*;

use super::*;
use crate::{
    oci::{Algorithm, Digest},
    predict::world::Content,
};

const HERE: u16 = 0;
const ELSEWHERE: u16 = 1;
const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;

/// What is here, and was.
#[derive(Default)]
struct Held {
    here: Vec<ContentId>,
    before: Vec<ContentId>,
}

impl Cache for Held {
    fn was_here(&self, content: ContentId) -> bool {
        self.here.contains(&content) || self.before.contains(&content)
    }

    fn is_here(&self, content: ContentId) -> bool {
        self.here.contains(&content)
    }
}

/// Layers of these sizes in kilobytes, and images of these layers.
fn world(sizes: &[u64], images: &[&[ContentId]]) -> World {
    let content = |(size, number): (&u64, u32)| Content {
        digest: Digest::of(Algorithm::Sha256, &number.to_be_bytes()),
        size: size * 1_000,
    };
    World {
        contents: sizes.iter().zip(0_u32..).map(content).collect(),
        images: images.iter().map(|layers| (*layers).into()).collect(),
    }
}

const fn private(repository: u32, tag: u32) -> Name {
    Name { repository, tag, private: true }
}

const fn public(tag: u32) -> Name {
    Name { repository: 9, tag, private: false }
}

struct Scene {
    world: World,
    prophet: Prophet,
    held: Held,
}

impl Scene {
    fn new(sizes: &[u64], images: &[&[ContentId]]) -> Self {
        Self::without(None, sizes, images)
    }

    fn without(without: Option<Without>, sizes: &[u64], images: &[&[ContentId]]) -> Self {
        let prophet =
            Prophet::new(Settings { region: HERE, name: "here".into(), budget: Budget::default(), without, pace: Pace::AtOnce });
        Self { world: world(sizes, images), prophet, held: Held::default() }
    }

    fn observe(&mut self, at: Millis, what: What) -> Vec<(ContentId, Reason)> {
        let mut found = Vec::new();
        self.prophet.observe(&Step { at, what }, &self.world, &self.held, &mut found);
        told(&found)
    }

    fn pull(&mut self, at: Millis, region: u16, customer: u32, client: u32, name: Name, image: u32) -> Vec<(ContentId, Reason)> {
        self.observe(at, What::Image { region, customer, client, name, image: Some(image) })
    }

    fn layer(&mut self, at: Millis, client: u32, content: ContentId) {
        self.observe(at, What::Layer { region: HERE, client, content });
    }

    fn moved(&mut self, at: Millis, name: Name, image: u32) -> Vec<(ContentId, Reason)> {
        let mut found = Vec::new();
        let step = Step { at, what: What::Moved { name, image: Some(image) } };
        self.prophet.discover(&step, at, &self.world, &self.held, &mut found);
        told(&found)
    }
}

fn told(found: &[Candidate]) -> Vec<(ContentId, Reason)> {
    found.iter().map(|candidate| (candidate.content, candidate.reason)).collect()
}

#[test]
fn on_a_manifest_what_its_client_lacks_comes_the_smallest_first() {
    let mut scene = Scene::new(&[9, 5, 1, 7], &[&[0, 1, 2], &[0, 3]]);
    assert_eq!(scene.pull(1, HERE, 0, 1, public(0), 0), [(2, Reason::Pull), (1, Reason::Pull), (0, Reason::Pull)]);
    scene.layer(2, 1, 0);
    assert_eq!(scene.pull(3, HERE, 0, 1, public(2), 1), [(3, Reason::Pull)], "it has the base from before");
    scene.held.here.push(3);
    assert_eq!(scene.pull(4, HERE, 0, 2, public(2), 1), [(0, Reason::Pull)], "what is here is not fetched");
}

#[test]
fn a_new_version_is_expected_where_the_old_one_is_pulled() {
    let mut scene = Scene::new(&[9, 5, 1], &[&[0, 1], &[0, 2]]);
    assert_eq!(scene.moved(1, private(1, 1), 1), [], "nobody pulls it");
    scene.pull(2, HERE, 0, 1, private(1, 0), 0);
    scene.held.before.push(0);
    assert_eq!(scene.moved(3, private(1, 1), 1), [(2, Reason::Moved)], "only what was never here");
    assert_eq!(scene.moved(4, private(2, 1), 1), [], "that is another repository");
    assert_eq!(scene.moved(3 + 31 * DAY, private(1, 2), 1), [], "that was long ago");
    scene.pull(5, HERE, 0, 1, public(0), 0);
    assert_eq!(scene.moved(6, public(2), 1), [], "another tag of a public image is another line");
    assert_eq!(scene.moved(6, public(0), 1), [(2, Reason::Moved)]);
}

#[test]
fn what_is_understood_later_is_expected_and_does_not_count_twice() {
    let mut scene = Scene::new(&[9, 5], &[&[0], &[1]]);
    let pull = |image| What::Image { region: HERE, customer: 0, client: 1, name: private(1, 0), image };
    let moved = |image| What::Moved { name: private(1, 1), image };
    let mut found = Vec::new();
    assert_eq!(scene.observe(1, pull(None)), []);
    scene.prophet.understand(&Step { at: 1, what: pull(Some(0)) }, 2, &scene.world, &scene.held, &mut found);
    scene.prophet.discover(&Step { at: 3, what: moved(None) }, 3, &scene.world, &scene.held, &mut found);
    scene.prophet.understand(&Step { at: 3, what: moved(Some(1)) }, 4, &scene.world, &scene.held, &mut found);
    assert_eq!(told(&found), [(0, Reason::Pull), (1, Reason::Moved)]);
    let interest = scene.prophet.followed.interest(private(1, 0));
    assert_eq!((interest.pulls(3).round(), interest.moves(3).round()), (1.0, 1.0));
}

#[test]
fn what_a_customer_pulls_elsewhere_is_expected_where_it_pulls_that_too() {
    let mut scene = Scene::new(&[9, 5], &[&[0], &[1]]);
    scene.pull(1, HERE, 7, 1, private(1, 0), 0);
    assert_eq!(scene.pull(2, ELSEWHERE, 7, 9, private(1, 1), 1), [(1, Reason::Elsewhere)]);
    assert_eq!(scene.pull(3, ELSEWHERE, 8, 9, private(1, 1), 1), [], "another customer has never pulled it here");
    let mut blind = Scene::without(Some(Without::Regions), &[9, 5], &[&[0], &[1]]);
    blind.pull(1, HERE, 7, 1, private(1, 0), 0);
    assert_eq!(blind.pull(2, ELSEWHERE, 7, 9, private(1, 1), 1), []);
}

#[test]
fn a_client_that_comes_to_life_asks_for_what_others_of_its_customer_run() {
    let images: &[&[ContentId]] = &[&[0], &[1], &[2]];
    let mut scene = Scene::new(&[1, 1, 1], images);
    for image in 0..3 {
        scene.pull(1 + u64::from(image), HERE, 7, 1, private(image, 0), image);
    }
    assert_eq!(scene.pull(DAY, HERE, 7, 2, private(0, 0), 0), [(0, Reason::Pull)], "it may be a build");
    assert_eq!(scene.pull(DAY + 1, HERE, 7, 2, private(1, 0), 1), [(1, Reason::Pull), (2, Reason::CoPull)]);
    assert_eq!(scene.pull(DAY + 2, HERE, 7, 2, private(2, 0), 2), [(2, Reason::Pull)], "that is said once");
    assert_eq!(scene.pull(2 * DAY, HERE, 7, 3, private(0, 0), 0).len(), 3, "most clients have asked for more by now");
    assert_eq!(scene.pull(DAY, HERE, 8, 4, private(0, 0), 0), [(0, Reason::Pull)], "another customer runs nothing yet");
}

#[test]
fn a_build_that_asks_for_one_image_is_no_client_that_comes_to_life() {
    let mut scene = Scene::new(&[1, 1], &[&[0], &[1]]);
    for client in 0..10 {
        scene.pull(u64::from(client) * MINUTE, HERE, 7, client, private(0, 0), 0);
    }
    scene.pull(DAY, HERE, 7, 90, private(1, 0), 1);
    let expected = scene.pull(DAY + 1, HERE, 7, 91, private(0, 0), 0);
    assert_eq!(expected, [(0, Reason::Pull)]);
}

#[test]
fn what_never_comes_is_not_fetched_any_more_and_what_comes_is() {
    const VERSIONS: u32 = 1_200;
    // Of each version of two repositories a layer of 10 MB; only those of the first are pulled.
    let sizes = vec![10_000; 2 * VERSIONS as usize + 2];
    let images: Vec<Vec<ContentId>> = (0..2 * VERSIONS + 2).map(|layer| vec![layer]).collect();
    let images: Vec<&[ContentId]> = images.iter().map(Vec::as_slice).collect();
    let mut scene = Scene::new(&sizes, &images);
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for version in 0..VERSIONS {
        let at = u64::from(version) * 30 * MINUTE;
        // Somebody keeps following both.
        scene.pull(at, HERE, 7, 1, private(1, 0), 2 * VERSIONS);
        scene.pull(at, HERE, 7, 1, private(2, 0), 2 * VERSIONS + 1);
        wanted.push(scene.moved(at, private(1, version + 1), 2 * version).len());
        unwanted.push(scene.moved(at, private(2, version + 1), 2 * version + 1).len());
        scene.layer(at + MINUTE, 1, 2 * version);
    }
    let fetched = |of: &[usize]| of[VERSIONS as usize - 200..].iter().sum::<usize>();
    assert!(fetched(&wanted) > 190, "{}", fetched(&wanted));
    assert!(fetched(&unwanted) < 10, "{}", fetched(&unwanted));
}

#[test]
fn another_budget_makes_things_dearer_at_once_and_is_taken_along() {
    let mut scene = Scene::new(&[9_000, 9_000, 9_000, 9_000], &[&[0], &[1], &[2], &[3]]);
    let needed = |scene: &Scene, content| scene.prophet.explain(content).unwrap().needed;
    scene.pull(1, HERE, 0, 1, private(1, 0), 0);
    scene.moved(2, private(1, 1), 1);
    scene.prophet.set_budget(Budget { share: 0.0, floor: 1_000_000 });
    scene.moved(3, private(1, 2), 2);
    assert!(needed(&scene, 1) < 0.6 && needed(&scene, 2) > 1.0, "{} {}", needed(&scene, 1), needed(&scene, 2));

    let mut anew = Scene::new(&[9_000, 9_000, 9_000], &[&[0], &[1], &[2]]);
    anew.prophet.take_over(&mut scene.prophet);
    anew.pull(4, HERE, 0, 1, private(1, 0), 0);
    anew.moved(5, private(1, 1), 1);
    anew.moved(6, private(1, 2), 2);
    assert!(needed(&anew, 2) > 1.0, "{}", needed(&anew, 2));
}

#[test]
fn a_pull_that_waited_to_be_understood_is_older_than_what_its_client_asked_for_since() {
    let mut scene = Scene::new(&[1, 1], &[&[0, 1]]);
    scene.layer(10, 1, 0);
    assert_eq!(scene.pull(5, HERE, 7, 1, private(0, 0), 0), [(1, Reason::Pull)]);
}

/// A random history of few things, so that they meet.
fn history() -> impl Strategy<Value = Vec<(Millis, What)>> {
    let layer = (0_u16..2, 0_u32..4, 0_u32..12).prop_map(|(region, client, content)| What::Layer { region, client, content });
    let name = (0_u32..3, 0_u32..3, any::<bool>()).prop_map(|(repository, tag, private)| Name { repository, tag, private });
    let image = (0_u16..2, 0_u32..2, 0_u32..4, name.clone(), 0_u32..6)
        .prop_map(|(region, customer, client, name, image)| What::Image { region, customer, client, name, image: Some(image) });
    let moved = (name, 0_u32..6).prop_map(|(name, image)| What::Moved { name, image: Some(image) });
    let step = (0_u64..DAY / 8, prop_oneof![layer, image, moved]);
    prop::collection::vec(step, 1..80).prop_map(|steps| {
        let mut at = 0;
        steps
            .into_iter()
            .map(|(pause, what)| {
                at += pause;
                (at, what)
            })
            .collect()
    })
}

/// What is expected after each step.
fn expectations(steps: &[(Millis, What)]) -> Vec<Vec<Candidate>> {
    let sizes: Vec<u64> = (1..=12).map(|size| size * 9_000).collect();
    let images: &[&[ContentId]] = &[&[0, 1], &[0, 2, 3], &[4, 5], &[0, 6], &[7, 8, 9], &[10, 11]];
    let mut scene = Scene::new(&sizes, images);
    let expect = |(at, what): &(Millis, What)| {
        let (step, mut found) = (Step { at: *at, what: *what }, Vec::new());
        scene.prophet.observe(&step, &scene.world, &scene.held, &mut found);
        scene.prophet.discover(&step, *at, &scene.world, &scene.held, &mut found);
        found
    };
    steps.iter().map(expect).collect()
}

proptest! {
    #[test]
    fn what_happens_later_changes_nothing_before(steps in history(), other in history(), share in 0.0..1.0_f64) {
        let cut = (steps.len() as f64 * share) as usize;
        let whole = expectations(&steps);
        // Truncation: the history ends there.
        prop_assert_eq!(&expectations(&steps[..cut])[..], &whole[..cut]);
        // Poison: something else follows.
        let begun = steps[..cut].last().map_or(0, |(at, _)| *at);
        let poisoned: Vec<_> = steps[..cut].iter().copied().chain(other.into_iter().map(|(at, what)| (begun + at, what))).collect();
        prop_assert_eq!(&expectations(&poisoned)[..cut], &whole[..cut]);
    }
}
