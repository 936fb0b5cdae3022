use std::{sync::Arc, time::Duration};

use secrecy::SecretString;

use super::super::{
    Hops, Origin, Requester, Staleness, UpstreamErrorKind,
    scripted::{Reply, Scripted, Seen, name, origin},
};
use crate::{
    config::{Upstream, UpstreamKind},
    oci::{Algorithm, Digest, Reference},
    telemetry::StaleReason,
};

fn latest() -> Reference {
    "latest".parse().unwrap()
}

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, b"{}")
}

/// The parent of a region, which mirrors Docker Hub under another of its names.
fn parent(server: &Scripted) -> Upstream {
    Upstream { kind: UpstreamKind::Parent, name: "Docker.IO:443".to_owned(), ..server.config() }
}

fn acme() -> Requester {
    let hops = Hops::read(["1.1 harbinger-below, 1.1 squid"]);
    Requester { customer: Some("acme".to_owned()), region: Some("eu-9".to_owned()), hops }
}

/// A server that answers everything with an empty list, blob or manifest.
async fn willing() -> Scripted {
    Scripted::start(|_| Reply::new(200).header("docker-content-digest", &digest().to_string()).body("{}")).await
}

/// Asks for one of each kind, and returns what was seen.
async fn ask_for_everything(server: &Scripted, origin: &dyn Origin) -> Vec<Seen> {
    origin.blob(&name(), &digest(), 0).await.unwrap();
    origin.blob_size(&name(), &digest()).await.unwrap();
    origin.manifest(&name(), &latest()).await.unwrap();
    origin.manifest_head(&name(), &latest()).await.unwrap();
    origin.tags(&name()).await.unwrap();
    origin.referrers(&name(), &digest()).await.unwrap();
    let seen = server.seen();
    assert!(seen.len() >= 6);
    seen
}

#[tokio::test]
async fn a_parent_is_told_which_registry_is_meant_and_who_asks() {
    let server = willing().await;
    let origin = origin(&parent(&server)).on_behalf_of(&acme()).unwrap();
    for seen in ask_for_everything(&server, &*origin).await {
        assert!(seen.target.ends_with("?ns=docker.io"), "{}", seen.target);
        assert_eq!(seen.header("x-harbinger-customer"), Some("acme"), "{}", seen.target);
        assert_eq!(seen.header("x-harbinger-region"), Some("eu-9"));
        assert_eq!(seen.header("x-harbinger-no-redirect"), Some("1"));
        assert_eq!(seen.header("via"), Some("1.1 harbinger-below, 1.1 harbinger-test"));
    }
}

#[tokio::test]
async fn without_a_requester_a_parent_is_told_the_region_alone() {
    let server = willing().await;
    let own = origin(&parent(&server));
    let anonymous = own.on_behalf_of(&Requester::default()).unwrap();
    for origin in [&own as &dyn Origin, &*anonymous] {
        for seen in ask_for_everything(&server, origin).await {
            assert_eq!(seen.header("x-harbinger-customer"), None);
            assert_eq!((seen.header("x-harbinger-region"), seen.header("via")), (Some("eu-1"), Some("1.1 harbinger-test")));
        }
    }
}

