//! Requests as events: told when their answers have ended, if anybody hears.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, http::Method};

use super::path::Api;
use crate::{
    customers::Customer,
    events::{Bus, Event, Kind, Repository, Request, Source, What, log::Pseudonyms},
    oci::{Digest, Reference, Tag},
    telemetry::CacheStatus,
    upstream::{Destination, Requester},
};

/// Tells of requests.
#[derive(Debug)]
pub(super) struct Demand {
    bus: Arc<dyn Bus>,
    region: Arc<str>,
    pseudonyms: Pseudonyms,
}

/// A request, as far as it is known before its answer.
#[derive(Debug)]
pub(super) struct Demanded {
    demand: Arc<Demand>,
    customer: Option<Arc<str>>,
    region: Arc<str>,
    client: u64,
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
    kind: Kind,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) cache: CacheStatus,
    /// What the answer is about.
    pub(super) digest: Option<Digest>,
    pub(super) sent: u64,
    /// None when there was no answer.
    pub(super) first_byte: Option<Duration>,
    pub(super) total: Duration,
    pub(super) complete: bool,
}

impl Demand {
    /// Tells `bus` of requests to an edge in `region`.
    pub(super) fn new(bus: Arc<dyn Bus>, region: &str, pseudonyms: Pseudonyms) -> Arc<Self> {
        Arc::new(Self { bus, region: region.into(), pseudonyms })
    }

    /// A request for `reference` of a repository. `None` when nobody hears.
    pub(super) fn of(
        self: &Arc<Self>,
        request: &HttpRequest,
        destination: &Destination,
        kind: Kind,
        reference: &str,
        customer: &Customer,
    ) -> Option<Box<Demanded>> {
        if !self.bus.has_subscribers() {
            return None;
        }
        let (tag, digest) = match reference.parse() {
            Ok(Reference::Tag(tag)) if matches!(kind, Kind::Manifest | Kind::ManifestHead | Kind::Push) => (Some(tag), None),
            Ok(Reference::Digest(digest)) => (None, Some(digest)),
            _ => (None, None),
        };
        Some(Box::new(Demanded {
            demand: self.clone(),
            customer: customer.shared_name().cloned(),
            region: self.region.clone(),
            client: request.peer_addr().map_or(0, |address| self.pseudonyms.client(address.ip())),
            repository: repository(destination),
            tag,
            digest,
            kind,
        }))
    }
}

impl Demanded {
    /// It has come by way of other servers.
    pub(super) fn note_requester(&mut self, requester: &Requester) {
        if let Some(region) = &requester.region {
            self.region = region.as_str().into();
        }
    }

    /// The answer has ended.
    pub(super) fn tell(self, outcome: Outcome) {
        let Outcome { status, cache, digest, sent, first_byte, total, complete } = outcome;
        let total = micros(total);
        let request = Request {
            customer: self.customer,
            region: self.region,
            client: self.client,
            repository: self.repository,
            tag: self.tag,
            digest: self.digest.or(digest),
            kind: self.kind,
            status,
            bytes: sent,
            source: Source::from(cache),
            first_byte: first_byte.map_or(total, micros),
            total,
            complete,
        };
        self.demand.bus.publish(Event::now(What::Request(Arc::new(request))));
    }
}

/// What a request of the distribution API is for.
pub(super) fn kind(what: &Api<'_>, method: &Method) -> Kind {
    match (what, method) {
        (Api::Manifest(..), &Method::GET) => Kind::Manifest,
        (Api::Manifest(..), &Method::HEAD) => Kind::ManifestHead,
        (Api::Blob(..), &Method::GET) => Kind::Blob,
        (Api::Blob(..), &Method::HEAD) => Kind::BlobHead,
        (Api::Manifest(..), &Method::PUT) | (Api::Upload(..) | Api::Uploads(_), _) => Kind::Push,
        _ => Kind::Other,
    }
}

fn repository(destination: &Destination) -> Repository {
    match destination {
        Destination::Hosted(name) => Repository::hosted(name),
        Destination::Proxied(target) => {
            let (route, name) = (Arc::clone(&target.route.name), target.repository.clone());
            Repository { route, name, private: !destination.is_public() }
        }
    }
}

fn micros(time: Duration) -> u32 {
    time.as_micros().try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let (manifest, blob, upload) = (Api::Manifest("a", "1"), Api::Blob("a", "x"), Api::Upload("a", "id"));
        for (what, method, expected) in [
            (&manifest, Method::GET, Kind::Manifest),
            (&manifest, Method::HEAD, Kind::ManifestHead),
            (&manifest, Method::PUT, Kind::Push),
            (&manifest, Method::DELETE, Kind::Other),
            (&blob, Method::GET, Kind::Blob),
            (&blob, Method::HEAD, Kind::BlobHead),
            (&blob, Method::DELETE, Kind::Other),
            (&upload, Method::PATCH, Kind::Push),
            (&upload, Method::GET, Kind::Push),
            (&Api::Tags("a"), Method::GET, Kind::Other),
        ] {
            assert_eq!(kind(what, &method), expected, "{method} {what:?}");
        }
    }
}
