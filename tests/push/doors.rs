//! The two doors for single layers, and the page that describes them.

use serde_json::Value;

use crate::{
    client::Answer,
    content::{Blob, Image, MIB},
    documents::image_of,
    hosted::{ONE, TWO, bytes_below},
    proxy::{Proxy, Setup, blob_path},
    upstream::Upstream,
};

const UPLOAD: &str = "/layer/upload?image=local/one&version=1.0&customer=acme";

async fn upload(proxy: &Proxy, target: &str, layer: &Blob) -> Answer {
    proxy.request("POST", target).body(layer.bytes.clone()).send().await
}

fn request_of(image: &str, digest: &str) -> String {
    format!("/layer/request?customer=acme&region=eu-west&image={image}&layerHash={digest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_goes_in_and_out() {
    let proxy = Proxy::hosted().await;
    for layer in [Blob::random(1, 5000), Blob::new(""), Blob::random(2, 3 * MIB)] {
        let answer = upload(&proxy, UPLOAD, &layer).await;
        let said = answer.is(201).json();
        assert_eq!(said["digest"], layer.digest.as_str());
        assert_eq!(said["size"], layer.bytes.len());
        assert_eq!(said["image"], ONE);
        assert_eq!(said["version"], "1.0");
        assert_eq!(said["customer"], "acme");
        let location = said["location"].as_str().unwrap();
        proxy.get(location).await.is_exactly(&layer.bytes);
        proxy.has_blob(ONE, &layer).await;
        let answer = proxy.get(&request_of(ONE, &layer.digest)).await;
        answer.is_exactly(&layer.bytes);
        assert_eq!(answer.header("Docker-Content-Digest"), Some(layer.digest.as_str()));
        assert_eq!(proxy.head(&request_of(ONE, &layer.digest)).await.status, 200);
    }
    let layer = Blob::random(1, 5000);
    let part = proxy.ask("GET", &request_of(ONE, &layer.digest)).range("bytes=10-19").send().await;
    assert_eq!((part.status, &part.body[..]), (206, &layer.bytes[10..20]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_may_come_as_a_stream() {
    let proxy = Proxy::hosted().await;
    let layer = Blob::random(1, 300_000);
    let answer = proxy.request("POST", UPLOAD).chunked(layer.bytes.chunks(999)).send().await;
    assert_eq!(answer.is(201).json()["digest"], layer.digest.as_str());
    proxy.has_blob(ONE, &layer).await;
}

/// Both doors and the registry are one house.
#[tokio::test(flavor = "multi_thread")]
async fn layers_are_blobs_and_blobs_are_layers() {
    let proxy = Proxy::hosted().await;
    let (config, layer) = (Blob::new("{\"os\":\"linux\"}"), Blob::random(1, 5000));
    upload(&proxy, UPLOAD, &layer).await.is(201);
    proxy.push_blob(ONE, &config).await;
    let manifest = crate::documents::written(&image_of(&config, &[&layer]));
    proxy.push_manifest(ONE, "1.0", &manifest).await;
    proxy.pull(ONE, "1.0", &Image { manifest, blobs: vec![config.clone(), layer.clone()] }).await;
    proxy.get(&request_of(ONE, &config.digest)).await.is_exactly(&config.bytes);
    proxy.delete(&blob_path(ONE, &layer)).await.is(202);
    proxy.get(&request_of(ONE, &layer.digest)).await.refuses(404, "BLOB_UNKNOWN");
    let proxy = proxy.stop().await.start().await;
    proxy.get(&request_of(ONE, &config.digest)).await.is_exactly(&config.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_asked_of_its_image() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[5000]);
    upstream.holds_image("library/demo", "v1", &image);
    let proxy = Setup::in_front_of(&upstream).start().await;
    let layer = Blob::random(9, 5000);
    upload(&proxy, UPLOAD, &layer).await.is(201);
    for stranger in [TWO, "local/never", "library/demo"] {
        proxy.get(&request_of(stranger, &layer.digest)).await.refuses(404, "BLOB_UNKNOWN");
    }
    // A proxied image's layers come from its upstream.
    proxy.get(&request_of("library/demo", &image.blobs[1].digest)).await.is_exactly(&image.blobs[1].bytes);
    proxy.get(&request_of(ONE, &image.blobs[1].digest)).await.refuses(404, "BLOB_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxied_images_take_no_layers() {
    let upstream = Upstream::start().await;
    let proxy = Setup::in_front_of(&upstream).start().await;
    let layer = Blob::random(1, 5000);
    for image in ["library/demo", "docker.io/local/one", "nginx"] {
        let target = format!("/layer/upload?image={image}&version=1&customer=acme");
        let answer = upload(&proxy, &target, &layer).await;
        answer.refuses(405, "UNSUPPORTED");
        assert!(answer.text().contains("local/"), "{}", answer.text());
    }
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(bytes_below(&proxy.data().join("uploads")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_at_the_doors() {
    let upstream = Upstream::start().await;
    let proxy = Setup::in_front_of(&upstream).start().await;
    let layer = Blob::random(1, 500);
    upload(&proxy, UPLOAD, &layer).await.is(201);
    for target in [
        "/layer/upload",
        "/layer/upload?version=1&customer=acme",
        "/layer/upload?image=&version=1&customer=acme",
        "/layer/upload?image=local/UPPER&version=1&customer=acme",
        "/layer/upload?image=local/../one&version=1&customer=acme",
        "/layer/upload?image=local/one&image=local/two&version=1&customer=acme",
    ] {
        upload(&proxy, target, &layer).await.is_error(&[400]);
    }
    for digest in ["", "x", "sha256:x", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        proxy.get(&request_of(ONE, digest)).await.refuses(400, "DIGEST_INVALID");
    }
    for target in ["/layer/request", "/layer/request?customer=acme&region=eu&image=local/one"] {
        proxy.get(target).await.is_error(&[400]);
    }
    for (method, target) in [("GET", UPLOAD), ("DELETE", UPLOAD), ("POST", &request_of(ONE, &layer.digest))] {
        proxy.request(method, target).send().await.is_error(&[405]);
    }
    let half = proxy.request("POST", UPLOAD).begin(1000).await;
    half.break_off();
    proxy.request("POST", UPLOAD).header("Content-Encoding", "gzip").body("x").send().await.is_error(&[415]);
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_counts_among_its_customers_uploads() {
    let proxy = Setup::hosted().setting("max_upload_bytes", "10 KiB").start().await;
    let (small, large) = (Blob::random(1, 10_000), Blob::random(2, 20_000));
    upload(&proxy, UPLOAD, &large).await.is_error(&[413]);
    proxy.request("POST", UPLOAD).chunked(large.bytes.chunks(999)).send().await.is_error(&[413]);
    for _ in 0..3 {
        upload(&proxy, UPLOAD, &small).await.is(201);
    }
    proxy.lacks_blob(ONE, &large).await;
    assert_eq!(bytes_below(&proxy.data().join("uploads")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doors_are_described() {
    let proxy = Proxy::hosted().await;
    let answer = proxy.get("/api/v1/openapi.json").await;
    assert!(answer.header("Content-Type").unwrap().starts_with("application/json"));
    let description: Value = answer.is(200).json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    for (path, method) in
        [("/layer/upload", "post"), ("/layer/request", "get"), ("/api/v1/gc", "post"), ("/api/v1/scrub", "post")]
    {
        assert!(description["paths"][path][method].is_object(), "{method} {path}");
    }
    let for_operators = ["/api/v1/scrub", "/api/v1/cache", "/api/v1/cache/blobs", "/api/v1/cache/blobs/{digest}"];
    for path in for_operators {
        assert!(description["paths"][path]["get"]["security"].is_array(), "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(description["paths"][path]["get"].is_object(), "{path}");
        assert_eq!(proxy.get(path).await.status, 200, "{path}");
    }
}
