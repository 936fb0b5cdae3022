//! What to fetch next, and why not the rest. A pure function: the same candidates and the same view give the same plan.
//!
//! What a client is about to ask for goes first, smallest first, so that as much as possible is there in time. Of the rest, what
//! is worth most for its bytes is chosen, and of that what is due first is begun. Each customer who waits for something has a
//! share of the budget by weight; what the others do not claim can be borrowed.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    events::Millis,
    oci::Digest,
    predict::{Expected, Kind},
};

/// How long an upstream takes, roughly: seconds until the first byte, and per byte after that. Only the order that follows from
/// them matters.
const FIRST_BYTE: f64 = 0.080;
const PER_BYTE: f64 = 1.0 / 60e6;

/// How things stand.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Bytes left of the budget.
    pub bytes: u64,
    /// Whether so much was fetched in vain that not even what clients are about to ask for is.
    pub is_overdrawn: bool,
    /// Bytes that the disks may still take of what nobody has asked for.
    pub disk: u64,
    /// Transfers that may begin for what clients are about to ask for.
    pub pull_connections: usize,
    /// Transfers that may begin for all else.
    pub connections: usize,
    /// Transfers that may begin at an upstream, for the same two; any number at those that are not here.
    pub places: HashMap<Arc<str>, Places>,
    /// Counted pulls that may be spent, by upstream; any number at those that are not here.
    pub pulls: HashMap<Arc<str>, u64>,
    /// Upstreams that have failed and are left alone.
    pub resting: HashSet<Arc<str>>,
    /// What is here, or on its way.
    pub present: HashSet<Digest>,
    /// Customers who count otherwise than 1, or have had something.
    pub customers: HashMap<Option<Arc<str>>, Standing>,
}

/// Transfers that may begin at an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// For what clients are about to ask for.
    pub pulls: usize,
    /// For all else.
    pub rest: usize,
}

/// How a customer stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// How much the customer counts.
    pub weight: f64,
    /// Bytes that were fetched for the customer in 24 hours.
    pub spent: u64,
}

impl Default for Standing {
    fn default() -> Self {
        Self { weight: 1.0, spent: 0 }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan<'a> {
    /// What to fetch now, in this order.
    pub fetch: Vec<&'a Expected>,
    /// What not, and why.
    pub left: Vec<(&'a Expected, Why)>,
}

/// Why something is not fetched now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is here, or on its way.
    Present,
    /// Its upstream has failed and is left alone.
    Resting,
    /// The upstream counts pulls, and the share of them is used up.
    Pulls,
    /// What nobody has asked for yet takes its share of the disks.
    Disk,
    /// The bytes of the day are used up.
    Bytes,
    /// Enough is under way.
    Connections,
}

impl Why {
    /// As a word, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Resting => "resting",
            Self::Pulls => "pulls",
            Self::Disk => "disk",
            Self::Bytes => "bytes",
            Self::Connections => "connections",
        }
    }
}

/// What fetching something is worth per byte: the seconds that it is expected to save, weighted by customer.
pub fn density(expected: &Expected, weight: f64) -> f64 {
    let size = expected.size.max(1) as f64;
    weight * f64::from(expected.probability) * (FIRST_BYTE + size * PER_BYTE) / size
}

/// Decides.
pub fn plan<'a>(candidates: &'a [Expected], view: &View) -> Plan<'a> {
    let mut planning = Planning { left: view.clone(), plan: Plan::default() };
    let (mut urgent, rest): (Vec<_>, Vec<_>) = candidates.iter().partition(|expected| expected.reason.is_urgent());
    urgent.sort_by_key(|expected| (expected.size, expected.digest));
    for expected in urgent {
        planning.take_urgent(expected);
    }
    let mut chosen = planning.choose(rest);
    chosen.sort_by_key(|expected| (expected.due, expected.digest));
    for expected in chosen {
        planning.begin(expected);
    }
    planning.plan
}

struct Planning<'a> {
    left: View,
    plan: Plan<'a>,
}

impl<'a> Planning<'a> {
    /// Is not charged to the budget of bytes: it is demand, a little early.
    fn take_urgent(&mut self, expected: &'a Expected) {
        let why = if self.left.is_overdrawn {
            Some(Why::Bytes)
        } else if self.left.pull_connections == 0 || self.places(expected).is_some_and(|places| places.pulls == 0) {
            Some(Why::Connections)
        } else {
            self.obstacle(expected)
        };
        match why {
            Some(why) => self.plan.left.push((expected, why)),
            None => {
                self.left.pull_connections -= 1;
                if let Some(places) = self.places(expected) {
                    places.pulls -= 1;
                }
                self.claim(expected);
                self.plan.fetch.push(expected);
            }
        }
    }

