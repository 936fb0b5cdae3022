use std::sync::Arc;

use super::super::{
    Origin, PullBudget, UpstreamErrorKind,
    scripted::{Reply, Scripted, name, origin_with},
};
use crate::{
    oci::{Algorithm, Digest, MAX_MANIFEST_BYTES, MediaType, Reference},
    telemetry::Metrics,
};

const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

fn latest() -> Reference {
    "latest".parse().unwrap()
}

#[tokio::test]
async fn a_manifest_comes_as_the_bytes_that_were_sent() {
    let body = "{ \"schemaVersion\":2 }\n";
    let server = Scripted::start(move |_| Reply::new(200).header("content-type", MediaType::OCI_INDEX).body(body)).await;
    let manifest = server.origin().manifest(&name(), &latest()).await.unwrap();
    assert_eq!(manifest.bytes, body);
    assert_eq!(manifest.content_type.unwrap().as_str(), MediaType::OCI_INDEX);
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/v2/team/app/manifests/latest"));
    assert_eq!(seen.header("accept"), Some(MediaType::ACCEPT_MANIFESTS));
}

#[tokio::test]
async fn a_manifest_that_is_too_large_is_refused_announced_or_not() {
    let announced = Reply::new(200).header("content-length", &(MAX_MANIFEST_BYTES + 1).to_string()).body("{}");
    let mut chunk = format!("{:x}\r\n", MAX_MANIFEST_BYTES + 1).into_bytes();
    chunk.resize(chunk.len() + MAX_MANIFEST_BYTES + 1, b'x');
    chunk.extend_from_slice(b"\r\n0\r\n\r\n");
    let unannounced = Reply::new(200).header("transfer-encoding", "chunked").body(chunk);
    for reply in [announced, unannounced] {
        let server = Scripted::start(move |_| reply.clone()).await;
        let error = server.origin().manifest(&name(), &latest()).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::BadAnswer, "{error}");
    }
}

#[tokio::test]
async fn a_truncated_manifest_and_one_of_schema_1_are_errors() {
    let server = Scripted::start(|_| Reply::new(200).header("content-length", "10").body("{}")).await;
    assert_eq!(server.origin().manifest(&name(), &latest()).await.unwrap_err().kind, UpstreamErrorKind::Unavailable);
    let server = Scripted::start(|_| Reply::new(200).header("content-type", SCHEMA1).body("{}")).await;
    let error = server.origin().manifest(&name(), &latest()).await.unwrap_err();
    assert!(error.kind == UpstreamErrorKind::BadAnswer && error.message.contains("schema version 1"), "{error}");
}

#[tokio::test]
async fn a_head_tells_digest_type_and_size() {
    let digest = Digest::of(Algorithm::Sha256, b"{}");
    let server = Scripted::start(move |_| {
        Reply::new(200)
            .header("docker-content-digest", &digest.to_string())
            .header("content-type", "application/vnd.oci.image.index.v1+json; charset=utf-8")
            .header("content-length", "2")
    })
    .await;
    let head = server.origin().manifest_head(&name(), &latest()).await.unwrap().unwrap();
    assert_eq!((head.digest, head.size), (digest, Some(2)));
    assert_eq!(head.content_type.unwrap().as_str(), MediaType::OCI_INDEX);
    assert_eq!(server.seen()[0].method, "HEAD");
}

#[tokio::test]
async fn a_head_without_one_good_digest_says_nothing() {
    let digest = Digest::of(Algorithm::Sha256, b"{}").to_string();
    for reply in [
        Reply::new(405),
        Reply::new(501),
        Reply::new(200),
        Reply::new(200).header("docker-content-digest", ""),
        Reply::new(200).header("docker-content-digest", "sha256:ABC"),
        Reply::new(200).header("docker-content-digest", &digest.to_uppercase()),
        Reply::new(200).header("docker-content-digest", &digest).header("docker-content-digest", &digest),
    ] {
        let server = Scripted::start(move |_| reply.clone()).await;
        assert_eq!(server.origin().manifest_head(&name(), &latest()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_pull_budget_is_kept_and_shown() {
    let server = Scripted::start(|_| {
        Reply::new(200).header("ratelimit-limit", "100;w=21600").header("RateLimit-Remaining", "42;w=21600").body("{}")
    })
    .await;
    let metrics = Arc::new(Metrics::new());
    let origin = origin_with(&server.config(), &metrics);
    assert_eq!(origin.pull_budget(), None);
    origin.manifest(&name(), &latest()).await.unwrap();
    let PullBudget { limit, remaining, .. } = origin.pull_budget().unwrap();
    assert_eq!((limit, remaining), (100, 42));
    let text = metrics.encode();
    for line in [
        r#"harbinger_upstream_rate_limit{upstream="test.example"} 100"#,
        r#"harbinger_upstream_rate_remaining{upstream="test.example"} 42"#,
        r#"harbinger_upstream_breaker_open{upstream="test.example"} 0"#,
        r#"harbinger_upstream_requests_total{upstream="test.example",operation="GET manifest",outcome="ok"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
