//! `/api/v1/notifications`: registries tell that a tag has moved, and other edges what is pulled there.
//!
//! What is told moves nothing and grants nothing: a tag that is said to have moved is asked for at its upstream.

mod distribution;
mod docker_hub;
mod github;
mod harbor;
mod signature;

use std::{fmt, sync::Arc};

use actix_web::{HttpRequest, http::Method};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    Service,
    admin::{bad, told},
    answer::Answer,
    error::ApiError,
    request_body::RequestBody,
    routes::method_not_allowed,
};
use crate::{
    customers::Customer,
    events::{self, Event, Kind, Millis, Request, Source, What, envelope::Elsewhere},
    oci::{Digest, Tag},
    predict::watch::{Hints, Subject},
    registry::Registry,
    upstream::{Address, Destination},
};

/// Bytes of a notification at most.
const MOST_BYTES: usize = 1 << 20;

/// Things that one notification tells at most; the rest is ignored.
const MOST_TOLD: usize = 1000;

/// How far in the future something can have happened: clocks differ.
const AHEAD: Millis = 60_000;

/// What notifications lead to.
pub(super) struct Notifications {
    /// What senders show or sign with; nobody is listened to without.
    pub(super) secret: Option<SecretString>,
    pub(super) hints: Hints,
    pub(super) bus: Arc<dyn events::Bus>,
    pub(super) region: String,
}

/// Something that was told, whoever's words it was told in.
#[derive(Debug, Clone, Default, PartialEq)]
struct Told {
    /// The registry, as the sender calls it.
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
    /// A pull at another edge; otherwise a tag that may have moved.
    pull: Option<Elsewhere>,
}

/// What became of a notification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NotificationReport {
    /// Tags that are asked for at their upstreams now.
    pub hints: u64,
    /// Pulls in other regions that were learned from.
    pub pulls: u64,
    /// Things that mean nothing here: of registries that are not configured, or that are no images.
    pub ignored: u64,
}

/// Takes a notification of Docker Hub, GitHub's container registry, Harbor, a distribution registry, or another Harbinger.
///
/// Senders show `notifications.secret`: as a Bearer token, as the whole `Authorization` header, or as the password of Basic
/// authorization (`https://any:SECRET@host/…`, for Docker Hub); or they sign with it (GitHub's `X-Hub-Signature-256`).
#[utoipa::path(
    post,
    path = "/api/v1/notifications",
    tag = "operation",
    request_body(content_type = "application/json", description = "What the sender sends, of 1 MiB at most"),
    responses(
        (status = 200, description = "What became of it", body = NotificationReport),
        (status = 400, description = "It is no notification that is known here"),
        (status = 401, description = "The secret is missing or wrong, or none is configured"),
        (status = 413, description = "It is too large"),
    ),
    security(("notifications" = []))
)]
pub(super) async fn receive(service: &Service, request: &HttpRequest, body: &mut RequestBody) -> Result<Answer, ApiError> {
    if *request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    let notifications = &service.notifications;
    let secret = notifications.secret.as_ref().ok_or_else(signature::not_configured)?;
    // A body that nobody may send is not read.
    let proof = signature::proof(request).ok_or_else(signature::missing)?;
    proof.check_header(secret)?;
    let bytes = body.read(MOST_BYTES).await?;
    proof.check_body(secret, &bytes)?;
    let told_of = read(&bytes)?;
    let mut report = NotificationReport { ignored: told_of.len().saturating_sub(MOST_TOLD) as u64, ..Default::default() };
    for one in told_of.into_iter().take(MOST_TOLD) {
        notifications.take(&service.registry, one, &mut report);
    }
    Ok(told(&report))
}

/// Finds out whose words these are.
fn read(bytes: &[u8]) -> Result<Vec<Told>, ApiError> {
    let document: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| bad(&format!("the notification is no JSON: {error}")))?;
    let readers = [distribution::read, harbor::read, github::read, docker_hub::read];
    readers.into_iter().find_map(|read| read(&document)).ok_or_else(|| {
        bad("this is no notification that is known here: of Docker Hub, GitHub, Harbor, a distribution registry, or Harbinger")
    })
}

impl Notifications {
    fn take(&self, registry: &Registry, told: Told, report: &mut NotificationReport) {
        let counted = match (self.destination(registry, &told), &told.pull) {
            (None, _) => None,
            (Some(at), Some(elsewhere)) => self.pulled(at, &told, elsewhere).map(|()| &mut report.pulls),
            (Some(at), None) => self.moved(at, &told).map(|()| &mut report.hints),
        };
        *counted.unwrap_or(&mut report.ignored) += 1;
    }

    /// The mirror that is meant; what lives here, and registries that are not configured, are none.
    fn destination(&self, registry: &Registry, told: &Told) -> Option<events::Repository> {
        let address = Address { namespace: Some(&told.registry), path: &told.repository, ..Address::default() };
        let destination = registry.routes().resolve(address).ok()?;
        let private = !destination.is_public();
        let Destination::Proxied(target) = destination else { return None };
        Some(events::Repository { route: target.route.name.clone(), name: target.repository, private })
    }

    fn moved(&self, repository: events::Repository, told: &Told) -> Option<()> {
        let tag: Tag = told.tag.as_deref()?.parse().ok()?;
        self.hints.hint(Subject { repository, tag }).ok()
    }

    /// Tells on the bus, as an event of the other region.
    fn pulled(&self, repository: events::Repository, told: &Told, elsewhere: &Elsewhere) -> Option<()> {
        let is_region =
            (1..=64).contains(&elsewhere.region.len()) && elsewhere.region.chars().all(|letter| letter.is_ascii_graphic());
        if !is_region || elsewhere.region == self.region {
            return None;
        }
        let digest: Digest = told.digest.as_deref()?.parse().ok()?;
        let request = Request {
            customer: Customer::from_header(elsewhere.customer.as_deref()).shared_name().cloned(),
            region: elsewhere.region.as_str().into(),
            client: elsewhere.client.as_deref().and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default(),
            repository,
            tag: told.tag.as_deref().and_then(|tag| tag.parse().ok()),
            digest: Some(digest),
            kind: Kind::Manifest,
            status: 200,
            bytes: 0,
            source: Source::Elsewhere,
            first_byte: 0,
            total: 0,
            complete: true,
        };
        let at = elsewhere.at.min(events::now() + AHEAD);
        self.bus.publish(Event { at, what: What::Request(Arc::new(request)) });
        Some(())
    }
}

impl fmt::Debug for Notifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifications").field("region", &self.region).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
