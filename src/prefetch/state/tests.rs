use super::*;
use crate::{
    config::{self, Config},
    events::{Outcome, Repository, Source},
    oci::Algorithm,
    predict::Reason,
};

const START: Millis = 1_700_000_000_000;

fn digest(n: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[n])
}

fn repository(route: &str) -> Repository {
    Repository { route: route.into(), name: "library/a".parse().unwrap(), private: false }
}

fn expected(n: u8, reason: Reason) -> Expected {
    Expected {
        digest: digest(n),
        size: 100,
        kind: Kind::Blob,
        repository: repository("docker.io"),
        customer: None,
        reason,
        probability: 0.5,
        due: START,
    }
}

/// 1000 bytes a day, whatever is sent.
fn state() -> State {
    let mut config = Config::default();
    config.prefetch.floor = bytesize::ByteSize::b(1000);
    config.prefetch.share = 0.0;
    config.storage.disk = vec![config::Disk { limit: bytesize::ByteSize::gib(1), ..config::Disk::default() }];
    State::new(Settings::new(&config), PrefetchMetrics::default(), START)
}

fn begun(state: &mut State, now: Millis) -> Vec<Digest> {
    state.next(now, 0, |_| None).into_iter().map(|expected| expected.digest).collect()
}

fn fetched(bytes: u64, pulls: u64) -> Result<Warmed, WarmError> {
    Ok(Warmed::Fetched { bytes, pulls })
}

fn failed(kind: WarmErrorKind) -> Result<Warmed, WarmError> {
    Err(WarmError { kind, retry_after: None, message: "no".into() })
}

fn request(n: u8) -> What {
    What::Request(Arc::new(Request {
        customer: None,
        region: "eu".into(),
        client: 1,
        repository: repository("docker.io"),
        tag: None,
        digest: Some(digest(n)),
        kind: Asked::Blob,
        status: 200,
        bytes: 100,
        source: Source::Disk,
        first_byte: 1,
        total: 1,
        complete: true,
    }))
}

fn moved(to: u8) -> What {
    What::TagMoved { repository: repository("docker.io"), tag: "1".parse().unwrap(), digest: Some(digest(to)) }
}

#[test]
fn what_was_here_costs_nothing_and_what_was_fetched_what_it_was() {
    let mut state = state();
    assert!((1..=3).all(|n| !state.add(expected(n, Reason::Moved), None, START)));
    assert_eq!(begun(&mut state, START).len(), 3);
    assert_eq!(state.bytes.left(START), 700);
    state.ended(&digest(1), &Ok(Warmed::Here), START);
    state.ended(&digest(2), &fetched(40, 0), START);
    state.ended(&digest(3), &failed(WarmErrorKind::Refused), START);
    assert_eq!(state.bytes.left(START), 960);
    state.add(expected(4, Reason::Pull), None, START);
    assert_eq!(begun(&mut state, START), [digest(4)]);
    state.ended(&digest(4), &fetched(100, 0), START);
    assert_eq!(state.bytes.left(START), 960, "what a client is about to ask for");
    let hour = 3_600_000;
    state.sweep(START + hour);
    assert_eq!(state.bytes.left(START + hour), 860, "and did not");
}

#[test]
fn what_fails_is_left_alone_with_all_of_its_upstream() {
    let mut state = state();
    state.add(expected(1, Reason::Pull), None, START);
    begun(&mut state, START);
    state.ended(&digest(1), &failed(WarmErrorKind::Upstream), START);
    state.add(expected(2, Reason::Pull), None, START);
    state.add(Expected { repository: repository("ghcr.io"), ..expected(3, Reason::Pull) }, None, START);
    assert_eq!(begun(&mut state, START), [digest(3)]);
    assert_eq!(begun(&mut state, START + 10_000), [digest(2)]);
    state.ended(&digest(2), &fetched(100, 0), START + 10_001);
    state.ended(&digest(3), &failed(WarmErrorKind::Storage), START + 10_001);
    state.add(expected(4, Reason::Pull), None, START + 10_001);
    assert_eq!(begun(&mut state, START + 10_002), [], "a full disk is full for everybody");
    assert_eq!(begun(&mut state, START + 20_001), [digest(4)]);
}

