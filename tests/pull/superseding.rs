//! When a tag moves, what only the version before used is the first to leave. Here that is seen by what leaves memory.

use serde_json::json;

use crate::{
    client::eventually,
    content::{Blob, Image, KIB, OCI_MANIFEST, index},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::Upstream,
};

const NAME: &str = "library/demo";
const OTHER: &str = "library/other";

/// An image of these layers.
fn image(config: u64, layers: &[&Blob]) -> Image {
    let config = Blob::random(config, KIB);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": layers.iter().map(|layer| layer.descriptor("application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
    });
    let blobs = [&config].into_iter().chain(layers.iter().copied()).cloned().collect();
    Image { manifest: Blob::new(manifest.to_string()), blobs }
}

async fn is_in_memory(proxy: &Proxy, path: &str) -> bool {
    proxy.get(path).await.header("Cache-Status").unwrap() == "harbinger; hit; detail=memory"
}

/// It was in memory, and leaves it.
async fn leaves_memory(proxy: &Proxy, path: &str) {
    eventually(path, async || !is_in_memory(proxy, path).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_old_version_used_alone_is_superseded() {
    let upstream = Upstream::start().await;
    let [base, lent, own, new] = [1, 2, 3, 4].map(|seed| Blob::random(seed, 2 * KIB));
    let old = image(10, &[&base, &lent, &own]);
    let (borrower, successor) = (image(11, &[&lent]), image(12, &[&base, &new]));
    upstream.holds_image(NAME, "v1", &old);
    upstream.holds_image(OTHER, "x", &borrower);
    let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
    proxy.pull(NAME, "v1", &old).await;
    proxy.pull(OTHER, "x", &borrower).await;
    for blob in old.blobs.iter().chain([&lent]) {
        eventually("the bytes in memory", async || is_in_memory(&proxy, &blob_path(NAME, blob)).await).await;
    }
    upstream.holds_image(NAME, "v1", &successor);
    // The head of the new version tells nothing yet of what it shares.
    proxy.pull(NAME, "v1", &successor).await;
    // Whoever pulled it had it before it was kept.
    eventually("the new layer in memory", async || is_in_memory(&proxy, &blob_path(NAME, &new)).await).await;
    leaves_memory(&proxy, &blob_path(NAME, &own)).await;
    assert!(!is_in_memory(&proxy, &blob_path(NAME, &old.blobs[0])).await);
    assert!(!is_in_memory(&proxy, &manifest_path(NAME, &old.manifest.digest)).await);
    for spared in [&base, &lent, &new] {
        assert!(is_in_memory(&proxy, &blob_path(NAME, spared)).await);
    }
    // It is here still, for who goes back.
    upstream.forgets_requests();
    proxy.get(&manifest_path(NAME, &old.manifest.digest)).await.is_exactly(&old.manifest.bytes);
    for blob in &old.blobs {
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
}

/// The manifests of an index come one by one, after it.
#[tokio::test(flavor = "multi_thread")]
async fn of_an_index_the_platform_that_is_pulled_counts() {
    let upstream = Upstream::start().await;
    let [base, own, new] = [1, 2, 3].map(|seed| Blob::random(seed, 2 * KIB));
    let (old, successor) = (image(10, &[&base, &own]), image(11, &[&base, &new]));
    let elsewhere = image(12, &[&Blob::random(9, KIB)]);
    let versions = [&old, &successor].map(|image| (image, index(&[&image.manifest, &elsewhere.manifest])));
    let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
    for (image, index) in &versions {
        upstream.holds_image(NAME, "pushed-first", image);
        upstream.holds_index(NAME, "v1", index);
        proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&index.bytes);
        proxy.get(&manifest_path(NAME, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
        for blob in &image.blobs {
            eventually("the bytes in memory", async || is_in_memory(&proxy, &blob_path(NAME, blob)).await).await;
        }
    }
    leaves_memory(&proxy, &blob_path(NAME, &own)).await;
    assert!(!is_in_memory(&proxy, &blob_path(NAME, &old.blobs[0])).await);
    assert!(is_in_memory(&proxy, &blob_path(NAME, &base)).await);
}
