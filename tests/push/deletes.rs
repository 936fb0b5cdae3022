//! Deletes: what was named is gone at once, and nothing else is.

use serde_json::json;

use crate::{
    content::{Blob, Image},
    documents::{bare, index_of, written},
    hosted::{ONE, TWO},
    proxy::{Proxy, blob_path, manifest_path},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_blob_is_gone_from_its_repository_alone() {
    let proxy = Proxy::hosted().await;
    for blob in [Blob::random(1, 3000), Blob::random(2, 3000).by_sha512(), Blob::new(""), Blob::new("{}")] {
        for name in [ONE, TWO] {
            proxy.push_blob(name, &blob).await;
            proxy.has_blob(name, &blob).await;
        }
        proxy.delete(&blob_path(ONE, &blob)).await.is(202);
        proxy.lacks_blob(ONE, &blob).await;
        proxy.has_blob(TWO, &blob).await;
        proxy.delete(&blob_path(ONE, &blob)).await.refuses(404, "BLOB_UNKNOWN");
        // Pushed again it is there again.
        proxy.push_blob(ONE, &blob).await;
        proxy.has_blob(ONE, &blob).await;
        for name in [ONE, TWO] {
            proxy.delete(&blob_path(name, &blob)).await.is(202);
            proxy.lacks_blob(name, &blob).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tag_leaves_its_manifest() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    for name in [ONE, TWO] {
        proxy.push_image(name, "v1", &image).await;
    }
    proxy.push_manifest(ONE, "v2", &image.manifest).await;
    proxy.delete(&manifest_path(ONE, "v1")).await.is(202);
    proxy.lacks_manifest(ONE, "v1").await;
    proxy.has_manifest(ONE, "v2", &image.manifest).await;
    proxy.has_manifest(ONE, &image.manifest.digest, &image.manifest).await;
    proxy.pull(TWO, "v1", &image).await;
    proxy.delete(&manifest_path(ONE, "v1")).await.refuses(404, "MANIFEST_UNKNOWN");
    proxy.delete(&manifest_path(ONE, "v2")).await.is(202);
    proxy.has_manifest(ONE, &image.manifest.digest, &image.manifest).await;
    for blob in &image.blobs {
        proxy.has_blob(ONE, blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_manifest_takes_its_tags_along() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    for name in [ONE, TWO] {
        proxy.push_image(name, "v1", &image).await;
        proxy.push_manifest(name, "v2", &image.manifest).await;
    }
    proxy.push_empty_json(ONE).await;
    proxy.push_manifest(ONE, "other", &bare(1)).await;
    proxy.delete(&manifest_path(ONE, &image.manifest.digest)).await.is(202);
    for reference in ["v1", "v2", &image.manifest.digest] {
        proxy.lacks_manifest(ONE, reference).await;
    }
    assert_eq!(proxy.get("/v2/local/one/tags/list").await.is(200).json()["tags"], json!(["other"]));
    proxy.has_manifest(ONE, "other", &bare(1)).await;
    for tag in ["v1", "v2"] {
        proxy.pull(TWO, tag, &image).await;
    }
    for blob in &image.blobs {
        proxy.has_blob(ONE, blob).await;
    }
    proxy.delete(&manifest_path(ONE, &image.manifest.digest)).await.refuses(404, "MANIFEST_UNKNOWN");
    // Pushed again it comes without its old tags.
    proxy.push_manifest(ONE, &image.manifest.digest, &image.manifest).await;
    proxy.lacks_manifest(ONE, "v1").await;
    proxy.push_manifest(ONE, "v1", &image.manifest).await;
    proxy.pull(ONE, "v1", &image).await;
}

/// The tag has moved on: it is not one of the deleted manifest's any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_stays() {
    let proxy = Proxy::hosted().await;
    proxy.push_empty_json(ONE).await;
    proxy.push_manifest(ONE, "v1", &bare(1)).await;
    proxy.push_manifest(ONE, "v1", &bare(2)).await;
    proxy.delete(&manifest_path(ONE, &bare(1).digest)).await.is(202);
    proxy.has_manifest(ONE, "v1", &bare(2)).await;
    proxy.delete(&manifest_path(ONE, &bare(2).digest)).await.is(202);
    proxy.lacks_manifest(ONE, "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_names_does_not_go_with_it() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    proxy.push_image(ONE, &image.manifest.digest, &image).await;
    let index = written(&index_of(&[image.manifest.descriptor(crate::content::OCI_MANIFEST)]));
    proxy.push_manifest(ONE, "v1", &index).await;
    proxy.delete(&manifest_path(ONE, &index.digest)).await.is(202);
    proxy.lacks_manifest(ONE, "v1").await;
    proxy.has_manifest(ONE, &image.manifest.digest, &image.manifest).await;
    // Nor does it hold its index.
    proxy.push_manifest(ONE, "v1", &index).await;
    proxy.delete(&manifest_path(ONE, &image.manifest.digest)).await.is(202);
    proxy.lacks_manifest(ONE, &image.manifest.digest).await;
    proxy.has_manifest(ONE, "v1", &index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_cannot_be_deleted() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    for name in [TWO, "local/never"] {
        for reference in ["v1", &image.manifest.digest] {
            proxy.delete(&manifest_path(name, reference)).await.refuses(404, "MANIFEST_UNKNOWN");
        }
        proxy.delete(&blob_path(name, &image.blobs[0])).await.refuses(404, "BLOB_UNKNOWN");
    }
    // A blob is no manifest, and a manifest no blob.
    proxy.delete(&blob_path(ONE, &image.manifest)).await.refuses(404, "BLOB_UNKNOWN");
    proxy.delete(&manifest_path(ONE, &image.blobs[0].digest)).await.refuses(404, "MANIFEST_UNKNOWN");
    for digest in ["sha256:x", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", "SHA256:x"] {
        proxy.delete(&format!("/v2/{ONE}/blobs/{digest}")).await.refuses(400, "DIGEST_INVALID");
        proxy.delete(&manifest_path(ONE, digest)).await.refuses(400, "DIGEST_INVALID");
    }
    proxy.delete(&format!("/v2/{ONE}/blobs/latest")).await.refuses(400, "DIGEST_INVALID");
    proxy.pull(ONE, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_may_be_deleted_while_it_is_read() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 8 << 20);
    proxy.push_blob(ONE, &blob).await;
    let mut reader = proxy.open(&blob_path(ONE, &blob)).await;
    reader.take(1000).await;
    proxy.delete(&blob_path(ONE, &blob)).await.is(202);
    proxy.lacks_blob(ONE, &blob).await;
    reader.finish().await.is_exactly(&blob.bytes);
}
