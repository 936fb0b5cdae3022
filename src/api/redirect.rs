//! Sending a client elsewhere for a blob: to the object store, or to a CDN in front of it.

use std::net::IpAddr;

use actix_web::http::{
    StatusCode,
    header::{self, HeaderMap},
};

use super::{
    answer::{Answer, NO_STORE},
    routes::Ask,
};
use crate::{
    config::{Network, Redirect, RedirectMode},
    oci::Digest,
    registry::BlobLocation,
    telemetry::{CacheStatus, TierName},
    upstream::{Destination, NO_REDIRECT_HEADER},
};

/// The answer to a GET of a blob that is to be had elsewhere; `None` when it is served from here. A range goes along: the
/// client asks for it there.
pub(super) async fn answer(ask: &Ask<'_>, digest: &Digest) -> Option<Answer> {
    let Destination::Proxied(target) = &ask.destination else { return None };
    let rule = ask.service.registry.redirect();
    let least = least_size(target.route.redirect.unwrap_or(rule.mode), &rule)?;
    let client = ask.request.peer_addr().map(|address| address.ip());
    if has_declined(ask.request.headers()) || !may_go(&rule.clients, client) {
        return None;
    }
    let location = ask.service.registry.blob_location(&ask.destination, digest, least).await?;
    Some(lead_to(&location, digest))
}

/// The length from which on blobs are to be had elsewhere; `None` when none is.
fn least_size(mode: RedirectMode, rule: &Redirect) -> Option<u64> {
    match mode {
        RedirectMode::Never => None,
        RedirectMode::Large => rule.above.as_u64().checked_add(1),
        RedirectMode::Always => Some(0),
    }
}

fn has_declined(headers: &HeaderMap) -> bool {
    headers.get(NO_REDIRECT_HEADER).is_some_and(|value| value.as_bytes() != b"0")
}

/// Whether a client's network reaches the other place.
fn may_go(networks: &[Network], client: Option<IpAddr>) -> bool {
    networks.is_empty() || client.is_some_and(|client| networks.iter().any(|network| network.contains(client)))
}

/// The location is for this client and for a short time: nobody on the way may keep it. 307 keeps the method, and clients take
/// `Range` along.
fn lead_to(location: &BlobLocation, digest: &Digest) -> Answer {
    Answer::new(StatusCode::TEMPORARY_REDIRECT, CacheStatus::Hit(TierName::Object))
        .digest_alone(digest)
        .header(header::CACHE_CONTROL, NO_STORE)
        .text_header(header::LOCATION, location.url.as_str())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use bytesize::ByteSize;

    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn modes_and_sizes() {
        let rule = Redirect { above: ByteSize::b(10), ..Redirect::default() };
        assert_eq!(least_size(RedirectMode::Never, &rule), None);
        assert_eq!(least_size(RedirectMode::Large, &rule), Some(11));
        assert_eq!(least_size(RedirectMode::Always, &rule), Some(0));
        let rule = Redirect { above: ByteSize::b(u64::MAX), ..rule };
        assert_eq!(least_size(RedirectMode::Large, &rule), None);
    }

    #[test]
    fn a_client_can_decline() {
        let name = HeaderName::from_static(NO_REDIRECT_HEADER);
        let declines = |value| has_declined(&HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]));
        assert!(declines("1") && declines("true") && declines(""));
        assert!(!declines("0") && !has_declined(&HeaderMap::new()));
    }

    #[test]
    fn only_clients_of_some_networks_go() {
        let networks: Vec<Network> = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap()).into();
        let goes = |client: &str| may_go(&networks, Some(client.parse().unwrap()));
        assert!(goes("10.1.2.3") && goes("::ffff:10.1.2.3") && goes("2001:db8::1"));
        assert!(!goes("127.0.0.1") && !goes("::1") && !may_go(&networks, None));
        assert!(may_go(&[], None) && may_go(&[], Some([127, 0, 0, 1].into())));
    }

    #[test]
    fn the_answer_leads_there_and_is_kept_by_nobody() {
        let url = "https://bucket.example/blobs/x?X-Amz-Signature=s3cret&a=b%20c".parse().unwrap();
        let location = BlobLocation { url, size: 5 };
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let answer = lead_to(&location, &digest);
        let value = |name: &str| answer.headers.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.to_str().ok());
        assert_eq!((answer.status.as_u16(), answer.length), (307, Some(0)));
        assert_eq!(value("location"), Some(location.url.as_str()));
        assert_eq!(value("docker-content-digest"), Some(digest.to_string().as_str()));
        assert_eq!((value("cache-control"), value("etag")), (Some("no-store"), None));
        assert!(!format!("{location:?}").contains("s3cret"));
    }
}
