//! Customers by the names that the demand log has for them: what it tells of the past is about the same ones.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use super::expected::Expected;
use crate::events::{Event, Request, What, log::Pseudonyms};

/// Customers whose names are remembered at most.
const MOST: usize = 100_000;

#[derive(Debug)]
pub(super) struct Aliases {
    pseudonyms: Option<Pseudonyms>,
    aliases: HashMap<Arc<str>, Arc<str>>,
    names: HashMap<Arc<str>, Arc<str>>,
}

impl Aliases {
    /// Without pseudonyms, names stay as they are.
    pub(super) fn new(pseudonyms: Option<Pseudonyms>) -> Self {
        Self { pseudonyms, aliases: HashMap::new(), names: HashMap::new() }
    }

    /// An event in which the customer goes by the alias.
    pub(super) fn hidden<'a>(&mut self, event: &'a Event) -> Cow<'a, Event> {
        let (Some(pseudonyms), What::Request(request)) = (&self.pseudonyms, &event.what) else { return Cow::Borrowed(event) };
        let Some(name) = &request.customer else { return Cow::Borrowed(event) };
        let alias = match self.aliases.get(name) {
            Some(alias) => alias.clone(),
            None => {
                if self.aliases.len() >= MOST {
                    (self.aliases, self.names) = Default::default();
                }
                let alias = pseudonyms.customer(name);
                self.aliases.insert(name.clone(), alias.clone());
                self.names.insert(alias.clone(), name.clone());
                alias
            }
        };
        let request = Request { customer: Some(alias), ..(**request).clone() };
        Cow::Owned(Event { at: event.at, what: What::Request(Arc::new(request)) })
    }

    /// Customers go by their names again; one whose name was never heard in this run is nobody in particular.
    pub(super) fn reveal(&self, expected: &mut [Expected]) {
        if self.pseudonyms.is_none() {
            return;
        }
        for one in expected {
            one.customer = one.customer.take().and_then(|alias| self.names.get(&alias).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::{Kind, Repository, Source},
        oci::{Algorithm, Digest},
        predict::{self, Reason},
    };

    fn repository() -> Repository {
        Repository { route: "docker.io".into(), name: "library/x".parse().unwrap(), private: false }
    }

    fn request(customer: Option<&str>) -> Event {
        let what = What::Request(Arc::new(Request {
            customer: customer.map(Into::into),
            region: "eu".into(),
            client: 1,
            repository: repository(),
            tag: None,
            digest: None,
            kind: Kind::Blob,
            status: 200,
            bytes: 1,
            source: Source::Disk,
            first_byte: 0,
            total: 0,
            complete: true,
        }));
        Event { at: 1, what }
    }

    fn customer(event: &Event) -> Option<Arc<str>> {
        let What::Request(request) = &event.what else { panic!("a request") };
        request.customer.clone()
    }

    #[test]
    fn names_are_hidden_as_in_the_log_and_come_back() {
        let pseudonyms = Pseudonyms::forgotten().unwrap();
        let mut aliases = Aliases::new(Some(pseudonyms.clone()));
        let hidden = customer(&aliases.hidden(&request(Some("acme")))).unwrap();
        assert_eq!(hidden, pseudonyms.customer("acme"));
        assert_eq!(customer(&aliases.hidden(&request(None))), None);
        let expected = |customer: Arc<str>| Expected {
            digest: Digest::of(Algorithm::Sha256, b"x"),
            size: 1,
            kind: predict::Kind::Blob,
            repository: repository(),
            customer: Some(customer),
            reason: Reason::Pull,
            probability: 1.0,
            due: 0,
        };
        let mut both = [expected(hidden.clone()), expected("unheard of".into())];
        aliases.reveal(&mut both);
        assert_eq!(both.map(|one| one.customer), [Some("acme".into()), None]);
        let mut plain = Aliases::new(None);
        assert_eq!(customer(&plain.hidden(&request(Some("acme")))), Some("acme".into()));
    }
}
