//! Edges over one bucket: what one has fetched, the others have too.

use std::time::Duration;

use crate::{
    bucket::FakeBucket,
    client::eventually,
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::{Upstream, status},
};

const NAME: &str = "library/demo";

fn image() -> Image {
    Image::new(1, &[10 * KIB, 2 * MIB])
}

/// An edge, with a disk of its own, over the bucket.
async fn edge(bucket: &FakeBucket, upstream: &Upstream) -> Proxy {
    bucket.below(Setup::in_front_of(upstream)).start().await
}

/// Pulls the image at an edge, and waits until the bucket has all of it.
async fn pulled_at(bucket: &FakeBucket, edge: &Proxy, image: &Image) {
    edge.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
    edge.pull(NAME, "v1", image).await;
    eventually("all of it in the bucket", async || {
        let records = bucket.count("/records/tags/") == 1 && bucket.count("/records/links/") == image.blobs.len() + 1;
        records && bucket.count("/box/blobs/") == image.blobs.len() + 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_edge_serves_what_another_has_pulled_while_the_upstream_is_down() {
    let (bucket, upstream, image) = (FakeBucket::start().await, Upstream::start().await, image());
    upstream.holds_image(NAME, "v1", &image);
    let first = edge(&bucket, &upstream).await;
    pulled_at(&bucket, &first, &image).await;
    upstream.goes_down();
    let second = edge(&bucket, &upstream).await;
    let by_tag = second.get(&manifest_path(NAME, "v1")).await;
    by_tag.is_exactly(&image.manifest.bytes);
    assert_eq!(by_tag.header("Cache-Status"), Some("harbinger; hit; detail=upstream-error"));
    let layer = &image.blobs[2];
    let path = blob_path(NAME, layer);
    let head = second.head(&path).await;
    assert_eq!(head.header("Content-Length"), Some((2 * MIB).to_string().as_str()));
    let part = second.ask("GET", &path).range("bytes=-1000").send().await;
    assert!(part.complete && part.status == 206 && part.body == layer.bytes[2 * MIB - 1000..]);
    assert_eq!(part.header("Cache-Status"), Some("harbinger; hit; detail=object"));
    second.pull(NAME, "v1", &image).await;
    bucket.dies();
    second.pull(NAME, "v1", &image).await;
    assert_eq!(second.get(&path).await.header("Cache-Status"), Some("harbinger; hit; detail=disk"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_sends_each_blob_once_for_all_edges() {
    let (bucket, upstream, image) = (FakeBucket::start().await, Upstream::start().await, image());
    upstream.holds_image(NAME, "v1", &image);
    let first = edge(&bucket, &upstream).await;
    pulled_at(&bucket, &first, &image).await;
    for _ in 0..2 {
        edge(&bucket, &upstream).await.pull(NAME, "v1", &image).await;
    }
    for blob in &image.blobs {
        assert_eq!(upstream.count("GET", &blob.digest), 1);
        assert_eq!(upstream.count("HEAD", &blob.digest), 0);
    }
    let puts = bucket.asked("PUT", "/records/links/");
    assert_eq!(puts, image.blobs.len() + 1, "what was told is not told once more");
    first.pull(NAME, "v1", &image).await;
    assert_eq!(bucket.asked("PUT", "/records/links/"), puts, "a hit tells nobody anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_the_bucket_give_no_leave() {
    let (bucket, upstream, image) = (FakeBucket::start().await, Upstream::start().await, image());
    upstream.holds_image(NAME, "v1", &image);
    let first = edge(&bucket, &upstream).await;
    pulled_at(&bucket, &first, &image).await;
    let second = edge(&bucket, &upstream).await;
    for blob in &image.blobs {
        let other = blob_path("library/other", blob);
        for edge in [&first, &second] {
            edge.get(&other).await.is_error(&[404]);
            edge.head(&other).await;
        }
        assert!(upstream.count("*", &other) >= 2, "each edge has asked");
    }
    second.get(&manifest_path("library/other", &image.manifest.digest)).await.is_error(&[404]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_in_the_bucket_are_healed() {
    let (bucket, upstream, image) = (FakeBucket::start().await, Upstream::start().await, image());
    upstream.holds_image(NAME, "v1", &image);
    let first = edge(&bucket, &upstream).await;
    pulled_at(&bucket, &first, &image).await;
    for content in image.blobs.iter().chain([&image.manifest]) {
        bucket.swaps(content, Blob::random(9, content.bytes.len()).bytes);
    }
    let second = edge(&bucket, &upstream).await;
    second.get(&manifest_path(NAME, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
    for blob in &image.blobs {
        let path = blob_path(NAME, blob);
        let answer = second.get(&path).await;
        assert!(!answer.complete || answer.body == blob.bytes, "a complete wrong body");
        assert!(answer.complete || blob.bytes.len() > MIB, "nothing of a small one had been sent");
        second.get(&path).await.is_exactly(&blob.bytes);
        eventually("the right bytes in the bucket", async || bucket.holds(blob).as_ref() == Some(&blob.bytes)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_bucket_disturbs_nobody() {
    let (bucket, upstream, image) = (FakeBucket::start().await, Upstream::start().await, image());
    upstream.holds_image(NAME, "v1", &image);
    let first = edge(&bucket, &upstream).await;
    pulled_at(&bucket, &first, &image).await;
    bucket.dies();
    let second = edge(&bucket, &upstream).await;
    second.pull(NAME, "v1", &image).await;
    for blob in &image.blobs {
        assert_eq!(upstream.count("GET", &blob.digest), 2);
    }
}

/// What an edge tells is as old as it is, and is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn tags_that_are_too_old_or_deleted_are_not_taken_over() {
    let (bucket, upstream, image) = (FakeBucket::start().await, Upstream::start().await, image());
    upstream.holds_image(NAME, "v1", &image);
    let first = bucket.below(Setup::in_front_of(&upstream).always_revalidating()).start().await;
    pulled_at(&bucket, &first, &image).await;
    upstream.goes_down();
    let strict = bucket.below(Setup::in_front_of(&upstream)).with(|config| {
        config.cache.tag_ttl = Duration::ZERO;
        config.cache.stale_if_error = Duration::ZERO;
    });
    assert_ne!(strict.start().await.get(&manifest_path(NAME, "v1")).await.status, 200);

    upstream.behaves();
    upstream.loses_tag(NAME, "v1");
    let puts = bucket.asked("PUT", "/records/tags/");
    first.get(&manifest_path(NAME, "v1")).await.is_error(&[404]);
    eventually("it is taken back", async || bucket.asked("PUT", "/records/tags/") > puts).await;
    upstream.goes_down();
    assert_ne!(edge(&bucket, &upstream).await.get(&manifest_path(NAME, "v1")).await.status, 200);
}

/// A storm of new requests for nothing asks the bucket once.
#[tokio::test(flavor = "multi_thread")]
async fn absences_are_remembered_without_the_bucket() {
    let (bucket, upstream) = (FakeBucket::start().await, Upstream::start().await);
    let edge = edge(&bucket, &upstream).await;
    let path = blob_path(NAME, &Blob::random(1, 10));
    upstream.when("*", &path).always(status(404));
    for _ in 0..5 {
        edge.get(&path).await.is_error(&[404]);
    }
    assert_eq!(bucket.asked("GET", "/records/links/"), 1);
}

/// What is purged at one edge is asked for anew there, whatever it had told the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_not_taken_over_again() {
    let (bucket, upstream, image) = (FakeBucket::start().await, Upstream::start().await, image());
    upstream.holds_image(NAME, "v1", &image);
    let first = edge(&bucket, &upstream).await;
    pulled_at(&bucket, &first, &image).await;
    let operator: serde_json::Value = serde_json::from_slice(&std::fs::read(first.data().join("admin.json")).unwrap()).unwrap();
    let token = format!("Bearer {}", operator["token"].as_str().unwrap());
    let target = format!("/api/v1/purge?what=docker.io/{NAME}");
    let answer = first.ask("POST", &target).header("Authorization", &token).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    upstream.goes_down();
    let path = blob_path(NAME, &image.blobs[1]);
    first.get(&path).await.is_error(&[502, 503, 504]);
    assert_ne!(first.get(&manifest_path(NAME, "v1")).await.status, 200);
    eventually("the others know", async || bucket.nothing("/records/") == image.blobs.len() + 2).await;
    edge(&bucket, &upstream).await.get(&path).await.is_error(&[502, 503, 504]);
}
