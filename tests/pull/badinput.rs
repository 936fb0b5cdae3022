//! What nobody should send: a clear error, nothing asked upstream, and a server that goes on.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{raw, soon},
    content::{Blob, Image},
    proxy::{Proxy, blob_path, manifest_path},
    upstream::Upstream,
};

const NAME: &str = "library/demo";

async fn with_image() -> (Upstream, Proxy, Image) {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    (upstream, proxy, image)
}

/// The request is refused with one of `accepted`; the upstream hears nothing, and the server is well.
async fn is_refused(upstream: &Upstream, proxy: &Proxy, target: &str, accepted: &[u16]) {
    for method in ["GET", "HEAD"] {
        // A connection closed without an answer is a refusal, too.
        if let Ok(incoming) = proxy.ask(method, target).open().await {
            let answer = incoming.finish().await;
            assert!(accepted.contains(&answer.status), "{method} {target:?}: {} {}", answer.status, answer.text());
        }
    }
    assert_eq!(upstream.requests().len(), 0, "{target:?} reached the upstream");
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names() {
    let (upstream, proxy, image) = with_image().await;
    let (long, huge) = ("a".repeat(256), "a".repeat(4096));
    let names = [
        "A/b",
        "a%20b",
        "a..b",
        "a.-b",
        "a___b",
        "-a",
        "a-",
        ".a",
        "_a",
        "a/../b",
        "a/%2e%2e/b",
        "a/%252e%252e/b",
        "a/.%2e/b",
        "a%2Fb",
        "a%2fb",
        "a%00b",
        "a%0ab",
        "a%5cb",
        "a/./b",
        "%c3%a9/b",
        "%ff/b",
        "..data",
        "lost+found",
        "a:b/c",
        "a@b",
        "a//b",
        "..",
        "%2e%2e",
        "../..",
        "a%",
        "a%zz",
        "library/demo%00",
        &long,
        &huge,
    ];
    for name in names {
        is_refused(&upstream, &proxy, &manifest_path(name, "v1"), &[400, 404, 414]).await;
        is_refused(&upstream, &proxy, &blob_path(name, &image.blobs[0]), &[400, 404, 414]).await;
        is_refused(&upstream, &proxy, &format!("/v2/{name}/tags/list"), &[400, 404, 414]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags() {
    let (upstream, proxy, _) = with_image().await;
    let long = "a".repeat(129);
    for tag in [
        "",
        ".x",
        "-x",
        "a:b",
        "a@b",
        "a%2fb",
        "a%0ab",
        "a%00b",
        "%F0%9F%90%B3",
        "latest%20",
        "sha256:abc",
        "..",
        "%2e%2e",
        &long,
    ] {
        is_refused(&upstream, &proxy, &manifest_path(NAME, tag), &[400, 404]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn digests() {
    let (upstream, proxy, _) = with_image().await;
    let hex = "a".repeat(64);
    let digests = [
        "sha256:".to_owned(),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}a"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        "sha256:../../etc/passwd".to_owned(),
        "sha256:%2e%2e%2fetc".to_owned(),
        format!("sha256:{}", "g".repeat(64)),
        format!("md5:{}", "a".repeat(32)),
        format!("sha512:{hex}"),
        format!("sha256:sha256:{hex}"),
        format!("%20sha256:{hex}"),
        format!("sha256:{hex}%20"),
        format!("sha256:{hex}%0a"),
        format!("sha256:{hex}%00"),
        format!("sha256:{}", "a".repeat(10_000)),
        String::new(),
        hex,
    ];
    for digest in digests {
        for kind in ["blobs", "manifests"] {
            // A bare name is a tag to `manifests`.
            if kind == "blobs" || digest.contains(':') {
                is_refused(&upstream, &proxy, &format!("/v2/{NAME}/{kind}/{digest}"), &[400, 404, 414]).await;
            }
        }
    }
    let malformed = proxy.get(&format!("/v2/{NAME}/blobs/sha256:baddigeststring")).await;
    malformed.is_error(&[400, 404]);
    // The colon may come encoded: one meaning, whichever way.
    assert_eq!(proxy.get(&format!("/v2/{NAME}/referrers/sha256:baddigeststring")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths() {
    let (upstream, proxy, image) = with_image().await;
    let digest = &image.blobs[0].digest;
    for path in [
        format!("//v2/{NAME}/manifests/v1"),
        format!("/v2//{NAME}/manifests/v1"),
        format!("/v2/{NAME}//manifests/v1"),
        format!("/v2/{NAME}/manifests//v1"),
        format!("/v2/{NAME}/manifests/v1/"),
        format!("/v2/{NAME}/blobs/{digest}/"),
        format!("/v2/../v2/{NAME}/manifests/v1"),
        format!("/v2/%2e%2e/v2/{NAME}/manifests/v1"),
        format!("/v2/{NAME}/manifests/../blobs/{digest}"),
        format!("/v1/{NAME}/manifests/v1"),
        format!("/v2/{NAME}/manifests"),
        format!("/v2/{NAME}"),
        "/v2/manifests/v1".to_owned(),
        "/v2/_catalog/x".to_owned(),
        "/v2/../../etc/passwd".to_owned(),
        "/v2/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/..%2f..%2fetc/passwd".to_owned(),
        "/nonsense".to_owned(),
        "\\v2\\x".to_owned(),
    ] {
        is_refused(&upstream, &proxy, &path, &[400, 404]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_requests() {
    let (upstream, proxy, _) = with_image().await;
    is_refused(&upstream, &proxy, &format!("/v2/{}/manifests/v1", "a/".repeat(4000)), &[400, 404, 414]).await;
    is_refused(&upstream, &proxy, &format!("/v2/{NAME}/manifests/{}", "a".repeat(70_000)), &[400, 404, 414, 431]).await;
    is_refused(&upstream, &proxy, &format!("/v2/{NAME}/manifests/v1?ns={}", "a".repeat(10_000)), &[400, 404, 414]).await;
    is_refused(&upstream, &proxy, &format!("/v2/{NAME}/tags/list?last={}", "a".repeat(10_000)), &[400, 404, 414]).await;
    let large = proxy.ask("GET", "/v2/").header("X-Large", &"x".repeat(200_000)).open().await;
    assert!(large.is_err() || [400, 413, 431].contains(&large.unwrap().status));
    let many = (0..200).fold(proxy.ask("GET", "/v2/"), |ask, n| ask.header(&format!("X-{n}"), "x")).open().await;
    assert!(many.is_err() || [400, 431].contains(&many.unwrap().status));
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods() {
    let (upstream, proxy, image) = with_image().await;
    let paths = [
        manifest_path(NAME, "v1"),
        blob_path(NAME, &image.blobs[0]),
        format!("/v2/{NAME}/blobs/uploads/"),
        format!("/v2/{NAME}/tags/list"),
        "/v2/".to_owned(),
    ];
    for path in &paths {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"] {
            let answer = proxy.ask(method, path).header("Content-Length", "0").send().await;
            assert!([400, 404, 405, 501].contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
    // Writing is refused in the words of the specification.
    for (method, path) in [("PUT", &paths[0]), ("DELETE", &paths[1]), ("POST", &paths[2])] {
        let answer = proxy.ask(method, path).header("Content-Length", "0").send().await;
        assert_eq!((answer.status, answer.error_code().as_str()), (405, "UNSUPPORTED"), "{method} {path}");
    }
    assert_eq!(upstream.requests().len(), 0);
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http() {
    let (upstream, proxy, _) = with_image().await;
    let null = vec![0; 1000];
    let long = vec![b'x'; 300_000];
    let bytes: [&[u8]; 12] = [
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        &null,
        &long,
    ];
    for sent in bytes {
        let answer = raw(proxy.address(), sent).await;
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{sent:?}: {}", String::from_utf8_lossy(&answer));
        proxy.still_answers().await;
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// A client that tries TLS first must learn soon that there is none: it waits for the answer to its hello.
#[tokio::test(flavor = "multi_thread")]
async fn a_tls_hello_is_turned_away_although_the_client_waits() {
    let (_upstream, proxy, _) = with_image().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.resize(517, 0xaa);
    stream.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    // The client's side stays open: only the server can end this.
    let _ = soon("the end of a connection that speaks TLS", stream.read_to_end(&mut answer)).await;
    proxy.still_answers().await;
}

/// A request whose target is a whole URL is about the server that it came to.
#[tokio::test(flavor = "multi_thread")]
async fn absolute_targets_are_never_fetched() {
    let (upstream, proxy, _) = with_image().await;
    let stranger = Upstream::start().await;
    let answer = proxy.get(&stranger.url("/v2/library/demo/manifests/v1")).await;
    assert!([200, 400, 404].contains(&answer.status));
    assert_eq!(stranger.requests().len(), 0);
    drop(upstream);
    proxy.still_answers().await;
}

/// The same connection serves many requests, also after errors.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_survives_heads_errors_and_bodies() {
    let (_upstream, proxy, image) = with_image().await;
    let blob: &Blob = &image.blobs[1];
    let address = proxy.address();
    let requests = [
        ("HEAD", blob_path(NAME, blob)),
        ("GET", manifest_path(NAME, "nowhere")),
        ("HEAD", manifest_path(NAME, "v1")),
        ("GET", manifest_path(NAME, "UPPER:bad")),
        ("HEAD", manifest_path(NAME, "nowhere")),
        ("GET", "/v2/".to_owned()),
    ];
    let mut bytes = String::new();
    for (method, path) in &requests {
        bytes.push_str(&format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    }
    bytes.push_str(&format!("GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", blob_path(NAME, blob)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon("all answers", stream.read_to_end(&mut answer)).await.unwrap();
    let heads = answer.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
    assert_eq!(heads, requests.len() + 1);
    assert!(answer.ends_with(&blob.bytes), "the last body is not the blob");
}
