//! What of a ledger outlives a run.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Day, Held, Ledger, Row};
use crate::{
    events::{Millis, log::Pseudonyms},
    oci::Digest,
};

/// By what names customers are written down.
#[derive(Debug, Clone)]
pub enum Naming {
    /// By none: all of them are nobody in particular.
    None,
    /// By keyed hashes of their names. After a restart, an account goes by the hash until its customer is heard of again.
    Hashed(Pseudonyms),
    /// By their names.
    Full,
}

/// The accounts, and all that has arrived and whose fate is open. What is on its way is forgotten: it does not survive a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::prefetch) struct Kept {
    since: Millis,
    accounts: Vec<Row>,
    useful: Day,
    useless: Day,
    unasked: Vec<(Digest, Held)>,
    superseded: Vec<Digest>,
}

impl Naming {
    fn written(&self, name: Option<&Arc<str>>) -> Option<Arc<str>> {
        match self {
            Self::None => None,
            Self::Hashed(pseudonyms) => name.map(|name| pseudonyms.customer(name)),
            Self::Full => name.cloned(),
        }
    }
}

impl Kept {
    /// With customers as they may be written down.
    pub(in crate::prefetch) fn named(mut self, naming: &Naming) -> Self {
        for row in &mut self.accounts {
            row.customer = naming.written(row.customer.as_ref());
        }
        for (_, held) in &mut self.unasked {
            held.customer = naming.written(held.customer.as_ref());
        }
        self
    }
}

impl Ledger {
    /// What outlives the run, under the names that customers have here.
    pub(in crate::prefetch) fn kept(&self) -> Kept {
        let landed = self.held.iter().filter(|(_, held)| held.landed.is_some());
        Kept {
            since: self.since,
            accounts: self.accounts.rows(),
            useful: self.useful.clone(),
            useless: self.useless.clone(),
            unasked: landed.map(|(digest, held)| (*digest, held.clone())).collect(),
            superseded: self.superseded.iter().copied().collect(),
        }
    }

    /// Goes on with what an earlier run has kept; called before anything is fetched.
    pub(in crate::prefetch) fn go_on_with(&mut self, kept: Kept, naming: &Naming, now: Millis) {
        self.since = kept.since.min(now);
        if let Naming::Hashed(pseudonyms) = naming {
            self.accounts.recognise_by(pseudonyms.clone());
        }
        for row in &kept.accounts {
            self.accounts.of(row.customer.as_ref(), row.reason).add(&row.account);
        }
        (self.useful, self.useless) = (kept.useful.until(now), kept.useless.until(now));
        let mut unasked = kept.unasked;
        unasked.sort_unstable_by_key(|(digest, held)| (held.begun, *digest));
        for (digest, held) in unasked {
            self.unasked.add(held.size);
            self.order.push_back((held.begun, digest));
            self.held.insert(digest, held);
        }
        self.superseded.extend(kept.superseded);
        self.measure();
    }
}
