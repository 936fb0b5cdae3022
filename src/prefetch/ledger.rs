//! What became of what was fetched before it was asked for. Learns from events; without a clock.
//!
//! *Used*: asked for when it was here. *Late*: asked for while it was on its way. *Wasted*: it left before anybody asked, or lies
//! here for long, superseded. Until one of these is known, a content is *unasked*; one that was not asked for within a day of its
//! arrival is doubted: it counts as fetched in vain where precision is asked for, long before a large disk gives it up.

mod account;
mod decisions;
mod file;
mod kept;
mod speed;

pub use account::{Account, Row, Savings, Tally};
pub use decisions::{Decision, Pointless, Verdict};
pub(super) use file::LedgerFile;
pub use kept::Naming;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::{
    budget::Day,
    metrics::{PrefetchMetrics, gauge},
};
use serde::{Deserialize, Serialize};

use crate::{
    events::{Kind, Millis, Outcome, Repository, Request, Source},
    oci::Digest,
    predict::{Expected, Reason},
};
use account::Accounts;
use decisions::Decisions;
use speed::Speeds;

/// Contents whose fate is waited for.
const MOST: usize = 100_000;

const HOUR: Millis = 3_600_000;

/// After this time without a request, a content was fetched in vain as far as can be told.
const DOUBT: Millis = 24 * HOUR;

/// The same for the rest of an image that a client was pulling.
const DOUBT_PULL: Millis = HOUR;

/// After this time, what no tag needs any more is wasted.
const SUPERSEDED: Millis = 24 * HOUR;

/// After this time, anything is.
const LONGEST: Millis = 14 * 24 * HOUR;

/// Accounts, and all whose fate is open.
#[derive(Debug)]
pub struct Ledger {
    region: Arc<str>,
    since: Millis,
    held: HashMap<Digest, Held>,
    /// By when they were begun. One that is not held any more is passed over.
    order: VecDeque<(Millis, Digest)>,
    superseded: HashSet<Digest>,
    unasked: Tally,
    accounts: Accounts,
    useful: Day,
    useless: Day,
    /// Bytes fetched for pulls and not asked for, which nobody has charged yet.
    uncharged: u64,
    speeds: Speeds,
    decisions: Decisions,
    metrics: PrefetchMetrics,
}

/// Something that was fetched, or is on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Held {
    size: u64,
    repository: Repository,
    customer: Option<Arc<str>>,
    reason: Reason,
    root: Option<Digest>,
    begun: Millis,
    landed: Option<Millis>,
    /// Whether it was asked for while it was on its way.
    asked: bool,
    doubted: bool,
}

/// What has become known of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What fetching something has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes from the upstream, or from the bucket that edges share.
    pub bytes: u64,
    /// Pulls that the upstream counts.
    pub pulls: u64,
}

impl Ledger {
    /// The ledger of an edge in `region`, which begins at `now`.
    pub(super) fn new(region: Arc<str>, metrics: PrefetchMetrics, now: Millis) -> Self {
        Self {
            region,
            since: now,
            held: HashMap::new(),
            order: VecDeque::new(),
            superseded: HashSet::new(),
            unasked: Tally::default(),
            accounts: Accounts::default(),
            useful: Day::default(),
            useless: Day::default(),
            uncharged: 0,
            speeds: Speeds::default(),
            decisions: Decisions::default(),
            metrics,
        }
    }

    /// Something is not fetched.
    pub(super) fn left(&mut self, expected: &Expected, verdict: Verdict, at: Millis) {
        self.decisions.add(Decision::new(expected, verdict, at));
    }

