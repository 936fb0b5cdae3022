//! How much each customer has under way.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::customers::Customer;

/// Uploads under way at once, of all customers together: their names are free to choose.
const MOST_UPLOADS: usize = 20_000;

/// The accounts of all customers who have something under way.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    held: Mutex<HashMap<Customer, Held>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Held {
    uploads: usize,
    bytes: u64,
}

impl Accounts {
    /// Counts one more upload. False when that would be more than `most`.
    pub(super) fn open(&self, customer: &Customer, most: usize) -> bool {
        let mut held = self.held.lock();
        let all: usize = if held.len() > 1 { held.values().map(|one| one.uploads).sum() } else { 0 };
        let own = held.get(customer).map_or(0, |own| own.uploads);
        let has_room = own < most && all < MOST_UPLOADS;
        if has_room {
            held.entry(customer.clone()).or_default().uploads += 1;
        }
        has_room
    }

    /// Whether `bytes` more would be `most` at most.
    pub(super) fn has_room(&self, customer: &Customer, bytes: u64, most: u64) -> bool {
        let own = self.held.lock().get(customer).map_or(0, |own| own.bytes);
        own.saturating_add(bytes) <= most
    }

    /// Counts `bytes` more. False when that would be more than `most`.
    pub(super) fn add(&self, customer: &Customer, bytes: u64, most: u64) -> bool {
        let mut held = self.held.lock();
        let own = held.entry(customer.clone()).or_default();
        let has_room = own.bytes.saturating_add(bytes) <= most;
        if has_room {
            own.bytes += bytes;
        }
        has_room
    }

    /// Takes `bytes` off, which are no longer held.
    pub(super) fn release(&self, customer: &Customer, bytes: u64) {
        if let Some(own) = self.held.lock().get_mut(customer) {
            own.bytes = own.bytes.saturating_sub(bytes);
        }
    }

    /// Takes an upload off, with its bytes.
    pub(super) fn close(&self, customer: &Customer, bytes: u64) {
        let mut held = self.held.lock();
        let Some(own) = held.get_mut(customer) else { return };
        own.uploads = own.uploads.saturating_sub(1);
        own.bytes = own.bytes.saturating_sub(bytes);
        if own.uploads == 0 {
            held.remove(customer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_customer_has_limits_of_its_own() {
        let accounts = Accounts::default();
        let (a, b) = (Customer::from_header(Some("a")), Customer::from_header(Some("b")));
        assert!(accounts.open(&a, 2) && accounts.open(&a, 2));
        assert!(!accounts.open(&a, 2));
        assert!(accounts.open(&b, 2));
        assert!(accounts.add(&a, 60, 100));
        assert!(!accounts.has_room(&a, 41, 100) && accounts.has_room(&a, 40, 100));
        assert!(!accounts.add(&a, 41, 100));
        assert!(accounts.add(&b, 100, 100));
        assert!(accounts.add(&a, 40, 100));
        accounts.release(&a, 40);
        assert!(accounts.add(&a, 40, 100));
        accounts.close(&a, 50);
        assert!(accounts.open(&a, 2));
        assert!(accounts.add(&a, 50, 100));
        assert!(!accounts.add(&a, u64::MAX, 100));
    }

    #[test]
    fn a_customer_without_uploads_is_forgotten() {
        let accounts = Accounts::default();
        let customer = Customer::default();
        assert!(accounts.open(&customer, 1) && accounts.add(&customer, 10, 10));
        accounts.close(&customer, 10);
        assert!(accounts.held.lock().is_empty());
    }
}
