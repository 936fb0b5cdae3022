//! For whom a tier holds what it holds.

use std::{collections::HashMap, sync::Arc};

/// Customers that are told apart; what the further ones have wanted is counted as one.
const MOST: usize = 256;

const UNKNOWN: &str = "unknown";
const OTHERS: &str = "others";

/// The number that stands for a customer in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(u16);

impl Owner {
    /// Of what an earlier run left, and of requests that name no customer.
    pub(super) const UNKNOWN: Self = Self(0);
}

/// What a tier holds for one customer: for who wanted it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The customer; `unknown` for nobody in particular, `others` for all beyond a limit.
    pub customer: Arc<str>,
    /// Number of contents.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The accounts of one tier.
#[derive(Debug)]
pub(super) struct Owners {
    numbers: HashMap<Arc<str>, Owner>,
    holdings: Vec<Holding>,
}

impl Owners {
    pub(super) fn new() -> Self {
        let mut owners = Self { numbers: HashMap::new(), holdings: Vec::new() };
        owners.open(UNKNOWN.into());
        owners.open(OTHERS.into());
        owners
    }

    fn open(&mut self, customer: Arc<str>) -> Owner {
        let owner = Owner(self.holdings.len() as u16);
        self.numbers.insert(customer.clone(), owner);
        self.holdings.push(Holding { customer, entries: 0, bytes: 0 });
        owner
    }

    pub(super) fn number(&mut self, customer: Option<&Arc<str>>) -> Owner {
        let Some(customer) = customer else { return Owner::UNKNOWN };
        match self.numbers.get(customer) {
            Some(owner) => *owner,
            None if self.holdings.len() < MOST => self.open(customer.clone()),
            None => Owner(1),
        }
    }

    pub(super) fn name(&self, owner: Owner) -> Arc<str> {
        self.holdings[usize::from(owner.0)].customer.clone()
    }

    pub(super) fn add(&mut self, owner: Owner, size: u64) {
        let holding = &mut self.holdings[usize::from(owner.0)];
        holding.entries += 1;
        holding.bytes += size;
    }

    pub(super) fn take(&mut self, owner: Owner, size: u64) {
        let holding = &mut self.holdings[usize::from(owner.0)];
        holding.entries -= 1;
        holding.bytes -= size;
    }

    /// Who has something here.
    pub(super) fn holdings(&self) -> Vec<Holding> {
        self.holdings.iter().filter(|holding| holding.entries > 0).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_beyond_the_limit_share_an_account() {
        let mut owners = Owners::new();
        for n in 0..1000 {
            let owner = owners.number(Some(&format!("c{n}").into()));
            owners.add(owner, 10);
        }
        let holdings = owners.holdings();
        assert_eq!(holdings.len(), MOST - 1, "all but the unknown one");
        assert_eq!(holdings.iter().map(|holding| holding.bytes).sum::<u64>(), 10_000);
        assert_eq!(holdings[0], Holding { customer: OTHERS.into(), entries: 746, bytes: 7460 });
        let first = owners.number(Some(&"c0".into()));
        owners.take(first, 10);
        assert_eq!(owners.holdings().len(), MOST - 2);
        assert_eq!(&*owners.name(first), "c0");
    }
}
