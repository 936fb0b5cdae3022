use proptest::prelude::*;

use super::*;
use crate::{events::Repository, oci::Algorithm, predict::Reason};

fn expected(n: u64, size: u64, reason: Reason) -> Expected {
    Expected {
        digest: Digest::of(Algorithm::Sha256, &n.to_be_bytes()),
        size,
        kind: Kind::Blob,
        repository: Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false },
        customer: None,
        reason,
        probability: 0.5,
        due: 1000,
    }
}

fn open() -> View {
    View { bytes: 1000, disk: 10_000, pull_connections: 10, connections: 10, ..View::default() }
}

fn sizes(plan: &Plan<'_>) -> Vec<u64> {
    plan.fetch.iter().map(|expected| expected.size).collect()
}

fn whys(plan: &Plan<'_>) -> Vec<(u64, Why)> {
    plan.left.iter().map(|(expected, why)| (expected.size, *why)).collect()
}

#[test]
fn a_client_that_waits_goes_first_and_its_smallest_content_first() {
    let candidates = [
        expected(1, 10, Reason::Moved),
        expected(2, 300, Reason::Pull),
        expected(3, 100, Reason::Pull),
        expected(4, 200, Reason::Pull),
    ];
    assert_eq!(sizes(&plan(&candidates, &open())), [100, 200, 300, 10]);
    let poor = View { bytes: 0, ..open() };
    let planned = plan(&candidates, &poor);
    assert_eq!((sizes(&planned), whys(&planned)), (vec![100, 200, 300], vec![(10, Why::Bytes)]));
    let overdrawn = View { bytes: 0, is_overdrawn: true, ..open() };
    assert!(plan(&candidates, &overdrawn).fetch.is_empty());
}

#[test]
fn what_is_worth_most_is_chosen_and_what_is_due_first_is_begun() {
    let mut candidates: Vec<_> = (1..=4).map(|n| expected(n, 400, Reason::Moved)).collect();
    for (one, (probability, due)) in candidates.iter_mut().zip([(0.9, 30), (0.1, 10), (0.8, 20), (0.2, 5)]) {
        (one.probability, one.due) = (probability, due);
    }
    let planned = plan(&candidates, &open());
    assert_eq!(planned.fetch.iter().map(|expected| expected.due).collect::<Vec<_>>(), [20, 30]);
    assert_eq!(whys(&planned), [(400, Why::Bytes); 2]);
    let planned = plan(&candidates, &View { connections: 1, ..open() });
    assert_eq!(planned.fetch[0].due, 20);
    assert_eq!(planned.left.iter().filter(|(_, why)| *why == Why::Connections).count(), 1);
}

#[test]
fn each_obstacle_is_named() {
    let manifest = |n| Expected { kind: Kind::Manifest, ..expected(n, 1, Reason::Moved) };
    let route: Arc<str> = "docker.io".into();
    let candidates = [manifest(1), manifest(2), manifest(3)];
    let planned = plan(&candidates, &View { pulls: [(route.clone(), 2)].into(), ..open() });
    assert_eq!((planned.fetch.len(), whys(&planned)), (2, vec![(1, Why::Pulls)]));
    let urgent: Vec<_> = (1..=3).map(|n| expected(n, 10, Reason::Pull)).collect();
    let places = [(route.clone(), Places { pulls: 2, rest: 0 })].into();
    assert_eq!(whys(&plan(&urgent, &View { places, ..open() })), [(10, Why::Connections)]);
    let one = [expected(1, 10, Reason::Moved)];
    for (view, why) in [
        (View { resting: [route].into(), ..open() }, Why::Resting),
        (View { present: [one[0].digest].into(), ..open() }, Why::Present),
        (View { disk: 9, ..open() }, Why::Disk),
        (View { bytes: 9, ..open() }, Why::Bytes),
        (View { connections: 0, ..open() }, Why::Connections),
        (View { places: [("docker.io".into(), Places { pulls: 1, rest: 0 })].into(), ..open() }, Why::Connections),
    ] {
        assert_eq!(whys(&plan(&one, &view)), [(10, why)]);
    }
}

