//! What a new process finds: everything that was acknowledged.

use std::fs;

use serde_json::json;

use crate::{
    content::{Blob, Image, KIB, MIB},
    documents::{index_of, referring, written},
    hosted::{ONE, TWO, files},
    proxy::{Proxy, Setup, blob_path, manifest_path},
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_still_there() {
    let proxy = Proxy::hosted().await;
    let image = Image::new(1, &[0, 10 * KIB, 3 * MIB]);
    let by_sha512 = Blob::random(7, 5000).by_sha512();
    proxy.push_image(ONE, "v1", &image).await;
    proxy.push_blob(ONE, &by_sha512).await;
    proxy.push_empty_json(ONE).await;
    let signature = referring(&image.manifest, "x/signature", json!({ "a": "b" }));
    proxy.push_manifest(ONE, "signature", &signature).await;
    let index = written(&index_of(&[image.manifest.descriptor(crate::content::OCI_MANIFEST)]));
    proxy.push_manifest(ONE, "index", &index).await;
    let referrers = format!("/v2/{ONE}/referrers/{}", image.manifest.digest);
    let paths = [format!("/v2/{ONE}/tags/list"), "/v2/_catalog".to_owned(), referrers, manifest_path(ONE, "index")];
    let mut before = Vec::new();
    for path in &paths {
        before.push(proxy.get(path).await.is(200).body.clone());
    }
    let mut proxy = proxy;
    for _ in 0..2 {
        proxy = proxy.stop().await.start().await;
        proxy.pull(ONE, "v1", &image).await;
        proxy.has_blob(ONE, &by_sha512).await;
        proxy.has_manifest(ONE, "signature", &signature).await;
        for (path, body) in paths.iter().zip(&before) {
            assert_eq!(proxy.get(path).await.text(), String::from_utf8_lossy(body), "{path}");
        }
        let answer = proxy.get(&manifest_path(ONE, "index")).await;
        assert_eq!(answer.header("Content-Type"), Some(crate::content::OCI_INDEX));
        for blob in &image.blobs {
            proxy.lacks_blob(TWO, blob).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_does_not_come_back() {
    let proxy = Proxy::hosted().await;
    let (image, other) = (Image::small(1), Image::small(2));
    for name in [ONE, TWO] {
        proxy.push_image(name, "v1", &image).await;
        proxy.push_image(name, "v2", &other).await;
    }
    proxy.delete(&manifest_path(ONE, "v1")).await.is(202);
    proxy.delete(&manifest_path(ONE, &other.manifest.digest)).await.is(202);
    proxy.delete(&blob_path(ONE, &image.blobs[0])).await.is(202);
    let proxy = proxy.stop().await.start().await;
    proxy.lacks_manifest(ONE, "v1").await;
    proxy.lacks_manifest(ONE, "v2").await;
    proxy.has_manifest(ONE, &image.manifest.digest, &image.manifest).await;
    proxy.lacks_manifest(ONE, &other.manifest.digest).await;
    proxy.lacks_blob(ONE, &image.blobs[0]).await;
    proxy.has_blob(ONE, &image.blobs[1]).await;
    proxy.pull(TWO, "v1", &image).await;
    proxy.pull(TWO, "v2", &other).await;
}

/// The folder as a kill would leave it, after every kind of acknowledged write.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let proxy = Proxy::hosted().await;
    let image = Image::new(1, &[0, 10 * KIB, 2 * MIB]);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.push_image(TWO, "v1", &image).await;
    proxy.delete(&manifest_path(TWO, &image.manifest.digest)).await.is(202);
    let killed = Setup::hosted();
    for file in files(proxy.data()) {
        let copied = killed.data().join(file.strip_prefix(proxy.data()).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(&file, &copied).unwrap();
    }
    let proxy = killed.start().await;
    proxy.pull(ONE, "v1", &image).await;
    proxy.lacks_manifest(TWO, "v1").await;
    proxy.push_manifest(ONE, "v2", &image.manifest).await;
    proxy.pull(ONE, "v2", &image).await;
}

/// There is no second copy to heal a hosted file from, but a damaged one is never passed off as the right one.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_become_shorter_is_not_served_as_whole() {
    let proxy = Proxy::hosted().await;
    let blobs = [Blob::random(1, 20 * KIB), Blob::random(2, 3 * MIB)];
    for blob in &blobs {
        proxy.push_blob(ONE, blob).await;
    }
    let setup = proxy.stop().await;
    for file in files(&setup.data().join("hosted")) {
        fs::File::options().write(true).open(file).unwrap().set_len(7).unwrap();
    }
    let proxy = setup.start().await;
    for blob in &blobs {
        if let Ok(incoming) = proxy.ask("GET", &blob_path(ONE, blob)).open().await {
            let answer = incoming.finish().await;
            assert!(answer.status != 200 || !answer.complete, "{} bytes of {}", answer.body.len(), blob.bytes.len());
            // That is a fault of ours, not a blob that never was.
            assert_ne!(answer.status, 404);
        }
    }
    proxy.still_answers().await;
    // Whoever has the bytes can bring them again.
    for blob in &blobs {
        proxy.push_blob(ONE, blob).await;
        proxy.has_blob(ONE, blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_files_are_nobody_elses_business() {
    use std::os::unix::fs::PermissionsExt;

    let setup = Setup::hosted();
    let data = setup.data().join("made/by/the/server");
    let proxy = setup.with(|config| config.storage.data = data.clone()).start().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, b"abc").await.is(202);
    proxy.push_blob(ONE, &Blob::random(1, 20 * KIB)).await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("admin.json")), 0o600);
    assert!(!files(&data.join("hosted")).is_empty());
    assert!(!files(&data.join("uploads")).is_empty());
}
