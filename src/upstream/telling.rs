//! What an upstream is told of who asks.
//!
//! A registry is told nothing but where a request has been, so that loops are noticed. A parent, another Harbinger, counts and
//! decides by customer, so it is told who began the request and from which region.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, VIA};

use super::{Hops, OriginError, Staleness};
use crate::{
    config::{Upstream, UpstreamKind, normal},
    telemetry::StaleReason,
};

/// The request header that names the region of the edge that a client has asked.
pub const REGION_HEADER: &str = "x-harbinger-region";

/// The request header by which a client declines to be sent elsewhere for a blob: any value but `0`.
pub const NO_REDIRECT_HEADER: &str = "x-harbinger-no-redirect";

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name in `Via`.
    pub via: String,
    /// Its region.
    pub region: String,
    /// The header in which it, and its parents, look for the name of a customer.
    pub customer_header: String,
}

/// Who began a request. Plain texts: an upstream knows nothing of customers.
#[derive(Debug, Clone, Default)]
pub struct Requester {
    /// The customer's name, if the request gave one.
    pub customer: Option<String>,
    /// The region of the edge that the customer asked, when that was another server.
    pub region: Option<String>,
    /// The servers that the request has come through.
    pub hops: Hops,
}

/// How one upstream is told.
#[derive(Debug)]
pub(super) struct Telling {
    via: String,
    /// Of a parent only.
    parent: Option<Parent>,
}

/// How a parent is spoken to.
#[derive(Debug)]
struct Parent {
    /// The registry that is meant.
    namespace: String,
    customer: HeaderName,
    region: HeaderValue,
}

impl Telling {
    /// # Errors
    /// [`OriginError`] when something that `identity` says cannot stand in a header.
    pub(super) fn new(config: &Upstream, identity: &Identity) -> Result<Self, OriginError> {
        let bad = |key| OriginError::new(&config.name, key, "it is not fit for a header".to_owned());
        let parent = match config.kind {
            UpstreamKind::Registry => None,
            UpstreamKind::Parent => Some(Parent {
                namespace: normal(&config.name).unwrap_or_else(|| config.name.clone()),
                customer: identity.customer_header.parse().map_err(|_| bad("customer_header"))?,
                region: HeaderValue::from_str(&identity.region).map_err(|_| bad("region"))?,
            }),
        };
        Ok(Self { via: identity.via.clone(), parent })
    }

    /// The registry that a parent is asked for; `None` for a registry itself.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.parent.as_ref().map(|parent| parent.namespace.as_str())
    }

    /// Whether the upstream is told anything at all of this requester.
    pub(super) fn concerns(&self, requester: &Requester) -> bool {
        self.parent.is_some() || !requester.hops.is_empty()
    }

    /// The headers for requests that `requester` began.
    pub(super) fn headers(&self, requester: &Requester) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(via) = HeaderValue::from_str(&requester.hops.via(&self.via)) {
            headers.insert(VIA, via);
        }
        let Some(parent) = &self.parent else { return headers };
        let given = |text: &Option<String>| text.as_ref().and_then(|text| HeaderValue::from_str(text).ok());
        headers.insert(REGION_HEADER, given(&requester.region).unwrap_or_else(|| parent.region.clone()));
        // What a parent has is taken from the parent: a redirect may lead to where this server is not allowed to go.
        headers.insert(NO_REDIRECT_HEADER, HeaderValue::from_static("1"));
        if let Some(customer) = given(&requester.customer) {
            headers.insert(&parent.customer, customer);
        }
        headers
    }

    /// Whether an answer is a parent's that is stale. A registry's own headers mean nothing of the kind.
    pub(super) fn staleness(&self, headers: &HeaderMap) -> Option<Staleness> {
        self.parent.as_ref()?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // The last one in the list is the one that answered (RFC 9211, section 2).
        let parameters = text("cache-status")?.rsplit(',').next()?.split(';');
        let detail = parameters.filter_map(|parameter| parameter.trim().strip_prefix("detail=")).next()?;
        let age = text("age").and_then(|age| age.trim().parse().ok()).map(std::time::Duration::from_secs);
        Some(Staleness { reason: StaleReason::named(detail)?, age: age.unwrap_or_default() })
    }
}