#[test]
fn what_is_pointless_is_not_begun() {
    let mut state = state();
    let hear = |state: &mut State, what| state.hear(&Event { at: START, what });
    hear(&mut state, moved(1));
    state.add(expected(1, Reason::Moved), None, START);
    state.add(expected(2, Reason::Moved), Some(digest(1)), START);
    state.add(expected(3, Reason::Moved), None, START);
    hear(&mut state, request(3));
    hear(&mut state, moved(9));
    assert_eq!(begun(&mut state, START), []);
    let verdict = |n| state.ledger.decisions_about(&digest(n))[0].verdict;
    let pointless = Verdict::Pointless;
    assert_eq!([1, 2, 3].map(verdict), [Pointless::Moved, Pointless::Moved, Pointless::Asked].map(pointless));
}

#[test]
fn what_could_not_be_begun_in_time_says_why() {
    let mut state = state();
    state.add(Expected { size: 5000, ..expected(1, Reason::Moved) }, None, START);
    assert_eq!(begun(&mut state, START), []);
    assert_eq!(begun(&mut state, START + 25 * 3_600_000), []);
    assert_eq!(state.ledger.newest_decisions(1)[0].verdict, Verdict::Left(Why::Bytes));
    assert!(state.is_idle());
}

#[test]
fn beside_clients_that_wait_one_goes_on() {
    let mut state = state();
    assert!((1..=3).all(|n| !state.add(expected(n, Reason::Moved), None, START)));
    assert_eq!(state.next(START, 5, |_| None).len(), 1);
    assert_eq!(state.next(START, 5, |_| None).len(), 0);
    state.add(expected(1, Reason::Moved), None, START);
    state.add(expected(2, Reason::Moved), None, START);
    assert_eq!(begun(&mut state, START).len(), 2, "nothing twice");
    assert!(!state.add(expected(1, Reason::CoPull), None, START));
    assert!(state.add(expected(1, Reason::Pull), None, START), "it is to be hurried");
}

#[test]
fn an_order_takes_no_place_from_what_is_expected_and_is_told_by_whoever_began_it() {
    let mut state = state();
    state.add(expected(1, Reason::Moved), None, START);
    let order = |n| Entry { expected: expected(n, Reason::Asked), since: START, root: None };
    assert!((1..=6).all(|n| state.begin(order(n), Lane::Orders, START)));
    assert!(!state.begin(order(1), Lane::Orders, START));
    assert!(state.is_idle(), "what is being fetched does not wait");
    assert!((7..=9).all(|n| !state.add(expected(n, Reason::Moved), None, START)));
    assert_eq!(begun(&mut state, START).len(), 3);
    assert_eq!(state.bytes.left(START), 100);
}

#[test]
fn counted_pulls_are_spared() {
    let mut state = state();
    let told = |_: &str| Some(PullBudget { limit: 100, remaining: 20, window: None });
    for n in 1..=4 {
        state.add(Expected { kind: Kind::Manifest, ..expected(n, Reason::Moved) }, None, START);
    }
    let first = state.next(START, 0, told);
    assert_eq!(first.len(), 2, "a tenth of twenty");
    for expected in first {
        state.ended(&expected.digest, &fetched(100, 1), START);
    }
    assert_eq!(state.next(START, 0, |_| Some(PullBudget { limit: 100, remaining: 18, window: None })).len(), 0);
}

#[test]
fn who_joins_makes_it_late() {
    let mut state = state();
    state.add(expected(1, Reason::Moved), None, START);
    begun(&mut state, START);
    assert_eq!(state.hear(&Event { at: START + 5, what: request(1) }), None);
    let resolved = state.ended(&digest(1), &fetched(100, 0), START + 6);
    assert_eq!(resolved.map(|resolved| resolved.outcome), Some(Outcome::Late));
}