    /// Begins something that was chosen, or leaves it for later.
    fn begin(&mut self, expected: &'a Expected) {
        let is_full = self.left.connections == 0 || self.places(expected).is_some_and(|places| places.rest == 0);
        if is_full {
            self.plan.left.push((expected, Why::Connections));
            return;
        }
        self.left.connections -= 1;
        if let Some(places) = self.places(expected) {
            places.rest -= 1;
        }
        self.plan.fetch.push(expected);
    }

    fn places(&mut self, expected: &Expected) -> Option<&mut Places> {
        self.left.places.get_mut(&expected.repository.route)
    }

    /// What the budget allows, whatever the connections.
    fn choose(&mut self, mut rest: Vec<&'a Expected>) -> Vec<&'a Expected> {
        let weight = |expected: &Expected| self.left.customers.get(&expected.customer).copied().unwrap_or_default().weight;
        let worth: HashMap<_, _> = rest.iter().map(|expected| (expected.digest, density(expected, weight(expected)))).collect();
        let order = |one: &&Expected, other: &&Expected| -> Ordering {
            worth[&other.digest].total_cmp(&worth[&one.digest]).then(one.digest.cmp(&other.digest))
        };
        rest.sort_by(order);
        let mut reserved = self.reserved(&rest);
        let (mut chosen, mut borrowers) = (Vec::new(), Vec::new());
        for expected in rest {
            match reserved.get_mut(&expected.customer) {
                Some(own) if *own >= expected.size && self.take(expected).is_ok() => {
                    *own -= expected.size;
                    chosen.push(expected);
                }
                _ => borrowers.push(expected),
            }
        }
        for expected in borrowers {
            match self.take(expected) {
                Ok(()) => chosen.push(expected),
                Err(why) => self.plan.left.push((expected, why)),
            }
        }
        chosen
    }

    /// Bytes that each customer who waits for something may have before the others may borrow.
    fn reserved(&self, waiting: &[&Expected]) -> HashMap<Option<Arc<str>>, u64> {
        let names: HashSet<_> = waiting.iter().map(|expected| expected.customer.clone()).collect();
        let standing = |name: &Option<Arc<str>>| self.left.customers.get(name).copied().unwrap_or_default();
        // In a fixed order, since sums of fractions depend on it.
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        let weights: f64 = names.iter().map(|name| standing(name).weight).sum();
        let spent = names.iter().map(|name| standing(name).spent).fold(self.left.bytes, u64::saturating_add);
        let reserve = |name: &Option<Arc<str>>| {
            let Standing { weight, spent: own } = standing(name);
            ((spent as f64 * weight / weights) as u64).saturating_sub(own)
        };
        names.into_iter().map(|name| (name.clone(), reserve(&name))).collect()
    }

    fn take(&mut self, expected: &Expected) -> Result<(), Why> {
        if let Some(why) = self.obstacle(expected) {
            return Err(why);
        }
        self.left.bytes = self.left.bytes.checked_sub(expected.size).ok_or(Why::Bytes)?;
        self.claim(expected);
        Ok(())
    }

    /// What is in the way, apart from bytes and connections.
    fn obstacle(&self, expected: &Expected) -> Option<Why> {
        let route = &expected.repository.route;
        if self.left.present.contains(&expected.digest) {
            return Some(Why::Present);
        }
        if self.left.resting.contains(route) {
            return Some(Why::Resting);
        }
        if expected.kind == Kind::Manifest && self.left.pulls.get(route) == Some(&0) {
            return Some(Why::Pulls);
        }
        (expected.size > self.left.disk).then_some(Why::Disk)
    }

    fn claim(&mut self, expected: &Expected) {
        self.left.present.insert(expected.digest);
        self.left.disk -= expected.size;
        if expected.kind == Kind::Manifest
            && let Some(pulls) = self.left.pulls.get_mut(&expected.repository.route)
        {
            *pulls -= 1;
        }
    }
}

/// When something expected is too old to be of use.
pub fn expires(expected: &Expected, since: Millis) -> Millis {
    /// A client that has not asked by then has what it needs.
    const PULL: Millis = 60_000;
    /// What was not asked for a day after it was due is not what was expected.
    const REST: Millis = 24 * 3_600_000;
    if expected.reason.is_urgent() { since.saturating_add(PULL) } else { expected.due.max(since).saturating_add(REST) }
}

#[cfg(test)]
mod tests;
