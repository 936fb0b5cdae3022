//! What a manifest names must be there, except where the specification says that it need not.

use serde_json::{Value, json};

use crate::{
    client::Answer,
    content::{Blob, Image, OCI_INDEX, OCI_MANIFEST},
    documents::{EMPTY_JSON, OCI_LAYER, bare, empty_json, image_of, index_of, naming_one_more, written},
    hosted::{ONE, TWO},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::Upstream,
};

/// It was refused because of this one.
#[track_caller]
fn misses(answer: &Answer, digest: &str) {
    answer.refuses(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(answer.text().contains(digest), "{}", answer.text());
}

async fn sparse() -> Proxy {
    Setup::hosted().setting("missing_references", "allow").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_blob_is_named() {
    let proxy = Proxy::hosted().await;
    let image = Image::new(1, &[100, 200, 300]);
    for missing in 0..image.blobs.len() {
        let name = format!("local/without/{missing}");
        for (n, blob) in image.blobs.iter().enumerate() {
            if n != missing {
                proxy.push_blob(&name, blob).await;
            }
        }
        let absent = &image.blobs[missing];
        for reference in ["v1", &image.manifest.digest] {
            misses(&proxy.put_manifest(&name, reference, &image.manifest, OCI_MANIFEST).await, &absent.digest);
            proxy.lacks_manifest(&name, reference).await;
        }
        proxy.push_blob(&name, absent).await;
        proxy.push_manifest(&name, "v1", &image.manifest).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_another_repository_is_missing() {
    let upstream = Upstream::start().await;
    let (image, cached) = (Image::small(1), Image::small(2));
    upstream.holds_image("library/demo", "v1", &cached);
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.push_image(ONE, "v1", &image).await;
    proxy.pull("library/demo", "v1", &cached).await;
    upstream.forgets_requests();
    for image in [&image, &cached] {
        misses(&proxy.put_manifest(TWO, "v1", &image.manifest, OCI_MANIFEST).await, "sha256:");
        let index = written(&index_of(&[image.manifest.descriptor(OCI_MANIFEST)]));
        misses(&proxy.put_manifest(TWO, "v1", &index, OCI_INDEX).await, &image.manifest.digest);
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_was_deleted_is_missing() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.delete(&blob_path(ONE, &image.blobs[1])).await.is(202);
    misses(&proxy.put_manifest(ONE, "v2", &image.manifest, OCI_MANIFEST).await, &image.blobs[1].digest);
    // The one that was pushed in time stays, as it is.
    proxy.has_manifest(ONE, "v1", &image.manifest).await;
}

/// Whoever pulls it would trust the size that the manifest tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_another_size_is_another_blob() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    for size in [0, 1, 2047, 2049, u64::MAX >> 1] {
        let mut layer = image.blobs[1].descriptor(OCI_LAYER);
        layer["size"] = json!(size);
        let manifest = naming_one_more(&image, layer);
        proxy.put_manifest(ONE, "v2", &manifest, OCI_MANIFEST).await.is_error(&[400]);
        let mut child = image.manifest.descriptor(OCI_MANIFEST);
        child["size"] = json!(size);
        proxy.put_manifest(ONE, "v2", &written(&index_of(&[child])), OCI_INDEX).await.is_error(&[400]);
    }
    proxy.lacks_manifest(ONE, "v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_names_manifests_that_are_there() {
    let proxy = Proxy::hosted().await;
    let (one, other) = (Image::small(1), Image::small(2));
    let index = written(&index_of(&[one.manifest.descriptor(OCI_MANIFEST), other.manifest.descriptor(OCI_MANIFEST)]));
    proxy.push_image(ONE, "one", &one).await;
    misses(&proxy.put_manifest(ONE, "both", &index, OCI_INDEX).await, &other.manifest.digest);
    proxy.push_image(ONE, &other.manifest.digest, &other).await;
    proxy.push_manifest(ONE, "both", &index).await;
    proxy.has_manifest(ONE, "both", &index).await;
    assert_eq!(proxy.get(&manifest_path(ONE, "both")).await.header("Content-Type"), Some(OCI_INDEX));
    // An index of an index, and one that names it twice.
    let nested = written(&index_of(&[index.descriptor(OCI_INDEX)]));
    proxy.push_manifest(ONE, "nested", &nested).await;
    proxy.has_manifest(ONE, "nested", &nested).await;
    let twice = written(&index_of(&[nested.descriptor(OCI_INDEX), nested.descriptor(OCI_INDEX)]));
    proxy.push_manifest(ONE, "twice", &twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_indexes_are_walked_by_nobody() {
    let proxy = Proxy::hosted().await;
    let mut index = written(&index_of(&[]));
    for depth in 0..30 {
        proxy.push_manifest(ONE, "deep", &index).await;
        let descriptor = index.descriptor(OCI_INDEX);
        let mut document = index_of(&[descriptor.clone(), descriptor.clone(), descriptor]);
        document["annotations"] = json!({ "depth": depth.to_string() });
        index = written(&document);
    }
    proxy.push_manifest(ONE, "deep", &index).await;
    proxy.has_manifest(ONE, "deep", &index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_lists_are_complete() {
    let proxy = Proxy::hosted().await;
    let index = written(&index_of(&[]));
    proxy.push_manifest(ONE, "nothing", &index).await;
    proxy.has_manifest(ONE, "nothing", &index).await;
    proxy.push_empty_json(ONE).await;
    proxy.push_manifest(ONE, "no-layers", &bare(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_need_not_be_distributed_are_never_missing() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    let absent = Blob::random(77, 500);
    let urls = json!(["https://127.0.0.1:9/never/asked"]);
    let mut with_urls = absent.descriptor(OCI_LAYER);
    with_urls["urls"] = urls.clone();
    let mut descriptors: Vec<Value> = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ]
    .map(|media_type| absent.descriptor(media_type))
    .into();
    descriptors.push(with_urls);
    for descriptor in descriptors {
        let manifest = naming_one_more(&image, descriptor);
        proxy.push_manifest(ONE, "foreign", &manifest).await;
        proxy.has_manifest(ONE, "foreign", &manifest).await;
        proxy.lacks_blob(ONE, &absent).await;
    }
    // Without an address it is a layer like all others.
    let mut no_urls = absent.descriptor(OCI_LAYER);
    no_urls["urls"] = json!([]);
    for descriptor in [absent.descriptor(OCI_LAYER), no_urls] {
        let manifest = naming_one_more(&image, descriptor);
        misses(&proxy.put_manifest(ONE, "own", &manifest, OCI_MANIFEST).await, &absent.digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_never_missing() {
    let proxy = Proxy::hosted().await;
    proxy.push_empty_json(ONE).await;
    let mut document = image_of(&empty_json(), &[]);
    document["subject"] = bare(9).descriptor(OCI_MANIFEST);
    let answer = proxy.push_manifest(ONE, "signature", &written(&document)).await;
    assert_eq!(answer.header("OCI-Subject"), Some(bare(9).digest.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_within_a_descriptor_is_kept() {
    let proxy = Proxy::hosted().await;
    proxy.push_empty_json(ONE).await;
    let mut config = empty_json().descriptor(EMPTY_JSON);
    config["data"] = json!("e30=");
    let document = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [config] });
    proxy.push_manifest(ONE, "data", &written(&document)).await;
    proxy.has_manifest(ONE, "data", &written(&document)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_references_can_be_allowed() {
    let proxy = sparse().await;
    let image = Image::small(1);
    proxy.push_manifest(ONE, "sparse", &image.manifest).await;
    proxy.has_manifest(ONE, "sparse", &image.manifest).await;
    for blob in &image.blobs {
        proxy.lacks_blob(ONE, blob).await;
    }
    let index = written(&index_of(&[image.manifest.descriptor(OCI_MANIFEST), bare(7).descriptor(OCI_MANIFEST)]));
    proxy.push_manifest(TWO, "sparse", &index).await;
    proxy.has_manifest(TWO, "sparse", &index).await;
    // To name something is not to have it.
    proxy.lacks_manifest(TWO, &image.manifest.digest).await;
    proxy.push_image(ONE, "whole", &image).await;
    proxy.lacks_manifest(TWO, &image.manifest.digest).await;
    for blob in &image.blobs {
        proxy.lacks_blob(TWO, blob).await;
    }
    // What is malformed stays malformed.
    let malformed = naming_one_more(&image, json!({ "mediaType": OCI_LAYER, "digest": "sha256:x", "size": 1 }));
    proxy.put_manifest(ONE, "v1", &malformed, OCI_MANIFEST).await.refuses(400, "MANIFEST_INVALID");
}
