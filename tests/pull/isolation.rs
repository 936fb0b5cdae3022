//! Links, not bytes, decide who may read: that bytes are here for one repository says nothing to another.

use std::{sync::Arc, time::Duration};

use crate::{
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, Setup, blob_path, manifest_path, mirror},
    upstream::{Gate, Upstream, stalled, status},
};

const ONE: &str = "library/one";
const TWO: &str = "library/two";

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_blob_is_read_through_another_repository_only_with_the_upstreams_leave() {
    for length in [10 * KIB, 3 * MIB] {
        let upstream = Upstream::start().await;
        let blob = Blob::random(1, length);
        upstream.holds_blob(ONE, &blob);
        let proxy = Proxy::in_front_of(&upstream).await;
        proxy.get(&blob_path(ONE, &blob)).await.is_exactly(&blob.bytes);
        proxy.get(&blob_path(TWO, &blob)).await.is_error(&[404]);
        assert_eq!(proxy.head(&blob_path(TWO, &blob)).await.status, 404);
        // The first one is not harmed.
        proxy.get(&blob_path(ONE, &blob)).await.is_exactly(&blob.bytes);
    }
}

/// Nobody can tell from an answer, or from what it costs, whether the bytes are here for somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_others_looks_like_one_that_does_not_exist() {
    let upstream = Upstream::start().await;
    let (here, nowhere) = (Blob::random(1, 10 * KIB), Blob::random(2, 10 * KIB));
    upstream.holds_blob(ONE, &here);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.get(&blob_path(ONE, &here)).await.is_exactly(&here.bytes);
    for method in ["GET", "HEAD"] {
        let mut seen = Vec::new();
        for blob in [&here, &nowhere] {
            let name = format!("library/{}", method.to_lowercase());
            upstream.forgets_requests();
            let answer = proxy.ask(method, &blob_path(&name, blob)).send().await;
            assert_eq!(upstream.count("*", &blob.digest), 1, "{method}");
            let volatile = |name: &str| ["date", "x-request-id"].contains(&name.to_lowercase().as_str());
            let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| !volatile(name)).cloned().collect();
            headers.sort();
            seen.push((answer.status, headers, answer.text().replace(&blob.digest, "DIGEST")));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].0, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_once_given_is_remembered() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 10 * KIB);
    upstream.holds_blob(ONE, &blob);
    upstream.holds_blob(TWO, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    for name in [ONE, TWO] {
        proxy.get(&blob_path(name, &blob)).await.is_exactly(&blob.bytes);
    }
    upstream.goes_down();
    for name in [ONE, TWO] {
        proxy.get(&blob_path(name, &blob)).await.is_exactly(&blob.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_upstream_there_is_no_leave() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 10 * KIB);
    upstream.holds_blob(ONE, &blob);
    upstream.holds_blob(TWO, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.get(&blob_path(ONE, &blob)).await.is_exactly(&blob.bytes);
    upstream.goes_down();
    proxy.get(&blob_path(TWO, &blob)).await.is_error(&[502, 503]);
    upstream.behaves();
    upstream.when("*", &blob_path(TWO, &blob)).always(status(403));
    proxy.get(&blob_path(TWO, &blob)).await.is_error(&[403]);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_read_through_their_own_repository() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(ONE, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(ONE, "v1", &image).await;
    for reference in ["v1", &image.manifest.digest] {
        proxy.get(&manifest_path(TWO, reference)).await.is_error(&[404]);
        assert_eq!(proxy.head(&manifest_path(TWO, reference)).await.status, 404);
    }
}

/// The same name on two registries is two repositories.
#[tokio::test(flavor = "multi_thread")]
async fn registries_are_kept_apart() {
    let (hub, other) = (Upstream::start().await, Upstream::start().await);
    let (image, another) = (Image::small(1), Image::small(2));
    hub.holds_image("team/app", "v1", &image);
    other.holds_image("team/app", "v1", &another);
    let upstreams = vec![mirror("docker.io", &hub), mirror("registry.example", &other)];
    let proxy = Setup::with_upstreams(upstreams).start().await;
    proxy.pull("team/app", "v1", &image).await;
    proxy.pull("registry.example/team/app", "v1", &another).await;
    let path = blob_path("registry.example/team/app", &image.blobs[1]);
    proxy.get(&path).await.is_error(&[404]);
}

/// Both ask for the same digest at once, so there is one transfer, from the registry that has no such blob.
#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_one_registry_is_not_that_of_another() {
    let (hub, other) = (Upstream::start().await, Upstream::start().await);
    let blob = Blob::random(1, 10 * KIB);
    other.holds_blob("team/app", &blob);
    let gate = Gate::closed();
    hub.when("GET", &blob_path("team/app", &blob)).once(stalled(&gate));
    let upstreams = vec![mirror("docker.io", &hub), mirror("registry.example", &other)];
    let proxy = Arc::new(Setup::with_upstreams(upstreams).start().await);
    let get = |path: String| {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move { proxy.get(&path).await })
    };
    let refused = get(blob_path("team/app", &blob));
    gate.reached(1).await;
    let served = get(blob_path("registry.example/team/app", &blob));
    while other.count("HEAD", &blob.digest) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Time to join the transfer.
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.open();
    refused.await.unwrap().is_error(&[404]);
    served.await.unwrap().is_exactly(&blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_not_manifests_and_manifests_not_blobs() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(ONE, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(ONE, "v1", &image).await;
    proxy.get(&blob_path(ONE, &image.manifest)).await.is_error(&[404]);
    proxy.get(&manifest_path(ONE, &image.blobs[0].digest)).await.is_error(&[404]);
}
