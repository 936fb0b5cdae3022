use proptest::prelude::*;

use super::*;
use crate::{
    events::{Repository, Source, log::Pseudonyms},
    oci::Algorithm,
    predict,
};

const START: Millis = 1_700_000_000_000;

fn digest(n: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[n])
}

fn repository() -> Repository {
    Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false }
}

fn expected(n: u8, reason: Reason) -> Expected {
    Expected {
        digest: digest(n),
        size: 100,
        kind: predict::Kind::Blob,
        repository: repository(),
        customer: Some("acme".into()),
        reason,
        probability: 0.5,
        due: START,
    }
}

/// An answer that took `total` milliseconds.
fn request(n: u8, source: Source, total: u32) -> Request {
    Request {
        customer: None,
        region: "eu".into(),
        client: 1,
        repository: repository(),
        tag: None,
        digest: Some(digest(n)),
        kind: Kind::Blob,
        status: 200,
        bytes: 100,
        source,
        first_byte: total * 1000,
        total: total * 1000,
        complete: true,
    }
}

fn ledger() -> Ledger {
    Ledger::new("eu".into(), PrefetchMetrics::default(), START)
}

fn cost(bytes: u64) -> Cost {
    Cost { bytes, pulls: 0 }
}

fn fetch(ledger: &mut Ledger, n: u8, reason: Reason, at: Millis) {
    ledger.begun(&expected(n, reason), None, at);
    assert_eq!(ledger.landed(&digest(n), cost(100), at + 10), None);
}

fn outcome(resolved: Option<Resolved>) -> Option<Outcome> {
    resolved.map(|resolved| resolved.outcome)
}

#[test]
fn what_is_asked_for_when_it_is_here_is_used_and_what_comes_too_late_is_late() {
    let mut ledger = ledger();
    for n in 1..=3 {
        fetch(&mut ledger, n, Reason::Moved, START);
    }
    ledger.begun(&expected(4, Reason::Moved), None, START);
    assert_eq!(ledger.unasked, Tally { count: 3, bytes: 300 });
    assert_eq!(outcome(ledger.asked(&request(1, Source::Disk, 1), START + 100)), Some(Outcome::Used));
    assert_eq!(outcome(ledger.asked(&request(2, Source::Joined, 50), START + 50)), Some(Outcome::Late));
    assert_eq!(outcome(ledger.evicted(&digest(3), START + 100)), Some(Outcome::Wasted));
    assert_eq!(ledger.asked(&request(4, Source::Joined, 10), START + 100), None, "it has not landed");
    assert_eq!(outcome(ledger.landed(&digest(4), cost(100), START + 110)), Some(Outcome::Late));
    for n in 1..=4 {
        assert_eq!(ledger.asked(&request(n, Source::Disk, 1), START + 200), None, "once");
    }
    let savings = ledger.snapshot(START + 200);
    let [Row { account, .. }] = &savings.accounts[..] else { panic!("{savings:?}") };
    assert_eq!((account.fetched.count, account.used.count, account.late.bytes, account.wasted.bytes), (4, 1, 200, 100));
    assert_eq!((savings.unasked, savings.precision), (Tally::default(), Some(0.75)));
    assert!((account.seconds_saved - (0.08 * 3.0 - 0.061)).abs() < 1e-4, "{}", account.seconds_saved);
    let text = serde_json::to_string(&savings).unwrap();
    assert_eq!(serde_json::from_str::<Savings>(&text).unwrap(), savings);
}

#[test]
fn what_has_left_without_a_word_was_wasted() {
    let mut ledger = ledger();
    fetch(&mut ledger, 1, Reason::Moved, START);
    fetch(&mut ledger, 2, Reason::Moved, START);
    assert_eq!(outcome(ledger.asked(&request(1, Source::Upstream, 9), START + 100)), Some(Outcome::Wasted));
    // Another repository's leave has to be asked for, and the bytes are here.
    let other = Repository { name: "library/b".parse().unwrap(), ..repository() };
    let elsewhere = Request { repository: other, ..request(2, Source::Upstream, 9) };
    assert_eq!(outcome(ledger.asked(&elsewhere, START + 100)), Some(Outcome::Used));
}