    /// Something is being fetched.
    pub(super) fn begun(&mut self, expected: &Expected, root: Option<Digest>, at: Millis) {
        self.decisions.add(Decision::new(expected, Verdict::Fetching, at));
        self.forget(&expected.digest);
        let held = Held {
            size: expected.size,
            repository: expected.repository.clone(),
            customer: expected.customer.clone(),
            reason: expected.reason,
            root,
            begun: at,
            landed: None,
            asked: false,
            doubted: false,
        };
        self.held.insert(expected.digest, held);
        self.order.push_back((at, expected.digest));
        while self.held.len() > MOST
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.forget(&oldest);
        }
    }

    /// Nothing will come of it: it was here, came because of a client, or failed.
    pub(super) fn given_up(&mut self, digest: &Digest, verdict: Verdict, cost: Cost, at: Millis) {
        let Some(held) = self.forget(digest) else { return };
        self.pay(held.customer.as_ref(), held.reason, cost);
        if verdict == Verdict::Failed {
            self.metrics.count(held.reason, "failed", held.size);
        }
        self.decided(digest, verdict, cost, at.saturating_sub(held.begun));
    }

    /// It is here now. What became of it already, when it was asked for on its way.
    pub(super) fn landed(&mut self, digest: &Digest, cost: Cost, at: Millis) -> Option<Resolved> {
        let held = self.held.get_mut(digest).filter(|held| held.landed.is_none())?;
        (held.size, held.landed) = (cost.bytes, Some(at));
        let Held { customer, reason, begun, asked, .. } = held;
        let (customer, reason, begun, asked) = (customer.clone(), *reason, *begun, *asked);
        self.unasked.add(cost.bytes);
        self.measure();
        self.accounts.of(customer.as_ref(), reason).fetched.add(cost.bytes);
        self.metrics.count(reason, "fetched", cost.bytes);
        self.pay(customer.as_ref(), reason, cost);
        self.decided(digest, Verdict::Fetched, cost, at.saturating_sub(begun));
        asked.then(|| self.resolve(digest, Outcome::Late, at)).flatten()
    }

    /// A client has asked for something, and was answered by `at`.
    pub(super) fn asked(&mut self, request: &Request, at: Millis) -> Option<Resolved> {
        self.speeds.learn(request);
        if !request.succeeded() || !matches!(request.kind, Kind::Blob | Kind::Manifest) {
            return None;
        }
        let digest = request.digest?;
        let begun = at.saturating_sub(u64::from(request.total / 1000));
        let held = self.held.get_mut(&digest)?;
        // Whoever gets it from the upstream does not find it here: it has left without a word.
        if request.source == Source::Upstream && request.repository == held.repository {
            held.landed?;
            return self.resolve(&digest, Outcome::Wasted, at);
        }
        let saved = self.speeds.saved(request, held.size);
        let is_first = !std::mem::replace(&mut held.asked, true);
        let (customer, reason, landed) = (held.customer.clone(), held.reason, held.landed);
        if is_first {
            self.accounts.of(customer.as_ref(), reason).seconds_saved += saved;
            self.metrics.saved(saved);
        }
        let outcome = if landed? > begun { Outcome::Late } else { Outcome::Used };
        self.resolve(&digest, outcome, at)
    }

    /// No disk has it any more.
    pub(super) fn evicted(&mut self, digest: &Digest, at: Millis) -> Option<Resolved> {
        self.held.get(digest)?.landed?;
        self.resolve(digest, Outcome::Wasted, at)
    }

    /// No tag names a manifest any more.
    pub(super) fn superseded(&mut self, root: Digest) {
        if self.held.values().any(|held| held.root == Some(root)) || self.held.contains_key(&root) {
            self.superseded.insert(root);
        }
    }

    /// Looks for what was not asked for in time. What is wasted by now.
    pub(super) fn sweep(&mut self, now: Millis) -> Vec<Resolved> {
        let mut wasted = Vec::new();
        for (digest, held) in &mut self.held {
            let Some(landed) = held.landed else { continue };
            let age = now.saturating_sub(landed);
            let is_superseded = self.superseded.contains(digest) || held.root.is_some_and(|root| self.superseded.contains(&root));
            if age >= LONGEST || (age >= SUPERSEDED && is_superseded) {
                wasted.push(*digest);
            } else if age >= if held.reason.is_urgent() { DOUBT_PULL } else { DOUBT } && !held.doubted {
                held.doubted = true;
                self.useless.add(held.size, now);
                self.uncharged += if held.reason.is_urgent() { held.size } else { 0 };
            }
        }
        wasted.sort_unstable();
        let resolved = wasted.iter().filter_map(|digest| self.resolve(digest, Outcome::Wasted, now)).collect();
        self.order.retain(|(_, digest)| self.held.contains_key(digest));
        let roots: HashSet<_> = self.held.iter().flat_map(|(digest, held)| [Some(*digest), held.root]).flatten().collect();
        self.superseded.retain(|root| roots.contains(root));
        resolved
    }

    /// Bytes that were fetched for clients that were pulling, and that they have not asked for: once each.
    pub(super) const fn take_uncharged(&mut self) -> u64 {
        std::mem::replace(&mut self.uncharged, 0)
    }

    /// Bytes that are here and have not been asked for.
    pub fn unasked_bytes(&self) -> u64 {
        self.unasked.bytes
    }

    /// Of the bytes whose fate was seen in the last 24 hours, the share that was asked for. `None` when none was.
    pub fn precision(&self, now: Millis) -> Option<f64> {
        let (useful, useless) = (self.useful.total(now), self.useless.total(now));
        (useful + useless > 0).then(|| useful as f64 / (useful + useless) as f64)
    }

    /// All accounts.
    pub fn snapshot(&self, now: Millis) -> Savings {
        Savings {
            region: self.region.clone(),
            since: self.since,
            precision: self.precision(now),
            unasked: self.unasked,
            accounts: self.accounts.rows(),
        }
    }

    /// What was decided about a content, the newest first, as far as it is remembered.
    pub fn decisions_about(&self, digest: &Digest) -> Vec<Decision> {
        self.decisions.about(digest).cloned().collect()
    }

    /// The last decisions, the newest first.
    pub fn newest_decisions(&self, most: usize) -> Vec<Decision> {
        self.decisions.newest(most).cloned().collect()
    }

    fn resolve(&mut self, digest: &Digest, outcome: Outcome, at: Millis) -> Option<Resolved> {
        let held = self.forget(digest)?;
        let Held { size, reason, doubted, .. } = held;
        self.accounts.of(held.customer.as_ref(), reason).of(outcome).add(size);
        match outcome {
            Outcome::Used | Outcome::Late => self.useful.add(size, at),
            Outcome::Wasted if !doubted => {
                self.useless.add(size, at);
                self.uncharged += if reason.is_urgent() { size } else { 0 };
            }
            Outcome::Wasted => {}
        }
        self.metrics.count(reason, outcome.as_str(), size);
        self.decisions.change(digest, |decision| decision.outcome = Some(outcome));
        Some(Resolved { digest: *digest, size, outcome })
    }

    fn pay(&mut self, customer: Option<&Arc<str>>, reason: Reason, cost: Cost) {
        self.accounts.of(customer, reason).pulls += cost.pulls;
        self.metrics.pulled(cost.pulls);
    }

    fn decided(&mut self, digest: &Digest, verdict: Verdict, cost: Cost, milliseconds: u64) {
        self.decisions.change(digest, |decision| {
            decision.verdict = verdict;
            (decision.bytes, decision.pulls, decision.milliseconds) = (cost.bytes, cost.pulls, milliseconds);
        });
    }

    fn forget(&mut self, digest: &Digest) -> Option<Held> {
        let held = self.held.remove(digest)?;
        if held.landed.is_some() {
            self.unasked.count -= 1;
            self.unasked.bytes -= held.size;
            self.measure();
        }
        Some(held)
    }

    fn measure(&self) {
        self.metrics.unasked_bytes.set(gauge(self.unasked.bytes));
    }
}

#[cfg(test)]
mod tests;
