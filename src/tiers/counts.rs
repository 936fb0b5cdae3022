//! What happened in the tiers, counted.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, OnceLock},
};

use parking_lot::RwLock;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::oci::Digest;

/// Customers that have a label of their own; the further ones share one.
const MOST_CUSTOMERS: usize = 100;

/// Hits, moves and evictions.
#[derive(Debug, Default)]
pub(super) struct Counts {
    hits: Family<Hit, Counter>,
    moves: Family<Moved, Counter>,
    moved_bytes: Family<Moved, Counter>,
    evictions: Family<Evicted, Counter>,
    scrubbed: Family<Scrubbed, Counter>,
    scrubbed_bytes: Family<Scrubbed, Counter>,
    scrub_damaged: Family<Scrubbed, Counter>,
    customers: RwLock<HashSet<Arc<str>>>,
    listener: OnceLock<Listener>,
}

/// Who is told what has left a disk for good.
struct Listener(Box<dyn Fn(&Digest) + Send + Sync>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hit {
    tier: Arc<str>,
    customer: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Moved {
    from: Arc<str>,
    to: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Evicted {
    tier: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Scrubbed {
    tier: Arc<str>,
}

/// Why a content leaves a tier for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There was no room, and nothing that was worth less.
    NoRoom,
    /// Nobody had asked for it for as long as it may be unused.
    Unused,
    /// Its bytes were wrong.
    Damaged,
    /// An operator wanted it gone, or it was found to be of another length than was known.
    Removed,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoRoom => "no-room",
            Self::Unused => "unused",
            Self::Damaged => "damaged",
            Self::Removed => "removed",
        }
    }
}

impl Counts {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tier_hits", "Contents found in a tier, by who wanted them", self.hits.clone());
        registry.register("tier_moves", "Contents moved from one tier to another", self.moves.clone());
        registry.register("tier_moved_bytes", "Bytes moved from one tier to another", self.moved_bytes.clone());
        registry.register("tier_evictions", "Contents that left a tier for good", self.evictions.clone());
        registry.register("scrubbed", "Files that scrubs have hashed", self.scrubbed.clone());
        registry.register("scrubbed_bytes", "Bytes that scrubs have hashed", self.scrubbed_bytes.clone());
        registry.register("scrub_damaged", "Files that scrubs have found damaged", self.scrub_damaged.clone());
    }

    pub(super) fn hit(&self, tier: &Arc<str>, customer: Option<&Arc<str>>) {
        let customer = self.known(customer);
        self.hits.get_or_create(&Hit { tier: tier.clone(), customer }).inc();
    }

    pub(super) fn moved(&self, from: &Arc<str>, to: &Arc<str>, reason: &'static str, bytes: u64) {
        let labels = Moved { from: from.clone(), to: to.clone(), reason };
        self.moves.get_or_create(&labels).inc();
        self.moved_bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// Contents have left a tier for good. No lock of an index may be held.
    pub(super) fn evicted(&self, tier: &Arc<str>, reason: Reason, contents: &[Digest]) {
        if !contents.is_empty() {
            self.evictions.get_or_create(&Evicted { tier: tier.clone(), reason: reason.as_str() }).inc_by(contents.len() as u64);
        }
        if let Some(Listener(tell)) = self.listener.get() {
            contents.iter().for_each(tell);
        }
    }

    /// Has `tell` told of what leaves a tier for good from now on. There is one such listener.
    pub(super) fn listen(&self, tell: Box<dyn Fn(&Digest) + Send + Sync>) {
        // A second one would tell the same.
        let _ = self.listener.set(Listener(tell));
    }

    /// A scrub has hashed bytes of a file.
    pub(super) fn scrubbed_bytes(&self, tier: &Arc<str>, bytes: u64) {
        self.scrubbed_bytes.get_or_create(&Scrubbed { tier: tier.clone() }).inc_by(bytes);
    }

    /// A scrub is through with a file.
    pub(super) fn scrubbed(&self, tier: &Arc<str>, is_damaged: bool) {
        let labels = Scrubbed { tier: tier.clone() };
        self.scrubbed.get_or_create(&labels).inc();
        if is_damaged {
            self.scrub_damaged.get_or_create(&labels).inc();
        }
    }

    /// A customer's label. Names come from clients, so there must not be arbitrarily many.
    fn known(&self, customer: Option<&Arc<str>>) -> Arc<str> {
        let Some(customer) = customer else { return "unknown".into() };
        if self.customers.read().contains(customer) {
            return customer.clone();
        }
        let mut customers = self.customers.write();
        if customers.len() < MOST_CUSTOMERS {
            customers.insert(customer.clone());
            return customer.clone();
        }
        "others".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_make_labels_without_end() {
        let (counts, tier) = (Counts::default(), "memory".into());
        let mut registry = Registry::default();
        counts.register(&mut registry);
        for n in 0..1000 {
            counts.hit(&tier, Some(&format!("c{n}").into()));
        }
        counts.hit(&tier, None);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("tier_hits_total{")).count(), MOST_CUSTOMERS + 2);
        assert!(text.contains("tier_hits_total{tier=\"memory\",customer=\"others\"} 900"), "{text}");
    }
}
