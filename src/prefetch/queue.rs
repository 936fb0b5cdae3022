//! What waits to be fetched: bounded, each content once, and gone again when it is pointless.

use std::collections::{BTreeSet, HashMap};

use super::plan;
use crate::{events::Millis, oci::Digest, predict::Expected};

/// What waits. When it is full, what is worth least gives way.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: HashMap<Digest, Entry>,
    /// By worth, least first.
    order: BTreeSet<(Rank, Digest)>,
    capacity: usize,
}

/// Something that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What.
    pub expected: Expected,
    /// Since when.
    pub since: Millis,
    /// The manifest that led to it, when it was not expected by itself: when that is pointless, this is too.
    pub root: Option<Digest>,
}

/// Who gives way to whom: a client that waits to nobody, the rest by worth for its bytes.
type Rank = (bool, u64);

fn rank(expected: &Expected) -> Rank {
    // The bits of a number that is not negative are in its order.
    (expected.reason.is_urgent(), plan::density(expected, 1.0).max(0.0).to_bits())
}

/// What became of an offer.
#[derive(Debug, Clone, PartialEq)]
pub enum Added {
    /// It waits.
    New,
    /// It waited already and is more urgent, or more likely, than was known.
    Upgraded,
    /// It waited already.
    Known,
    /// It waits, and something else does not any more.
    Instead(Box<Entry>),
    /// Everything that waits is worth more.
    Full,
}

impl Queue {
    /// An empty one for at most `capacity` contents.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Lets something wait.
    pub fn add(&mut self, entry: Entry) -> Added {
        let digest = entry.expected.digest;
        let new = rank(&entry.expected);
        if let Some(known) = self.waiting.get(&digest) {
            let old = rank(&known.expected);
            if new <= old {
                return Added::Known;
            }
            self.order.remove(&(old, digest));
            self.insert(new, entry);
            return Added::Upgraded;
        }
        if self.waiting.len() < self.capacity {
            self.insert(new, entry);
            return Added::New;
        }
        let Some(&(least, victim)) = self.order.first().filter(|(least, _)| *least < new) else { return Added::Full };
        self.order.remove(&(least, victim));
        let evicted = self.waiting.remove(&victim);
        self.insert(new, entry);
        evicted.map_or(Added::New, |evicted| Added::Instead(Box::new(evicted)))
    }

    fn insert(&mut self, rank: Rank, entry: Entry) {
        self.order.insert((rank, entry.expected.digest));
        self.waiting.insert(entry.expected.digest, entry);
    }

    /// Takes something out.
    pub fn remove(&mut self, digest: &Digest) -> Option<Entry> {
        let entry = self.waiting.remove(digest)?;
        self.order.remove(&(rank(&entry.expected), *digest));
        Some(entry)
    }

    /// Takes out a manifest that no tag names any more, and what it led to.
    pub fn remove_root(&mut self, root: &Digest) -> Vec<Entry> {
        self.remove_where(|entry| entry.root == Some(*root) || entry.expected.digest == *root)
    }

    /// Takes out what is too old to be of use.
    pub fn remove_expired(&mut self, now: Millis) -> Vec<Entry> {
        self.remove_where(|entry| plan::expires(&entry.expected, entry.since) <= now)
    }

    fn remove_where(&mut self, is_pointless: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let pointless: Vec<_> =
            self.waiting.values().filter(|entry| is_pointless(entry)).map(|entry| entry.expected.digest).collect();
        pointless.iter().filter_map(|digest| self.remove(digest)).collect()
    }

    /// All that waits, in no order.
    pub fn candidates(&self) -> Vec<Expected> {
        self.iter().cloned().collect()
    }

    /// The same.
    pub fn iter(&self) -> impl Iterator<Item = &Expected> {
        self.waiting.values().map(|entry| &entry.expected)
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        events::Repository,
        oci::Algorithm,
        predict::{Kind, Reason},
    };

    fn entry(n: u64, reason: Reason, probability: f32) -> Entry {
        let expected = Expected {
            digest: Digest::of(Algorithm::Sha256, &n.to_be_bytes()),
            size: 100,
            kind: Kind::Blob,
            repository: Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false },
            customer: None,
            reason,
            probability,
            due: 1000,
        };
        Entry { expected, since: 1000, root: None }
    }

    #[test]
    fn each_content_waits_once_and_an_urgent_offer_upgrades_it() {
        let mut queue = Queue::new(10);
        assert_eq!(queue.add(entry(1, Reason::Moved, 0.5)), Added::New);
        assert_eq!(queue.add(entry(1, Reason::CoPull, 0.4)), Added::Known);
        assert_eq!(queue.add(entry(1, Reason::Pull, 0.4)), Added::Upgraded);
        assert_eq!(queue.add(entry(1, Reason::Moved, 1.0)), Added::Known);
        assert_eq!((queue.len(), queue.candidates()[0].reason), (1, Reason::Pull));
    }

    #[test]
    fn when_it_is_full_what_is_worth_least_gives_way() {
        let mut queue = Queue::new(2);
        queue.add(entry(1, Reason::Moved, 0.5));
        queue.add(entry(2, Reason::Pull, 0.1));
        assert_eq!(queue.add(entry(3, Reason::Moved, 0.4)), Added::Full);
        assert_eq!(queue.add(entry(4, Reason::Moved, 0.6)), Added::Instead(Box::new(entry(1, Reason::Moved, 0.5))));
        assert_eq!(queue.add(entry(5, Reason::Pull, 0.2)), Added::Instead(Box::new(entry(4, Reason::Moved, 0.6))));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn what_is_pointless_goes() {
        let mut queue = Queue::new(10);
        let root = entry(1, Reason::Moved, 0.5);
        let led_to = Entry { root: Some(root.expected.digest), ..entry(2, Reason::Moved, 0.5) };
        for entry in [&root, &led_to, &entry(3, Reason::Moved, 0.5), &entry(4, Reason::Pull, 0.5)] {
            queue.add(entry.clone());
        }
        assert_eq!(queue.remove_root(&root.expected.digest).len(), 2);
        assert_eq!(queue.remove_expired(1000 + 59_999), []);
        assert_eq!(queue.remove_expired(1000 + 60_000), [entry(4, Reason::Pull, 0.5)]);
        assert_eq!(queue.remove_expired(1000 + 24 * 3_600_000).len(), 1);
        assert!(queue.is_empty() && queue.order.is_empty());
    }

    proptest! {
        #[test]
        fn it_is_never_too_long_and_its_order_is_whole(
            steps in prop::collection::vec((0..30_u64, 0..5_usize, 0.0..1.0_f32, any::<bool>()), 0..200)
        ) {
            let mut queue = Queue::new(8);
            for (n, reason, probability, remove) in steps {
                let entry = entry(n, Reason::ALL[reason], probability);
                if remove {
                    queue.remove(&entry.expected.digest);
                } else {
                    queue.add(entry);
                }
                prop_assert!(queue.len() <= 8);
                let ranks: BTreeSet<_> = queue.waiting.values().map(|entry| (rank(&entry.expected), entry.expected.digest)).collect();
                prop_assert_eq!(&ranks, &queue.order);
            }
        }
    }
}
