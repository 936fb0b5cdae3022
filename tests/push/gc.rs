//! Collection: bytes that no repository names any more go, and no others do.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    client::eventually,
    content::{Blob, Image, KIB, MIB, sha256},
    documents::{image_of, written},
    hosted::{ONE, TWO, bytes_below, uploads_path},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::Upstream,
};

/// Collects when it is told to, and spares nothing.
fn strict() -> Setup {
    Setup::hosted().setting("gc_grace", "0s")
}

/// The bytes are here although nobody names them.
async fn is_litter(proxy: &Proxy, blob: &Blob) -> bool {
    proxy.collect("?grace=0s&dry_run=true").await.contains(&blob.digest)
}

/// One that is kept in its own file, and one that is not worth it.
fn large_and_small() -> [Blob; 2] {
    [Blob::random(1, 50_000), Blob::random(2, 5000)]
}

fn digests<'a>(blobs: impl IntoIterator<Item = &'a Blob>) -> BTreeSet<String> {
    blobs.into_iter().map(|blob| blob.digest.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_nobody_names_go() {
    let proxy = strict().start().await;
    let image = Image::new(1, &[10 * KIB, 2 * MIB]);
    let everything = digests(image.blobs.iter().chain([&image.manifest]));
    proxy.push_image(ONE, "v1", &image).await;
    for blob in &image.blobs {
        proxy.delete(&blob_path(ONE, blob)).await.is(202);
    }
    proxy.delete(&manifest_path(ONE, &image.manifest.digest)).await.is(202);
    // To tell is not to do.
    assert_eq!(proxy.collect("?dry_run=true").await, everything);
    assert!(bytes_below(&proxy.data().join("hosted")) >= 2 * MIB as u64);
    assert_eq!(proxy.collect("").await, everything);
    assert_eq!(bytes_below(&proxy.data().join("hosted")), 0);
    assert!(proxy.collect("").await.is_empty());
    for blob in &image.blobs {
        proxy.lacks_blob(ONE, blob).await;
    }
    // And they can come again.
    proxy.push_image(ONE, "v1", &image).await;
    assert!(proxy.collect("").await.is_empty());
    proxy.pull(ONE, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_somebody_names_stay() {
    let proxy = strict().start().await;
    let (image, untagged) = (Image::new(1, &[0, 10 * KIB, 2 * MIB]), Image::small(2));
    let (alone, by_sha512) = (Blob::random(9, 5000), Blob::random(8, 5000).by_sha512());
    for name in [ONE, TWO] {
        proxy.push_image(name, "v1", &image).await;
        proxy.push_image(name, &untagged.manifest.digest, &untagged).await;
        proxy.push_blob(name, &alone).await;
        proxy.push_blob(name, &by_sha512).await;
    }
    assert!(proxy.collect("").await.is_empty());
    // One of two repositories gives up everything.
    for blob in image.blobs.iter().chain(&untagged.blobs).chain([&alone, &by_sha512]) {
        proxy.delete(&blob_path(ONE, blob)).await.is(202);
    }
    for image in [&image, &untagged] {
        proxy.delete(&manifest_path(ONE, &image.manifest.digest)).await.is(202);
    }
    assert!(proxy.collect("").await.is_empty());
    let proxy = proxy.stop().await.start().await;
    assert!(proxy.collect("").await.is_empty());
    proxy.pull(TWO, "v1", &image).await;
    proxy.has_manifest(TWO, &untagged.manifest.digest, &untagged.manifest).await;
    for blob in untagged.blobs.iter().chain([&alone, &by_sha512]) {
        proxy.has_blob(TWO, blob).await;
    }
}

/// The same bytes can be a blob here and a manifest there.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_named_as_something_else_stay() {
    let proxy = strict().start().await;
    let image = Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.push_blob(ONE, &image.manifest).await;
    proxy.delete(&manifest_path(ONE, &image.manifest.digest)).await.is(202);
    assert!(proxy.collect("").await.is_empty());
    proxy.has_blob(ONE, &image.manifest).await;
    proxy.push_manifest(ONE, "v1", &image.manifest).await;
    proxy.delete(&blob_path(ONE, &image.manifest)).await.is(202);
    assert!(proxy.collect("").await.is_empty());
    proxy.pull(ONE, "v1", &image).await;
}

/// A deleted tag leaves its manifest, which can be pulled by digest, so its bytes stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_without_a_tag_is_no_garbage() {
    let proxy = strict().start().await;
    let image = Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.delete(&manifest_path(ONE, "v1")).await.is(202);
    assert!(proxy.collect("").await.is_empty());
    proxy.has_manifest(ONE, &image.manifest.digest, &image.manifest).await;
    for blob in &image.blobs {
        proxy.has_blob(ONE, blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn young_bytes_are_spared() {
    let proxy = strict().setting("gc_grace", "1h").start().await;
    for blob in large_and_small() {
        proxy.push_blob(ONE, &blob).await;
        proxy.delete(&blob_path(ONE, &blob)).await.is(202);
        for query in ["", "?grace=1h", "?grace=59m&dry_run=false", "?grace=30m&dry_run=true"] {
            assert!(proxy.collect(query).await.is_empty());
            assert!(is_litter(&proxy, &blob).await);
        }
        proxy.lacks_blob(ONE, &blob).await;
        // It was the grace that has spared them.
        assert_eq!(proxy.collect("?grace=0s").await, digests([&blob]));
        assert!(!is_litter(&proxy, &blob).await);
    }
}

/// Who brings bytes again that are garbage makes them young again.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_that_is_pushed_again_is_young() {
    let proxy = strict().start().await;
    for blob in large_and_small() {
        proxy.push_blob(ONE, &blob).await;
        proxy.delete(&blob_path(ONE, &blob)).await.is(202);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        proxy.push_blob(ONE, &blob).await;
        proxy.delete(&blob_path(ONE, &blob)).await.is(202);
        assert!(proxy.collect("?grace=1400ms").await.is_empty());
        proxy.collect("").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_goes_by_itself_where_that_is_configured() {
    let proxy = strict().start().await;
    let (litter, kept) = (large_and_small(), Blob::random(9, 5000));
    proxy.push_blob(ONE, &kept).await;
    for blob in &litter {
        proxy.push_blob(ONE, blob).await;
        proxy.delete(&blob_path(ONE, blob)).await.is(202);
    }
    let proxy = proxy.stop().await.start().await;
    for blob in &litter {
        assert!(is_litter(&proxy, blob).await);
    }
    let proxy = proxy.stop().await.setting("gc_interval", "10ms").start().await;
    for blob in &litter {
        eventually("the bytes are gone", async || !is_litter(&proxy, blob).await).await;
    }
    proxy.has_blob(ONE, &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_uploads_are_no_garbage() {
    let proxy = strict().start().await;
    let blob = Blob::random(1, 9000);
    let location = proxy.begin_upload(ONE).await;
    let fresh = proxy.begin_upload(ONE).await;
    for at in [0, 3000] {
        proxy.append_at(&location, at, &blob.bytes[at..at + 3000]).await.is(202);
        assert!(proxy.collect("").await.is_empty());
    }
    proxy.close(&location, &blob.digest, &blob.bytes[6000..]).await.is(201);
    assert!(proxy.collect("").await.is_empty());
    proxy.has_blob(ONE, &blob).await;
    proxy.close(&fresh, &sha256(b"x"), b"x").await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_not_collected() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[10 * KIB, 2 * MIB]);
    upstream.holds_image("library/demo", "v1", &image);
    let proxy = Setup::in_front_of(&upstream).setting("gc_grace", "0s").start().await;
    proxy.pull("library/demo", "v1", &image).await;
    proxy.push_image(ONE, "v1", &image).await;
    for blob in &image.blobs {
        proxy.delete(&blob_path(ONE, blob)).await.is(202);
    }
    assert_eq!(proxy.collect("").await, digests(&image.blobs));
    upstream.goes_down();
    let proxy = proxy.stop().await.start().await;
    for blob in &image.blobs {
        proxy.get(&blob_path("library/demo", blob)).await.is_exactly(&blob.bytes);
        proxy.lacks_blob(ONE, blob).await;
    }
}

/// Bytes that are garbage at one moment are wanted again at the next: what is acknowledged is there.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_collections_of_the_same_bytes() {
    let proxy = Arc::new(strict().start().await);
    let shared = Blob::random(0, 20 * KIB);
    let collecting = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move {
            loop {
                proxy.collect("").await;
            }
        }
    });
    // Some want the same bytes, the others each their own.
    let pushing = (0..8).map(|n| {
        let (proxy, shared) = (Arc::clone(&proxy), shared.clone());
        tokio::spawn(async move {
            let blob = if n < 3 { shared } else { Blob::random(n, if n < 6 { 20_000 } else { 3000 }) };
            push_and_delete(&proxy, &format!("local/{n}"), &blob).await;
        })
    });
    for pushing in pushing.collect::<Vec<_>>() {
        pushing.await.unwrap();
    }
    collecting.abort();
    proxy.collect("").await;
    for n in 0..3 {
        proxy.has_blob(&format!("local/{n}"), &shared).await;
        proxy.has_manifest(&format!("local/{n}"), "v1", &naming(&shared)).await;
    }
}

/// Again and again, and at last leaves it there.
async fn push_and_delete(proxy: &Proxy, name: &str, blob: &Blob) {
    for round in 0..20 {
        bring(proxy, name, blob, round % 3 == 0).await;
        proxy.has_blob(name, blob).await;
        proxy.push_manifest(name, "v1", &naming(blob)).await;
        proxy.has_manifest(name, "v1", &naming(blob)).await;
        if round < 19 {
            proxy.delete(&blob_path(name, blob)).await.is(202);
            proxy.delete(&manifest_path(name, &naming(blob).digest)).await.is(202);
        }
    }
}

/// Pushes a blob, or mounts it from wherever it may be found.
async fn bring(proxy: &Proxy, name: &str, blob: &Blob, mount: bool) {
    if mount {
        let query = format!("{}?mount={}", uploads_path(name), blob.digest);
        let answer = proxy.request("POST", &query).send().await;
        if answer.status != 201 {
            let location = answer.opens_upload(name);
            proxy.close(&location, &blob.digest, &blob.bytes).await.is(201);
        }
    } else {
        proxy.push_blob(name, blob).await;
    }
}

fn naming(blob: &Blob) -> Blob {
    written(&image_of(blob, &[blob]))
}

/// A reader that has begun reads to the end.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_being_read_are_read_to_the_end() {
    let proxy = strict().start().await;
    let blob = Blob::random(1, 8 * MIB);
    proxy.push_blob(ONE, &blob).await;
    let mut reader = proxy.open(&blob_path(ONE, &blob)).await;
    reader.take(1000).await;
    proxy.delete(&blob_path(ONE, &blob)).await.is(202);
    assert_eq!(proxy.collect("").await, digests([&blob]));
    reader.finish().await.is_exactly(&blob.bytes);
}

/// Who may order a collection proves that the data folder is his to read.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_order_a_collection() {
    let proxy = strict().start().await;
    let blob = Blob::random(1, 5000);
    proxy.push_blob(ONE, &blob).await;
    proxy.delete(&blob_path(ONE, &blob)).await.is(202);
    for authorization in [None, Some("Bearer "), Some("Bearer x"), Some("Basic Og=="), Some("x")] {
        for query in ["", "?dry_run=true"] {
            let request = proxy.request("POST", &format!("/api/v1/gc{query}"));
            let request = authorization.map_or(request.clone(), |value| request.header("Authorization", value));
            let answer = request.send().await;
            assert!([401, 403].contains(&answer.status), "{authorization:?}: {} {}", answer.status, answer.text());
            assert!(!answer.text().contains(&blob.digest));
        }
    }
    assert!(is_litter(&proxy, &blob).await);
    assert_eq!(proxy.collect("").await, digests([&blob]));
}
