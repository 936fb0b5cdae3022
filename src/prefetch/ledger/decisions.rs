//! The last decisions, for who asks why.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    events::{Millis, Outcome, Repository},
    oci::Digest,
    predict::{Expected, Kind, Reason},
    prefetch::plan::Why,
};

/// Decisions that are remembered.
const MOST: usize = 10_000;

/// What was decided about something that was expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Millis,
    /// The content.
    pub digest: Digest,
    /// Its length in bytes, as it was announced.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
    /// Where it was to be fetched.
    pub repository: Repository,
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Arc<str>>,
    /// Why it was expected.
    pub reason: Reason,
    /// How likely it was.
    pub probability: f32,
    /// When it was due.
    pub due: Millis,
    /// What was decided.
    pub verdict: Verdict,
    /// What became of it, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Bytes that it has cost.
    pub bytes: u64,
    /// Counted pulls that it has cost.
    pub pulls: u64,
    /// How long it took.
    pub milliseconds: u64,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decided", content = "why")]
pub enum Verdict {
    /// It is being fetched.
    Fetching,
    /// It was fetched.
    Fetched,
    /// It was here; at most the upstream's leave was missing.
    Here,
    /// A client had asked for it just before, and it came because of that.
    Joined,
    /// It was not fetched, and is not waited with any more.
    Left(Why),
    /// It waited until it was of no use.
    Pointless(Pointless),
    /// It could not be fetched.
    Failed,
}

/// Why it is of no use any more to fetch something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pointless {
    /// A client has asked for it.
    Asked,
    /// The tag that led to it names something else.
    Moved,
    /// Nobody has asked for it when it was expected.
    Expired,
    /// Something else is worth more.
    Displaced,
}

impl Pointless {
    /// As a word, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Moved => "moved",
            Self::Expired => "expired",
            Self::Displaced => "displaced",
        }
    }
}

impl Decision {
    pub(super) fn new(expected: &Expected, verdict: Verdict, at: Millis) -> Self {
        Self {
            at,
            digest: expected.digest,
            size: expected.size,
            kind: expected.kind,
            repository: expected.repository.clone(),
            customer: expected.customer.clone(),
            reason: expected.reason,
            probability: expected.probability,
            due: expected.due,
            verdict,
            outcome: None,
            bytes: 0,
            pulls: 0,
            milliseconds: 0,
        }
    }
}

/// The last ones, found by digest.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    ring: VecDeque<Decision>,
    /// How many have been forgotten.
    forgotten: usize,
    newest: HashMap<Digest, usize>,
}

impl Decisions {
    pub(super) fn add(&mut self, decision: Decision) {
        if self.ring.len() == MOST
            && let Some(old) = self.ring.pop_front()
        {
            if self.newest.get(&old.digest) == Some(&self.forgotten) {
                self.newest.remove(&old.digest);
            }
            self.forgotten += 1;
        }
        self.newest.insert(decision.digest, self.forgotten + self.ring.len());
        self.ring.push_back(decision);
    }

    /// Notes how the newest one about a content went on, unless it is forgotten.
    pub(super) fn change(&mut self, digest: &Digest, change: impl FnOnce(&mut Decision)) {
        if let Some(number) = self.newest.get(digest)
            && let Some(decision) = self.ring.get_mut(number - self.forgotten)
        {
            change(decision);
        }
    }

    /// All about a content, the newest first.
    pub(super) fn about<'a>(&'a self, digest: &'a Digest) -> impl Iterator<Item = &'a Decision> {
        self.ring.iter().rev().filter(move |decision| decision.digest == *digest)
    }

    /// The newest first.
    pub(super) fn newest(&self, most: usize) -> impl Iterator<Item = &Decision> {
        self.ring.iter().rev().take(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Algorithm;

    fn decision(n: usize, verdict: Verdict) -> Decision {
        let expected = Expected {
            digest: Digest::of(Algorithm::Sha256, &n.to_be_bytes()),
            size: 1,
            kind: Kind::Blob,
            repository: Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false },
            customer: None,
            reason: Reason::Moved,
            probability: 0.5,
            due: 0,
        };
        Decision::new(&expected, verdict, 0)
    }

    #[test]
    fn the_newest_is_changed_and_the_oldest_forgotten() {
        let mut decisions = Decisions::default();
        let digest = decision(0, Verdict::Failed).digest;
        decisions.add(decision(0, Verdict::Failed));
        decisions.add(decision(0, Verdict::Fetching));
        decisions.change(&digest, |decision| decision.verdict = Verdict::Fetched);
        let verdicts = |decisions: &Decisions| decisions.about(&digest).map(|found| found.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(&decisions), [Verdict::Fetched, Verdict::Failed]);
        (2..=MOST).for_each(|n| decisions.add(decision(n, Verdict::Failed)));
        assert_eq!(verdicts(&decisions), [Verdict::Fetched]);
        decisions.change(&digest, |decision| decision.bytes = 1);
        assert_eq!(decisions.about(&digest).next().unwrap().bytes, 1);
        decisions.add(decision(MOST + 1, Verdict::Failed));
        decisions.change(&digest, |_| panic!("it is forgotten"));
        assert_eq!((verdicts(&decisions), decisions.ring.len(), decisions.newest.len()), (vec![], MOST, MOST));
    }

    #[test]
    fn verdicts_are_words() {
        let json = |verdict| serde_json::to_value(verdict).unwrap();
        assert_eq!(json(Verdict::Fetched), serde_json::json!({"decided": "fetched"}));
        assert_eq!(json(Verdict::Left(Why::Pulls)), serde_json::json!({"decided": "left", "why": "pulls"}));
    }
}
