use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Handle;

use super::super::{
    HttpOrigin, Identity, Origin, UpstreamErrorKind,
    scripted::{Reply, Scripted, identity, name, origin, origin_with},
};
use crate::{
    config::{Upstream, UpstreamKind},
    oci::{Algorithm, Digest, Reference},
    telemetry::Metrics,
};

fn latest() -> Reference {
    "latest".parse().unwrap()
}

async fn kind(origin: &HttpOrigin) -> Option<UpstreamErrorKind> {
    origin.manifest(&name(), &latest()).await.err().map(|error| error.kind)
}

#[tokio::test]
async fn every_status_has_its_kind() {
    for (status, expected) in [
        (404, UpstreamErrorKind::NotFound),
        (410, UpstreamErrorKind::NotFound),
        (403, UpstreamErrorKind::Denied),
        (416, UpstreamErrorKind::RangeNotSatisfiable),
        (429, UpstreamErrorKind::RateLimited),
        (500, UpstreamErrorKind::Unavailable),
        (503, UpstreamErrorKind::Unavailable),
        (508, UpstreamErrorKind::Loop),
        (304, UpstreamErrorKind::BadAnswer),
        (418, UpstreamErrorKind::BadAnswer),
        (405, UpstreamErrorKind::BadAnswer),
    ] {
        let server = Scripted::start(move |_| Reply::new(status)).await;
        assert_eq!(kind(&server.origin()).await, Some(expected), "{status}");
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_not_seen() {
    let asked = AtomicUsize::new(0);
    let server = Scripted::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(503),
        1 => Reply::new(502),
        _ => Reply::new(200).body("{}"),
    })
    .await;
    let mut config = server.config();
    config.retries = 2;
    assert_eq!(kind(&origin(&config)).await, None);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn tries_are_counted_and_refusals_are_not_tried_again() {
    for (status, tries) in [(500, 3), (404, 1), (403, 1), (429, 1), (418, 1)] {
        let server = Scripted::start(move |_| Reply::new(status)).await;
        let mut config = server.config();
        config.retries = 2;
        assert!(kind(&origin(&config)).await.is_some());
        assert_eq!(server.seen().len(), tries, "{status}");
    }
}

#[tokio::test]
async fn the_retry_budget_ends_an_avalanche() {
    let server = Scripted::start(|_| Reply::new(500)).await;
    let mut config = server.config();
    (config.retries, config.breaker_failures) = (1, u32::MAX);
    let origin = origin(&config);
    for _ in 0..40 {
        assert_eq!(kind(&origin).await, Some(UpstreamErrorKind::Unavailable));
    }
    // 40 requests, a floor of 10, a tenth of the requests, and what came back of the floor meanwhile.
    assert!(server.seen().len() < 65, "{}", server.seen().len());
}

#[tokio::test]
async fn a_server_that_is_not_there_or_silent_is_told_apart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Upstream::new("test.example");
    config.url = Some(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    (config.retries, config.first_byte_timeout) = (0, Duration::from_millis(700));
    assert_eq!(kind(&origin(&config)).await, Some(UpstreamErrorKind::Timeout));
    drop(listener);
    assert_eq!(kind(&origin(&config)).await, Some(UpstreamErrorKind::Unavailable));
}

#[tokio::test]
async fn a_limited_upstream_is_left_alone_for_requests_of_that_kind() {
    let server = Scripted::start(|seen| match seen.path().contains("/manifests/") {
        true => Reply::new(429).header("retry-after", "120"),
        false => Reply::new(200).body("hello"),
    })
    .await;
    let origin = server.origin();
    for _ in 0..3 {
        let error = origin.manifest(&name(), &latest()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::RateLimited);
        let wait = error.retry_after.unwrap();
        assert!(wait <= Duration::from_secs(120) && wait > Duration::from_secs(60), "{wait:?}");
    }
    assert_eq!(server.seen().len(), 1);
    origin.blob(&name(), &Digest::of(Algorithm::Sha256, b"hello"), 0).await.unwrap();
}

#[tokio::test]
async fn after_failures_in_a_row_the_breaker_answers_until_a_probe_succeeds() {
    let healthy = Arc::new(AtomicUsize::new(0));
    let health = healthy.clone();
    let server = Scripted::start(move |_| Reply::new(if health.load(Ordering::SeqCst) == 0 { 500 } else { 200 })).await;
    let mut config = server.config();
    (config.breaker_failures, config.breaker_pause) = (2, Duration::from_secs(1));
    let metrics = Arc::new(Metrics::new());
    let origin = origin_with(&config, &metrics);
    assert_eq!(kind(&origin).await, Some(UpstreamErrorKind::Unavailable));
    assert_eq!(kind(&origin).await, Some(UpstreamErrorKind::Unavailable));
    let error = origin.manifest(&name(), &latest()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::BreakerOpen);
    assert!(error.retry_after.is_some());
    assert!(metrics.encode().contains(r#"harbinger_upstream_breaker_open{upstream="test.example"} 1"#));
    assert_eq!(server.seen().len(), 2);
    healthy.store(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(kind(&origin).await, None);
    assert!(metrics.encode().contains(r#"harbinger_upstream_breaker_open{upstream="test.example"} 0"#));
}

#[tokio::test]
async fn refusals_do_not_open_the_breaker() {
    let server = Scripted::start(|_| Reply::new(404)).await;
    let mut config = server.config();
    config.breaker_failures = 1;
    let origin = origin(&config);
    for _ in 0..5 {
        assert_eq!(kind(&origin).await, Some(UpstreamErrorKind::NotFound));
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Upstream::new("test.example");
    config.url = Some(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let server = Handle::current().spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            Handle::current().spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    // An error page of some length must not cost the connection.
                    let reply = format!("HTTP/1.1 200 X\r\ncontent-length: 9000\r\n\r\n{}", "x".repeat(9000));
                    if stream.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let origin = origin(&config);
    for _ in 0..5 {
        assert_eq!(kind(&origin).await, None);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    server.abort();
}

#[tokio::test]
async fn the_configured_proxy_is_the_way_to_the_upstream() {
    let proxy = Scripted::start(|_| Reply::new(200).body("{}")).await;
    let mut config = Upstream::new("registry.invalid");
    config.url = Some("http://registry.invalid:5000/prefix/".parse().unwrap());
    config.proxy = Some(proxy.url.clone());
    assert_eq!(kind(&origin(&config)).await, None);
    assert_eq!(proxy.seen()[0].target, "http://registry.invalid:5000/prefix/v2/team/app/manifests/latest");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_named_by_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let junk = directory.path().join("junk");
    fs::write(&junk, "junk").unwrap();
    let missing = directory.path().join("missing");
    let with = |change: &dyn Fn(&mut Upstream)| {
        let mut config = Upstream::new("test.example");
        change(&mut config);
        config
    };
    for (key, config) in [
        ("ca_file", with(&|config| config.ca_file = Some(missing.clone()))),
        ("ca_file", with(&|config| config.ca_file = Some(junk.clone()))),
        ("client_cert_file", with(&|config| config.client_cert_file = Some(missing.clone()))),
        ("client_cert_file", with(&|config| config.client_cert_file = Some(junk.clone()))),
        ("password_file", with(&|config| config.password_file = Some(missing.clone()))),
        ("docker_config", with(&|config| config.docker_config = Some(missing.clone()))),
        ("url", with(&|config| config.url = Some("ftp://x.example".parse().unwrap()))),
        ("url", with(&|config| config.url = Some("https://u:s3cret@x.example".parse().unwrap()))),
        ("url", with(&|config| config.url = Some("https://x.example/?q".parse().unwrap()))),
        ("url", with(&|config| config.name = "not a host".to_owned())),
    ] {
        let error = HttpOrigin::new(&config, &Arc::new(Metrics::new()), &identity(), Handle::current()).unwrap_err();
        assert_eq!(error.key(), key);
        let text = error.to_string();
        assert!(text.contains(key) && text.contains(&config.name) && !text.contains("s3cret"), "{text}");
    }
    let parent =
        Upstream { kind: UpstreamKind::Parent, url: Some("http://p.example".parse().unwrap()), ..Upstream::new("x.example") };
    for (key, config, identity) in [
        ("via", Upstream::new("x.example"), Identity { via: "a\nb".to_owned(), ..identity() }),
        ("region", parent.clone(), Identity { region: "a\nb".to_owned(), ..identity() }),
        ("customer_header", parent.clone(), Identity { customer_header: "a b".to_owned(), ..identity() }),
        ("url", Upstream { url: None, ..parent }, identity()),
    ] {
        let error = HttpOrigin::new(&config, &Arc::new(Metrics::new()), &identity, Handle::current());
        assert_eq!(error.unwrap_err().key(), key);
    }
}

#[tokio::test]
async fn a_refusal_from_elsewhere_does_not_close_the_breaker() {
    let asked = AtomicUsize::new(0);
    let server = Scripted::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(500),
        _ => Reply::new(307).header("location", "http://127.0.0.2/"),
    })
    .await;
    let mut config = server.config();
    (config.breaker_failures, config.breaker_pause) = (1, Duration::from_millis(1));
    let metrics = Arc::new(Metrics::new());
    let origin = origin_with(&config, &metrics);
    assert_eq!(kind(&origin).await, Some(UpstreamErrorKind::Unavailable));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(kind(&origin).await, Some(UpstreamErrorKind::Forbidden));
    assert!(metrics.encode().contains(r#"harbinger_upstream_breaker_open{upstream="test.example"} 1"#));
}

#[tokio::test]
async fn a_caller_that_leaves_frees_its_place() {
    let server = Scripted::start(|seen| if seen.path().ends_with("/latest") { Reply::silence() } else { Reply::new(200) }).await;
    let mut config = server.config();
    config.max_concurrency = 1;
    let origin = origin(&config);
    let (name, latest) = (name(), latest());
    let left = tokio::time::timeout(Duration::from_millis(50), origin.manifest(&name, &latest)).await;
    assert!(left.is_err());
    origin.manifest(&name, &"other".parse().unwrap()).await.unwrap();
}