#[test]
fn a_head_or_a_failure_is_no_use() {
    let mut ledger = ledger();
    fetch(&mut ledger, 1, Reason::Moved, START);
    let head = Request { kind: Kind::BlobHead, ..request(1, Source::Disk, 1) };
    let failed = Request { status: 500, ..request(1, Source::Disk, 1) };
    assert_eq!((ledger.asked(&head, START + 20), ledger.asked(&failed, START + 20)), (None, None));
    assert_eq!(outcome(ledger.asked(&request(1, Source::Disk, 1), START + 20)), Some(Outcome::Used));
}

#[test]
fn what_lies_here_for_long_is_doubted_and_then_wasted() {
    let mut ledger = ledger();
    let root = digest(9);
    fetch(&mut ledger, 1, Reason::Moved, START);
    fetch(&mut ledger, 2, Reason::Pull, START);
    ledger.begun(&expected(3, Reason::Moved), Some(root), START);
    ledger.landed(&digest(3), cost(100), START + 10);
    ledger.superseded(root);
    assert_eq!((ledger.sweep(START + 2 * HOUR), ledger.precision(START + 2 * HOUR)), (vec![], Some(0.0)));
    assert_eq!((ledger.take_uncharged(), ledger.take_uncharged()), (100, 0), "what was fetched for a pull is charged once");
    let later = START + 25 * HOUR;
    assert_eq!(ledger.sweep(later).iter().map(|resolved| resolved.digest).collect::<Vec<_>>(), [digest(3)]);
    assert_eq!(outcome(ledger.asked(&request(1, Source::Disk, 1), later)), Some(Outcome::Used), "better late than never");
    assert_eq!(ledger.sweep(START + 15 * 24 * HOUR).len(), 1);
    assert_eq!((ledger.unasked, ledger.take_uncharged(), ledger.superseded.len()), (Tally::default(), 0, 0));
}

#[test]
fn what_came_by_itself_or_not_at_all_is_no_prefetch() {
    let mut ledger = ledger();
    for (n, verdict) in [(1, Verdict::Here), (2, Verdict::Joined), (3, Verdict::Failed)] {
        ledger.begun(&expected(n, Reason::Moved), None, START);
        ledger.given_up(&digest(n), verdict, Cost { bytes: 0, pulls: 1 }, START + 5);
        assert_eq!(ledger.asked(&request(n, Source::Disk, 1), START + 10), None);
        let [decision] = &ledger.decisions_about(&digest(n))[..] else { panic!("one decision") };
        assert_eq!((decision.verdict, decision.outcome, decision.milliseconds), (verdict, None, 5));
    }
    let account = &ledger.snapshot(START).accounts[0].account;
    assert_eq!((account.fetched.count, account.pulls), (0, 3));
    assert_eq!(ledger.precision(START), None);
}

#[test]
fn a_decision_tells_what_became_of_it() {
    let mut ledger = ledger();
    fetch(&mut ledger, 1, Reason::Elsewhere, START);
    ledger.asked(&request(1, Source::Memory, 1), START + 20);
    let decision = &ledger.newest_decisions(1)[0];
    assert_eq!((decision.verdict, decision.outcome, decision.bytes), (Verdict::Fetched, Some(Outcome::Used), 100));
}

fn after_a_restart(ledger: &Ledger, naming: &Naming, at: Millis) -> Ledger {
    let text = serde_json::to_string(&ledger.kept().named(naming)).unwrap();
    let mut next = Ledger::new("eu".into(), PrefetchMetrics::default(), at);
    next.go_on_with(serde_json::from_str(&text).unwrap(), naming, at);
    next
}

#[test]
fn a_restart_keeps_the_accounts_and_what_is_still_to_be_judged() {
    let mut before = ledger();
    for n in 1..=4 {
        fetch(&mut before, n, Reason::Moved, START);
    }
    before.begun(&expected(5, Reason::Moved), Some(digest(9)), START);
    before.landed(&digest(5), cost(100), START + 10);
    before.superseded(digest(9));
    before.begun(&expected(6, Reason::Moved), None, START);
    before.asked(&request(1, Source::Disk, 1), START + 100);
    let mut after = after_a_restart(&before, &Naming::Full, START + HOUR);
    assert_eq!(after.snapshot(START + HOUR), before.snapshot(START + HOUR));
    assert_eq!(outcome(after.asked(&request(2, Source::Disk, 1), START + HOUR)), Some(Outcome::Used));
    assert_eq!(outcome(after.evicted(&digest(3), START + HOUR)), Some(Outcome::Wasted));
    assert_eq!(after.asked(&request(6, Source::Disk, 1), START + HOUR), None, "it was on its way");
    assert_eq!(after.sweep(START + 25 * HOUR).len(), 1, "what was superseded is not forgotten");
    assert_eq!(after.sweep(START + 15 * 24 * HOUR).len(), 1);
    assert_eq!((after.unasked, after.held.len(), after.order.len()), (Tally::default(), 0, 0));
}

