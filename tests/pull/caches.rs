//! What a cache or a CDN in front of Harbinger is told: what it may keep, for how long, and for whom.

use harbinger::config::Mode;

use crate::{
    client::raw,
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, Setup, blob_path, manifest_path, mirror},
    upstream::{Upstream, status},
};

const NAME: &str = "library/demo";
const PUBLIC: Option<&str> = Some("public, max-age=31536000, immutable");
const PRIVATE: Option<&str> = Some("private, max-age=31536000, immutable");

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_by_digest_may_be_kept_by_all() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[10 * KIB, 2 * MIB]);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    let blobs = image.blobs.iter().map(|blob| (blob_path(NAME, blob), blob));
    let manifest = (manifest_path(NAME, &image.manifest.digest), &image.manifest);
    for (path, content) in blobs.chain([manifest]) {
        let tag = format!("\"{}\"", content.digest);
        // Once from the upstream, once from the cache.
        for _ in 0..2 {
            for method in ["GET", "HEAD"] {
                let answer = proxy.ask(method, &path).send().await;
                assert_eq!((answer.status, answer.header("Cache-Control")), (200, PUBLIC), "{method} {path}");
                assert_eq!(answer.header("ETag"), Some(tag.as_str()));
            }
        }
        let known = proxy.ask("GET", &path).header("If-None-Match", &tag).send().await;
        assert_eq!((known.status, known.header("Cache-Control"), known.header("ETag")), (304, PUBLIC, Some(tag.as_str())));
    }
    let part = proxy.ask("GET", &blob_path(NAME, &image.blobs[2])).range("bytes=5-9").send().await;
    assert_eq!((part.status, part.header("Cache-Control"), part.header("Accept-Ranges")), (206, PUBLIC, Some("bytes")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tag_names_is_asked_for_again() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    let tag = format!("\"{}\"", image.manifest.digest);
    for path in
        [manifest_path(NAME, "v1"), format!("/v2/{NAME}/tags/list"), format!("/v2/{NAME}/referrers/{}", image.manifest.digest)]
    {
        for method in ["GET", "HEAD"] {
            let answer = proxy.ask(method, &path).send().await;
            assert_eq!((answer.status, answer.header("Cache-Control")), (200, Some("no-cache")), "{method} {path}");
        }
    }
    let known = proxy.ask("GET", &manifest_path(NAME, "v1")).header("If-None-Match", &tag).send().await;
    assert_eq!((known.status, known.header("Cache-Control")), (304, Some("no-cache")));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_kept_by_nobody() {
    let upstream = Upstream::start().await;
    upstream.when("*", "/v2/library/broken/*").always(status(500));
    let proxy = Proxy::in_front_of(&upstream).await;
    let absent = Blob::random(1, KIB);
    for (path, code) in [
        (manifest_path(NAME, "v1"), 404),
        (blob_path(NAME, &absent), 404),
        (manifest_path("library/broken", "v1"), 502),
        (blob_path("library/broken", &absent), 502),
        (blob_path(NAME, &Blob { digest: "sha256:x".to_owned(), ..absent.clone() }), 400),
    ] {
        let answer = proxy.get(&path).await;
        assert_eq!((answer.status, answer.header("Cache-Control")), (code, Some("no-store")), "{path}");
    }
}

/// A cache in front may have another audience than this server.
#[tokio::test(flavor = "multi_thread")]
async fn what_took_credentials_or_was_pushed_is_for_the_client_alone() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let mut shared = mirror("docker.io", &upstream);
    shared.mode = Mode::Shared;
    let proxy = Setup::with_upstreams(vec![shared]).start().await;
    let blob = &image.blobs[0];
    for path in [blob_path(NAME, blob), manifest_path(NAME, &image.manifest.digest)] {
        for method in ["GET", "HEAD", "GET"] {
            let answer = proxy.ask(method, &path).send().await;
            assert_eq!((answer.status, answer.header("Cache-Control")), (200, PRIVATE), "{method} {path}");
        }
    }
    assert_eq!(proxy.get(&manifest_path(NAME, "v1")).await.header("Cache-Control"), Some("no-cache"));

    let (address, digest, length) = (proxy.address(), &blob.digest, blob.bytes.len());
    let head = format!(
        "POST /v2/local/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\
         Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n"
    );
    assert!(raw(address, &[head.as_bytes(), &blob.bytes].concat()).await.starts_with(b"HTTP/1.1 201"));
    let hosted = proxy.get(&blob_path("local/app", blob)).await;
    assert_eq!((hosted.status, hosted.header("Cache-Control")), (200, PRIVATE));
}
