//! What was pushed is there, to the byte, in every way of asking for it.

use crate::{
    content::{Blob, KIB, MIB},
    hosted::{ONE, TWO, closing, uploads_path},
    proxy::{Proxy, blob_path},
};

/// Contents that have broken registries, under both algorithms.
fn all_sorts() -> Vec<Blob> {
    let contents = [
        Blob::new(""),
        Blob::new("{}"),
        Blob::new("\0"),
        Blob::random(6, 16 * KIB),
        Blob::random(7, 16 * KIB + 1),
        Blob::random(1, 64 * KIB - 1),
        Blob::random(2, 64 * KIB),
        Blob::random(3, MIB),
        Blob::random(4, MIB + 1),
        Blob::random(5, 3 * MIB),
    ];
    contents.into_iter().flat_map(|blob| [blob.clone(), blob.by_sha512()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_content_arrives_in_every_way() {
    let proxy = Proxy::hosted().await;
    for (n, blob) in all_sorts().iter().enumerate() {
        // A repository of its own for each way.
        let name = |way: &str| format!("local/{way}/{n}");
        let whole = name("whole");
        proxy.push_blob(&whole, blob).await;
        proxy.has_blob(&whole, blob).await;

        let at_once = name("at-once");
        let target = closing(&uploads_path(&at_once), &blob.digest);
        proxy.request("POST", &target).body(blob.bytes.clone()).send().await.is(201);
        proxy.has_blob(&at_once, blob).await;

        let patched = name("patched");
        let location = proxy.begin_upload(&patched).await;
        proxy.append(&location, &blob.bytes).await.is(202);
        proxy.close(&location, &blob.digest, b"").await.is(201);
        proxy.has_blob(&patched, blob).await;

        let streamed = name("streamed");
        let location = proxy.begin_upload(&streamed).await;
        proxy.request("PATCH", &location).chunked(blob.bytes.chunks(100_000)).send().await.is(202);
        proxy.request("PUT", &closing(&location, &blob.digest)).send().await.is(201);
        proxy.has_blob(&streamed, blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_blob_needs_no_bytes_at_all() {
    let proxy = Proxy::hosted().await;
    let empty = Blob::new("");
    let answer = proxy.request("POST", &closing(&uploads_path(ONE), &empty.digest)).send().await;
    assert_eq!(answer.is(201).location(), blob_path(ONE, &empty));
    proxy.has_blob(ONE, &empty).await;
    let location = proxy.begin_upload(TWO).await;
    proxy.request("PUT", &closing(&location, &empty.digest)).send().await.is(201);
    proxy.has_blob(TWO, &empty).await;
    proxy.delete(&blob_path(ONE, &empty)).await.is(202);
    proxy.lacks_blob(ONE, &empty).await;
    proxy.has_blob(TWO, &empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_blob() {
    let proxy = Proxy::hosted().await;
    for blob in [Blob::random(1, 5000), Blob::random(2, 5000).by_sha512()] {
        proxy.push_blob(ONE, &blob).await;
        let path = blob_path(ONE, &blob);
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=500-1499", 500..1500),
            ("bytes=500-", 500..5000),
            ("bytes=-500", 4500..5000),
            ("bytes=2000-9000", 2000..5000),
            ("bytes=4999-4999", 4999..5000),
            ("bytes=-9000", 0..5000),
        ] {
            let answer = proxy.ask("GET", &path).range(range).send().await;
            assert_eq!(answer.status, 206, "{range}");
            assert_eq!(answer.header("Content-Range"), Some(format!("bytes {}-{}/5000", part.start, part.end - 1).as_str()));
            assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
            assert!(answer.body == blob.bytes[part], "{range}");
        }
        for range in ["bytes=5000-10000", "bytes=-0"] {
            let answer = proxy.ask("GET", &path).range(range).send().await;
            assert_eq!(answer.status, 416, "{range}");
            assert_eq!(answer.header("Content-Range"), Some("bytes */5000"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_the_client_has_is_not_sent_again() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 5000);
    proxy.push_blob(ONE, &blob).await;
    let path = blob_path(ONE, &blob);
    let tag = proxy.head(&path).await.header("ETag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", blob.digest));
    assert_eq!(proxy.ask("GET", &path).header("If-None-Match", &tag).send().await.status, 304);
    proxy.ask("GET", &path).header("If-None-Match", "\"other\"").send().await.is_exactly(&blob.bytes);
}

/// Bytes that are here under one name are no blob under another.
#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_not_manifests_and_manifests_not_blobs() {
    let proxy = Proxy::hosted().await;
    let image = crate::content::Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.lacks_blob(ONE, &image.manifest).await;
    for blob in &image.blobs {
        proxy.lacks_manifest(ONE, &blob.digest).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_pushed_is_not_there() {
    let proxy = Proxy::hosted().await;
    let (blob, other) = (Blob::random(1, 100), Blob::random(2, 100));
    proxy.lacks_blob("local/never", &blob).await;
    proxy.push_blob(ONE, &blob).await;
    proxy.lacks_blob(ONE, &other).await;
    proxy.lacks_blob("local/never", &blob).await;
    // A blob under an open upload is not there either.
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &other.bytes).await.is(202);
    proxy.lacks_blob(ONE, &other).await;
}
