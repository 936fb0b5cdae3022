//! Who asks. A name that anyone may give: it keeps customers' uploads apart by accident, not by force.

use std::{collections::HashMap, sync::Arc};

use crate::config;

/// A customer as the request names it, or anonymous. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Customer(Option<Arc<str>>);

impl Customer {
    /// Longest accepted name.
    pub const MAX_LEN: usize = 64;

    /// Takes the name from a header: 1 to 64 letters, digits, `.`, `_` and `-`. Anything else is anonymous, so that no text of
    /// a stranger gets into logs.
    pub fn from_header(value: Option<&str>) -> Self {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let legal = |name: &&str| (1..=Self::MAX_LEN).contains(&name.len()) && name.bytes().all(is_legal);
        Self(value.filter(legal).map(Into::into))
    }

    /// The name, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The name, shared.
    pub const fn shared_name(&self) -> Option<&Arc<str>> {
        self.0.as_ref()
    }

    /// The name, or `anonymous`.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("anonymous")
    }
}

/// The customers who count otherwise than the rest.
#[derive(Debug, Default)]
pub struct Customers {
    weights: HashMap<Arc<str>, f32>,
}

impl Customers {
    /// As they are configured.
    pub fn new(customers: &[config::Customer]) -> Self {
        Self { weights: customers.iter().map(|customer| (customer.name.as_str().into(), customer.weight as f32)).collect() }
    }

    /// How much a request of a customer counts; 1 for those who are not configured.
    pub fn weight(&self, customer: &Customer) -> f32 {
        if self.weights.is_empty() {
            return 1.0;
        }
        customer.name().and_then(|name| self.weights.get(name)).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_customers_have_their_weight() {
        let customers = Customers::new(&[config::Customer { name: "acme".to_owned(), weight: 4.0 }]);
        for (name, weight) in [(Some("acme"), 4.0), (Some("ACME"), 1.0), (Some("other"), 1.0), (None, 1.0)] {
            assert_eq!(customers.weight(&Customer::from_header(name)), weight, "{name:?}");
        }
    }

    #[test]
    fn names_and_strangers() {
        let longest = "a".repeat(64);
        for name in ["acme", "team-1.eu_west", "A", &longest] {
            assert_eq!(Customer::from_header(Some(name)).as_str(), name);
        }
        let too_long = "a".repeat(65);
        for text in [None, Some(""), Some("a b"), Some("a\n"), Some("\u{1b}[31m"), Some("\u{e9}"), Some("a/b"), Some(&too_long)] {
            let customer = Customer::from_header(text);
            assert_eq!((&customer, customer.as_str()), (&Customer::default(), "anonymous"), "{text:?}");
        }
    }
}
