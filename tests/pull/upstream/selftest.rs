//! The fake upstream and the client, tested on each other: what they say about the proxy must be believable.

use super::*;
use crate::{
    client::Ask,
    content::{KIB, MIB, sha256},
};

const NAME: &str = "library/demo";

async fn with_blob(length: usize) -> (Upstream, Blob, String) {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, length);
    upstream.holds_blob(NAME, &blob);
    let path = format!("/v2/{NAME}/blobs/{}", blob.digest);
    (upstream, blob, path)
}

fn get(upstream: &Upstream, path: &str) -> Ask {
    Ask::new(upstream.address(), "GET", path)
}

#[test]
fn digests_are_those_of_everybody_else() {
    assert_eq!(sha256(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[tokio::test]
async fn content_is_served_and_requests_are_written_down() {
    let (upstream, blob, path) = with_blob(3 * MIB).await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    get(&upstream, &path).header("X-Odd", "yes").send().await.is_exactly(&blob.bytes);
    get(&upstream, &format!("/v2/{NAME}/manifests/v1")).send().await.is_exactly(&image.manifest.bytes);
    assert_eq!(get(&upstream, &format!("/v2/{NAME}/manifests/v2")).send().await.status, 404);
    let head = Ask::new(upstream.address(), "HEAD", &path).send().await;
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("3145728")));
    assert_eq!(upstream.count("GET", &path), 1);
    assert_eq!(upstream.asked("GET", &path)[0].header("x-odd"), Some("yes"));
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn ranges() {
    let (upstream, blob, path) = with_blob(KIB).await;
    let part = get(&upstream, &path).range("bytes=10-19").send().await;
    assert_eq!((part.status, part.body.as_slice()), (206, &blob.bytes[10..20]));
    assert_eq!(part.header("Content-Range"), Some("bytes 10-19/1024"));
    assert_eq!(get(&upstream, &path).range("bytes=2000-").send().await.status, 416);
    upstream.knows_no_ranges();
    get(&upstream, &path).range("bytes=10-19").send().await.is_exactly(&blob.bytes);
}

#[tokio::test]
async fn cut_bodies_are_not_taken_for_complete_ones() {
    let (upstream, blob, path) = with_blob(MIB).await;
    for fault in [truncated(1000), reset(1000), both(framed(Framing::Chunked), truncated(1000))] {
        upstream.when("GET", &path).once(fault);
        let answer = get(&upstream, &path).send().await;
        assert!(!answer.complete && answer.body.len() <= 1000);
    }
    for framing in [Framing::Chunked, Framing::Close, Framing::Length] {
        upstream.when("GET", &path).once(framed(framing));
        get(&upstream, &path).send().await.is_exactly(&blob.bytes);
    }
}

#[tokio::test]
async fn rules_are_used_up_in_order() {
    let (upstream, blob, path) = with_blob(10).await;
    upstream.when("GET", &path).once(status(500));
    upstream.when("*", "/v2/*").once(status_with(429, "Retry-After", "7"));
    assert_eq!(get(&upstream, &path).send().await.status, 500);
    assert_eq!(get(&upstream, &path).send().await.header("Retry-After"), Some("7"));
    get(&upstream, &path).send().await.is_exactly(&blob.bytes);
    upstream.goes_down();
    assert!(get(&upstream, &path).open().await.is_err());
    upstream.behaves();
    get(&upstream, &path).send().await.is_exactly(&blob.bytes);
}

#[tokio::test]
async fn damage_is_done_as_told() {
    let (upstream, blob, path) = with_blob(100).await;
    upstream.when("GET", &path).once(corrupt());
    let wrong = get(&upstream, &path).send().await;
    assert!(wrong.complete && wrong.body.len() == 100 && wrong.body != blob.bytes);
    upstream.when("GET", &path).once(with_junk_behind(5));
    assert_eq!(get(&upstream, &path).send().await.body.len(), 105);
    upstream.when("GET", &path).once(with_uncounted_junk_behind(5));
    assert_eq!(get(&upstream, &path).send().await.header("Content-Length"), Some("100"));
    upstream.when("GET", &path).once(dripping(10));
    get(&upstream, &path).send().await.is_exactly(&blob.bytes);
}

#[tokio::test]
async fn gates_hold_until_opened() {
    let (upstream, blob, path) = with_blob(100).await;
    let gate = Gate::closed();
    upstream.when("GET", &path).once(stalled_after(40, &gate));
    let mut incoming = get(&upstream, &path).open().await.unwrap();
    assert_eq!(incoming.take(40).await, &blob.bytes[..40]);
    gate.reached(1).await;
    gate.open();
    incoming.finish().await.is_exactly(&blob.bytes);
}

#[tokio::test]
async fn tokens_are_wanted_given_and_revoked() {
    let (upstream, blob, path) = with_blob(100).await;
    upstream.wants_token(Some(60));
    let refused = get(&upstream, &path).send().await;
    assert_eq!(refused.status, 401);
    let challenge = refused.header("WWW-Authenticate").unwrap();
    assert!(challenge.contains(r#"scope="repository:library/demo:pull""#), "{challenge}");
    let token = get(&upstream, "/token").send().await.json()["token"].as_str().unwrap().to_owned();
    let with_token = || get(&upstream, &path).header("Authorization", &format!("Bearer {token}"));
    with_token().send().await.is_exactly(&blob.bytes);
    upstream.revokes_tokens();
    assert_eq!(with_token().send().await.status, 401);
}

#[tokio::test]
async fn tag_pages() {
    let upstream = Upstream::start().await;
    upstream.holds_tags(NAME, &["a", "b", "c"]);
    upstream.pages_tags(2, LinkForm::Relative);
    let page = get(&upstream, "/v2/library/demo/tags/list").send().await;
    assert_eq!(page.json()["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(page.header("Link"), Some("</v2/library/demo/tags/list?n=2&last=b>; rel=\"next\""));
    let rest = get(&upstream, "/v2/library/demo/tags/list?n=2&last=b").send().await;
    assert_eq!((rest.json()["tags"].clone(), rest.header("Link")), (serde_json::json!(["c"]), None));
}