#[tokio::test]
async fn a_registry_is_told_where_a_request_has_been_and_nothing_else() {
    let server = willing().await;
    let own = origin(&server.config());
    assert!(own.on_behalf_of(&Requester { hops: Hops::default(), ..acme() }).is_none());
    let asked = own.on_behalf_of(&acme()).unwrap();
    for seen in ask_for_everything(&server, &*asked).await {
        assert!(!seen.target.contains('?'), "{}", seen.target);
        assert_eq!(seen.header("via"), Some("1.1 harbinger-below, 1.1 harbinger-test"));
        for name in ["x-harbinger-customer", "x-harbinger-region", "x-harbinger-no-redirect"] {
            assert_eq!(seen.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn the_place_that_a_parent_redirects_to_is_told_nothing() {
    let elsewhere = Scripted::start_at("127.0.0.2", |_| |_: &Seen| Reply::new(200).body("{}")).await;
    let target = elsewhere.url.join("signed").unwrap();
    let server = Scripted::start(move |_| Reply::new(307).header("location", target.as_str())).await;
    let config = Upstream { allow_private_addresses: true, ..parent(&server) };
    origin(&config).on_behalf_of(&acme()).unwrap().blob(&name(), &digest(), 0).await.unwrap();
    let seen = elsewhere.seen().pop().unwrap();
    assert_eq!(seen.target, "/signed");
    assert_eq!((seen.header("x-harbinger-customer"), seen.header("x-harbinger-region")), (None, None));
    assert_eq!(seen.header("via"), Some("1.1 harbinger-test"));
}

#[tokio::test]
async fn every_page_of_a_parents_list_is_of_the_same_registry() {
    let server = Scripted::start(|seen| {
        let page = Reply::new(200).body(r#"{"tags":["a"]}"#);
        if seen.target.contains("last=a") { page } else { page.header("link", "<?last=a&ns=docker.io>; rel=\"next\"") }
    })
    .await;
    let tags = origin(&parent(&server)).on_behalf_of(&acme()).unwrap().tags(&name()).await.unwrap();
    assert_eq!(tags, ["a", "a"]);
    for seen in server.seen() {
        assert!(seen.target.contains("ns=docker.io") && seen.header("x-harbinger-customer") == Some("acme"), "{}", seen.target);
    }
}

#[tokio::test]
async fn credentials_are_for_the_parent() {
    let server = Scripted::start(|seen| match seen.header("authorization") {
        // user:secret
        Some("Basic dXNlcjpzZWNyZXQ=") => Reply::new(200).body("{}"),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"parent\""),
    })
    .await;
    let mut config = parent(&server);
    config.username = Some("user".to_owned());
    config.password = Some(SecretString::from("secret"));
    origin(&config).on_behalf_of(&acme()).unwrap().manifest(&name(), &latest()).await.unwrap();
    for seen in server.seen() {
        assert_eq!(seen.header("x-harbinger-customer"), Some("acme"));
    }
}

#[tokio::test]
async fn limits_are_shared_by_all_requesters() {
    let server = Scripted::start(|_| Reply::new(429).header("retry-after", "30")).await;
    let origin = origin(&parent(&server));
    for requester in [acme(), Requester::default()] {
        let error = origin.on_behalf_of(&requester).unwrap().manifest(&name(), &latest()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::RateLimited);
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_loop_is_not_tried_again() {
    let server = Scripted::start(|_| Reply::new(508)).await;
    let config = Upstream { retries: 3, ..parent(&server) };
    let error = origin(&config).manifest(&name(), &latest()).await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (UpstreamErrorKind::Loop, 1));
}

#[tokio::test]
async fn a_parents_stale_answer_is_known_to_be_stale() {
    let stale = Some(Staleness { reason: StaleReason::RateLimited, age: Duration::from_secs(90) });
    for (cache_status, age, expected) in [
        ("harbinger; hit; detail=rate-limited", "90", stale),
        ("other; hit; detail=upstream-slow, harbinger; hit; detail=rate-limited", "90", stale),
        ("harbinger; hit; detail=rate-limited", "x", stale.map(|stale| Staleness { age: Duration::ZERO, ..stale })),
        ("harbinger; hit; detail=memory", "90", None),
        ("harbinger; fwd=stale; fwd-status=304", "90", None),
        ("", "90", None),
    ] {
        let server = Scripted::start(move |_| {
            let reply = Reply::new(200).header("cache-status", cache_status).header("age", age);
            reply.header("docker-content-digest", &digest().to_string()).body("{}")
        })
        .await;
        let parent = Arc::new(origin(&parent(&server)));
        assert_eq!(parent.manifest(&name(), &latest()).await.unwrap().stale, expected, "{cache_status}");
        assert_eq!(parent.manifest_head(&name(), &latest()).await.unwrap().unwrap().stale, expected, "{cache_status}");
        let registry = origin(&server.config());
        assert_eq!(registry.manifest(&name(), &latest()).await.unwrap().stale, None);
        assert_eq!(registry.manifest_head(&name(), &latest()).await.unwrap().unwrap().stale, None);
    }
}