#[test]
fn customers_are_written_down_as_they_may_be_and_known_again_when_they_are_heard_of() {
    let mut before = ledger();
    fetch(&mut before, 1, Reason::Moved, START);
    fetch(&mut before, 2, Reason::Moved, START);
    before.asked(&request(1, Source::Disk, 1), START + 100);
    let customers = |ledger: &Ledger| {
        let rows = ledger.snapshot(START).accounts;
        rows.iter().map(|row| (row.customer.as_deref().map(str::to_owned), row.account.fetched.count)).collect::<Vec<_>>()
    };
    assert_eq!(customers(&after_a_restart(&before, &Naming::None, START)), [(None, 2)]);
    assert_eq!(customers(&after_a_restart(&before, &Naming::Full, START)), [(Some("acme".to_owned()), 2)]);
    let pseudonyms = Pseudonyms::forgotten().unwrap();
    let naming = Naming::Hashed(pseudonyms.clone());
    let mut after = after_a_restart(&before, &naming, START);
    assert_eq!(customers(&after), [(Some(pseudonyms.customer("acme").to_string()), 2)]);
    fetch(&mut after, 3, Reason::Moved, START);
    after.asked(&request(2, Source::Disk, 1), START + 100);
    assert_eq!(customers(&after), [(Some("acme".to_owned()), 3)]);
    assert_eq!(after.snapshot(START).accounts[0].account.used.count, 2);
    assert_eq!(customers(&after_a_restart(&after, &naming, START)), [(Some(pseudonyms.customer("acme").to_string()), 3)]);
}

#[test]
fn a_clock_that_was_set_back_takes_no_account_away() {
    let mut before = ledger();
    fetch(&mut before, 1, Reason::Moved, START);
    before.asked(&request(1, Source::Disk, 1), START + 100);
    let earlier = START - 1000 * HOUR;
    let after = after_a_restart(&before, &Naming::Full, earlier);
    let savings = after.snapshot(earlier);
    assert_eq!((savings.since, savings.precision, savings.accounts[0].account.used.count), (earlier, None, 1));
}

proptest! {
    /// Whatever happens in whatever order, nothing has two fates and the sums agree.
    #[test]
    fn the_sums_agree(steps in prop::collection::vec((0..6_u8, 0..6_u8, 0..HOUR * 8), 0..120)) {
        let (mut ledger, mut now) = (ledger(), START);
        for (n, step, pause) in steps {
            now += pause;
            match step {
                0 => ledger.begun(&expected(n, Reason::Moved), Some(digest(n / 2)), now),
                1 => drop(ledger.landed(&digest(n), cost(u64::from(n)), now)),
                2 => drop(ledger.asked(&request(n, Source::Disk, 1), now)),
                3 => drop(ledger.evicted(&digest(n), now)),
                4 => ledger.superseded(digest(n / 2)),
                _ => drop(ledger.sweep(now)),
            }
            let here: Vec<_> = ledger.held.values().filter(|held| held.landed.is_some()).collect();
            prop_assert_eq!(ledger.unasked.count as usize, here.len());
            prop_assert_eq!(ledger.unasked.bytes, here.iter().map(|held| held.size).sum::<u64>());
        }
        let sum = |of: fn(&Account) -> Tally| ledger.accounts.rows().iter().map(|row| of(&row.account).count).sum::<u64>();
        let fates = sum(|account| account.used) + sum(|account| account.late) + sum(|account| account.wasted);
        prop_assert!(fates + ledger.unasked.count <= sum(|account| account.fetched));
    }
}

#[test]
fn seconds_are_read_back_to_the_last_digit() {
    for seconds in [0.101_332_299_999_999_99, 0.106_262_900_000_000_01] {
        let account = Account { seconds_saved: seconds, ..Account::default() };
        let text = serde_json::to_string(&account).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&text).unwrap().seconds_saved, seconds);
    }
}