#[test]
fn customers_have_their_shares_and_borrow_the_rest() {
    let of = |n, customer: &str| Expected { customer: Some(customer.into()), ..expected(n, 100, Reason::Moved) };
    let count = |planned: &Plan<'_>, name: &str| {
        planned.fetch.iter().filter(|expected| expected.customer.as_deref() == Some(name)).count()
    };
    let standing = |weight, spent| Standing { weight, spent };
    let mut candidates: Vec<_> = (0..20).map(|n| of(n, "gold")).chain((20..40).map(|n| of(n, "bronze"))).collect();
    let customers = HashMap::from([(Some("gold".into()), standing(4.0, 0)), (Some("bronze".into()), standing(1.0, 0))]);
    let view = View { disk: 10_000, connections: 100, customers, ..open() };
    let planned = plan(&candidates, &view);
    assert_eq!((count(&planned, "gold"), count(&planned, "bronze")), (8, 2));
    let spent = View {
        customers: [(Some("gold".into()), standing(4.0, 1500)), (Some("bronze".into()), standing(1.0, 0))].into(),
        ..view.clone()
    };
    let planned = plan(&candidates, &spent);
    assert_eq!((count(&planned, "gold"), count(&planned, "bronze")), (5, 5), "of 2500 gold may have 2000, and had 1500");
    candidates.truncate(23);
    candidates.drain(..18);
    let planned = plan(&candidates, &View { bytes: 450, ..view });
    assert_eq!((count(&planned, "gold"), count(&planned, "bronze")), (2, 2), "what gold leaves is borrowed");
}

fn any_expected() -> impl Strategy<Value = Expected> {
    (0..40_u64, 1..400_u64, 0..5_usize, 0..4_u8, 0.0..1.0_f32, any::<bool>(), 0..100_u64).prop_map(
        |(n, size, reason, customer, probability, manifest, due)| Expected {
            kind: if manifest { Kind::Manifest } else { Kind::Blob },
            customer: (customer > 0).then(|| customer.to_string().into()),
            probability,
            due,
            ..expected(n, size, Reason::ALL[reason])
        },
    )
}

fn any_view() -> impl Strategy<Value = View> {
    (0..2000_u64, 0..2000_u64, 0..5_usize, 0..5_usize, 0..5_u64, any::<bool>()).prop_map(
        |(bytes, disk, pull_connections, connections, pulls, is_overdrawn)| View {
            bytes,
            disk,
            pull_connections,
            connections,
            is_overdrawn,
            pulls: [("docker.io".into(), pulls)].into(),
            customers: [(Some("1".into()), Standing { weight: 4.0, spent: bytes / 2 })].into(),
            ..View::default()
        },
    )
}

proptest! {
    #[test]
    fn no_limit_is_ever_passed(candidates in prop::collection::vec(any_expected(), 0..60), view in any_view()) {
        let planned = plan(&candidates, &view);
        let sum = |urgent| -> u64 {
            planned.fetch.iter().filter(|one| one.reason.is_urgent() == urgent).map(|one| one.size).sum()
        };
        let count = |urgent| planned.fetch.iter().filter(|one| one.reason.is_urgent() == urgent).count();
        prop_assert!(sum(false) <= view.bytes);
        prop_assert!(sum(false) + sum(true) <= view.disk);
        prop_assert!(count(true) <= view.pull_connections && count(false) <= view.connections);
        let manifests = planned.fetch.iter().filter(|one| one.kind == Kind::Manifest).count() as u64;
        prop_assert!(manifests <= view.pulls["docker.io"]);
        let digests: HashSet<_> = planned.fetch.iter().map(|one| one.digest).collect();
        prop_assert_eq!(digests.len(), planned.fetch.len(), "nothing twice");
        prop_assert_eq!(planned.fetch.len() + planned.left.len(), candidates.len(), "nothing is lost");
    }

    #[test]
    fn the_order_of_candidates_does_not_matter(candidates in prop::collection::vec(any_expected(), 0..40), view in any_view()) {
        let mut seen = HashSet::new();
        let mut candidates = candidates;
        candidates.retain(|one| seen.insert(one.digest));
        let turned: Vec<_> = candidates.iter().rev().cloned().collect();
        let (one, other) = (plan(&candidates, &view), plan(&turned, &view));
        prop_assert_eq!(one.fetch, other.fetch);
    }

    #[test]
    fn who_waits_comes_before_who_may_come(candidates in prop::collection::vec(any_expected(), 0..60), view in any_view()) {
        let planned = plan(&candidates, &view);
        let firsts = planned.fetch.iter().take_while(|one| one.reason.is_urgent());
        let sizes: Vec<_> = firsts.map(|one| one.size).collect();
        prop_assert!(sizes.is_sorted());
        prop_assert_eq!(sizes.len(), planned.fetch.iter().filter(|one| one.reason.is_urgent()).count());
    }
}
