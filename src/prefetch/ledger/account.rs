//! What prefetching has cost and saved.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    events::{Millis, Outcome, log::Pseudonyms},
    predict::Reason,
};

/// Customers with accounts of their own; the rest share one.
const CUSTOMERS: usize = 10_000;

/// How often and how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Contents.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    pub(in crate::prefetch) const fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What was fetched before it was asked for, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// What was fetched.
    pub fetched: Tally,
    /// What was asked for when it was here.
    pub used: Tally,
    /// What was asked for while it was on its way.
    pub late: Tally,
    /// What left before anybody asked for it, or was of no use any more.
    pub wasted: Tally,
    /// Seconds that clients were spared, by estimate: what the upstream would have taken, less what the answer took.
    pub seconds_saved: f64,
    /// Pulls that upstreams count.
    pub pulls: u64,
}

impl Account {
    pub(super) const fn of(&mut self, outcome: Outcome) -> &mut Tally {
        match outcome {
            Outcome::Used => &mut self.used,
            Outcome::Late => &mut self.late,
            Outcome::Wasted => &mut self.wasted,
        }
    }

    /// What another account has, this one has too.
    pub(super) fn add(&mut self, other: &Self) {
        self.fetched.join(other.fetched);
        self.used.join(other.used);
        self.late.join(other.late);
        self.wasted.join(other.wasted);
        self.seconds_saved += other.seconds_saved;
        self.pulls = self.pulls.saturating_add(other.pulls);
    }
}

/// The account of a customer and a reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The customer; absent for nobody in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Arc<str>>,
    /// Why it was fetched.
    pub reason: Reason,
    /// What came of it.
    #[serde(flatten)]
    pub account: Account,
}

/// All accounts of an edge, those of earlier runs included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Savings {
    /// The edge's region.
    pub region: Arc<str>,
    /// When they were begun.
    pub since: Millis,
    /// Of the bytes whose fate was seen in the last 24 hours, the share that was asked for; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// What is here and has not been asked for yet.
    pub unasked: Tally,
    /// By customer and reason.
    pub accounts: Vec<Row>,
}

/// Accounts by customer and reason.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    rows: BTreeMap<(Option<Arc<str>>, Reason), Account>,
    customers: HashSet<Arc<str>>,
    pseudonyms: Option<Pseudonyms>,
    /// Names of customers who were known by their pseudonyms before they were heard of.
    names: HashMap<Arc<str>, Arc<str>>,
}

impl Accounts {
    pub(super) fn of(&mut self, customer: Option<&Arc<str>>, reason: Reason) -> &mut Account {
        let name = customer.map(|customer| self.names.get(customer).unwrap_or(customer).clone());
        let own = name.filter(|name| self.customers.contains(name) || self.customers.len() < CUSTOMERS);
        if let Some(name) = &own
            && self.customers.insert(name.clone())
        {
            self.recognise(name);
        }
        self.rows.entry((own, reason)).or_default()
    }

    /// Accounts that are added may go by these pseudonyms.
    pub(super) fn recognise_by(&mut self, pseudonyms: Pseudonyms) {
        self.pseudonyms = Some(pseudonyms);
    }

    /// A customer is heard of who may have had accounts under a pseudonym.
    fn recognise(&mut self, name: &Arc<str>) {
        let Some(alias) = self.pseudonyms.as_ref().map(|pseudonyms| pseudonyms.customer(name)) else { return };
        if !self.customers.remove(&alias) {
            return;
        }
        let known: Vec<Reason> = self.rows.keys().filter(|key| key.0.as_ref() == Some(&alias)).map(|key| key.1).collect();
        for reason in known {
            if let Some(account) = self.rows.remove(&(Some(alias.clone()), reason)) {
                self.rows.entry((Some(name.clone()), reason)).or_default().add(&account);
            }
        }
        self.names.insert(alias, name.clone());
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |((customer, reason), account): (&(Option<Arc<str>>, Reason), &Account)| Row {
            customer: customer.clone(),
            reason: *reason,
            account: account.clone(),
        };
        self.rows.iter().map(row).collect()
    }
}
