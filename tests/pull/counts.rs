//! How often the upstream is asked: once for content, once per freshness of a tag, whoever asks and however many.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use crate::{
    content::{Blob, Image, KIB, MIB},
    proxy::{FOR_EVER, Proxy, Setup, blob_path, manifest_path},
    upstream::{Gate, Upstream, stalled, stalled_after, status},
};

const NAME: &str = "library/demo";

/// All GETs of manifests and blobs.
fn content_gets(upstream: &Upstream) -> usize {
    upstream.count("GET", "/manifests/") + upstream.count("GET", "/blobs/")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_pull_takes_everything_once() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[100 * KIB, 3 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(NAME, "v1", &image).await;
    assert_eq!(upstream.count("GET", "/manifests/"), 1);
    for blob in &image.blobs {
        assert_eq!(upstream.count("GET", &blob.digest), 1);
        assert_eq!(upstream.count("HEAD", &blob.digest), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_pull_within_the_freshness_of_the_tag_asks_nothing() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[100 * KIB, 3 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Setup::in_front_of(&upstream).with(|config| config.cache.tag_ttl = FOR_EVER).start().await;
    proxy.pull(NAME, "v1", &image).await;
    assert!(upstream.count("HEAD", "/manifests/v1") <= 1);
    upstream.forgets_requests();
    for _ in 0..3 {
        proxy.pull(NAME, "v1", &image).await;
        proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_past_its_freshness_costs_one_head_and_no_get() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
    proxy.pull(NAME, "v1", &image).await;
    upstream.forgets_requests();
    for asked in 1..4 {
        proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
        assert_eq!(upstream.count("HEAD", "/manifests/v1"), asked);
    }
    assert_eq!(content_gets(&upstream), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_is_fetched_once() {
    let upstream = Upstream::start().await;
    let (old, new) = (Image::small(1), Image::small(2));
    upstream.holds_image(NAME, "v1", &old);
    let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&old.manifest.bytes);
    upstream.holds_image(NAME, "v1", &new);
    upstream.forgets_requests();
    for _ in 0..3 {
        proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&new.manifest.bytes);
    }
    assert_eq!(upstream.count("GET", "/manifests/"), 1);
    proxy.get(&manifest_path(NAME, &old.manifest.digest)).await.is_exactly(&old.manifest.bytes);
    assert_eq!(upstream.count("GET", "/manifests/"), 1, "the old manifest was in the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_at_once_are_one_get() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[3 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    let gate = Gate::closed();
    // The first answers wait until all clients have had the time to come.
    upstream.when("GET", "/v2/*").once(stalled(&gate));
    let proxy = Arc::new(Proxy::in_front_of(&upstream).await);
    let layer = image.blobs[1].clone();
    let clients = join_all((0..50).map(|_| {
        let (proxy, layer) = (Arc::clone(&proxy), layer.clone());
        tokio::spawn(async move { proxy.get(&blob_path(NAME, &layer)).await.is_exactly(&layer.bytes) })
    }));
    let opener = async {
        gate.reached(1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        gate.open();
    };
    let (clients, ()) = tokio::join!(clients, opener);
    clients.into_iter().for_each(|client| client.unwrap());
    assert_eq!(upstream.count("GET", &layer.digest), 1);
    assert_eq!(upstream.count("HEAD", &layer.digest), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_of_one_tag_are_one_get() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let gate = Gate::closed();
    upstream.when("*", "/v2/*").once(stalled(&gate));
    let proxy = Arc::new(Proxy::in_front_of(&upstream).await);
    let clients = join_all((0..50).map(|_| {
        let (proxy, manifest) = (Arc::clone(&proxy), image.manifest.clone());
        tokio::spawn(async move { proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&manifest.bytes) })
    }));
    let opener = async {
        gate.reached(1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        gate.open();
    };
    let (clients, ()) = tokio::join!(clients, opener);
    clients.into_iter().for_each(|client| client.unwrap());
    assert_eq!(upstream.count("GET", "/manifests/"), 1);
    assert!(upstream.count("HEAD", "/manifests/") <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_the_middle_joins() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 4 * MIB);
    upstream.holds_blob(NAME, &blob);
    let gate = Gate::closed();
    let path = blob_path(NAME, &blob);
    upstream.when("GET", &path).once(stalled_after(2 * MIB, &gate));
    let proxy = Proxy::in_front_of(&upstream).await;
    let mut first = proxy.open(&path).await;
    first.take(MIB).await;
    gate.reached(1).await;
    let mut second = proxy.open(&path).await;
    // What has come is served before the rest has.
    second.take(MIB).await;
    gate.open();
    let (first, second) = tokio::join!(first.finish(), second.finish());
    first.is_exactly(&blob.bytes);
    second.is_exactly(&blob.bytes);
    assert!(second.header("Cache-Status").unwrap().contains("collapsed"), "{:?}", second.headers);
    assert_eq!(upstream.count("*", &blob.digest), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_blob_in_two_repositories_is_one_get_and_one_head() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    upstream.holds_blob("library/one", &blob);
    upstream.holds_blob("library/two", &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    for _ in 0..2 {
        proxy.get(&blob_path("library/one", &blob)).await.is_exactly(&blob.bytes);
        proxy.get(&blob_path("library/two", &blob)).await.is_exactly(&blob.bytes);
    }
    assert_eq!(upstream.count("GET", &blob.digest), 1);
    assert_eq!(upstream.count("HEAD", "/v2/library/two/blobs/"), 1);
    assert_eq!(upstream.count("*", &blob.digest), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_a_blob_that_is_not_cached_is_a_head_upstream() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 3 * MIB);
    upstream.holds_blob(NAME, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    let answer = proxy.head(&blob_path(NAME, &blob)).await;
    assert_eq!((answer.status, answer.header("Content-Length")), (200, Some("3145728")));
    assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
    assert_eq!((upstream.count("HEAD", &blob.digest), upstream.count("GET", &blob.digest)), (1, 0));
    let unknown = Blob::random(2, 10);
    assert_eq!(proxy.head(&blob_path(NAME, &unknown)).await.status, 404);
    assert_eq!((upstream.count("HEAD", &unknown.digest), upstream.count("GET", &unknown.digest)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_of_a_cached_blob_asks_nobody() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 2 * MIB);
    upstream.holds_blob(NAME, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
    let answer = proxy.head(&blob_path(NAME, &blob)).await;
    assert_eq!((answer.status, answer.header("Content-Length")), (200, Some("2097152")));
    assert_eq!(upstream.count("*", &blob.digest), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ping_is_answered_here() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::in_front_of(&upstream).await;
    for target in ["/v2/", "/v2", "/v2/?ns=docker.io"] {
        for method in ["GET", "HEAD"] {
            let answer = proxy.ask(method, target).send().await;
            assert_eq!(answer.status, 200, "{method} {target}");
            assert_eq!(answer.header("Docker-Distribution-Api-Version"), Some("registry/2.0"));
        }
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_knows_no_head_is_asked_by_get() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    upstream.when("HEAD", "/v2/library/demo/manifests/*").always(status(405));
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(NAME, "v1", &image).await;
    assert_eq!(upstream.count("GET", "/manifests/"), 1);
}
