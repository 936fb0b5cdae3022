//! What nobody should send: a clear error, nothing left behind, and a server that goes on.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{eventually, raw, soon},
    content::{Blob, OCI_MANIFEST, sha256},
    documents::bare,
    hosted::{ONE, bytes_below, closing, last_byte, uploads_path},
    proxy::{Proxy, Setup, manifest_path},
    upstream::Upstream,
};

#[tokio::test(flavor = "multi_thread")]
async fn names() {
    let proxy = Proxy::hosted().await;
    let (long, deep) = (format!("local/{}", "a".repeat(250)), format!("local{}", "/a".repeat(200)));
    for name in [
        "local/A",
        "local/a..b",
        "local/a.-b",
        "local/a___b",
        "local/-a",
        "local/a-",
        "local/.a",
        "local/../b",
        "local/./b",
        "local//b",
        "local/a%20b",
        "local/%2e%2e/b",
        "local/a%2Fb",
        "local/a%00b",
        "local/..data",
        "local/lost+found",
        "local/a:b",
        "local/a@b",
        "local/%c3%a9",
        &long,
        &deep,
    ] {
        let answers = [
            proxy.request("POST", &uploads_path(name)).send().await,
            proxy.put_manifest(name, "v1", &bare(1), OCI_MANIFEST).await,
            proxy.delete(&manifest_path(name, "v1")).await,
            proxy.get(&format!("/v2/{name}/tags/list")).await,
        ];
        for answer in answers {
            answer.is_error(&[400, 404]);
        }
    }
    let listed = proxy.get("/v2/_catalog").await;
    assert_eq!(listed.json()["repositories"], serde_json::json!([]));
    assert_eq!(bytes_below(&proxy.data().join("hosted")) + bytes_below(&proxy.data().join("uploads")), 0);
}

/// Words of paths are good names.
#[tokio::test(flavor = "multi_thread")]
async fn names_made_of_the_words_of_paths() {
    let proxy = Proxy::hosted().await;
    for name in [
        "local/blobs/uploads",
        "local/manifests/v1",
        "local/tags/list",
        "local/uploads",
        "local/referrers",
        "local/v2",
        "local/con",
        "local/nul",
        "local/blobs/uploads/x",
        &format!("local/{}", "a".repeat(200)),
    ] {
        proxy.push_empty_json(name).await;
        proxy.push_manifest(name, "v1", &bare(1)).await;
        proxy.has_manifest(name, "v1", &bare(1)).await;
        let listed = proxy.get(&format!("/v2/{name}/tags/list")).await;
        assert_eq!(listed.is(200).json()["tags"], serde_json::json!(["v1"]), "{name}");
        proxy.delete(&manifest_path(name, "v1")).await.is(202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods() {
    let proxy = Proxy::hosted().await;
    let digest = sha256(b"x");
    let paths = [
        manifest_path(ONE, "v1"),
        format!("/v2/{ONE}/blobs/{digest}"),
        uploads_path(ONE),
        proxy.begin_upload(ONE).await,
        format!("/v2/{ONE}/tags/list"),
        format!("/v2/{ONE}/referrers/{digest}"),
    ];
    for path in &paths {
        for method in ["OPTIONS", "TRACE", "BREW", "post", "put", "PROPFIND"] {
            let answer = proxy.ask(method, path).header("Content-Length", "0").send().await;
            assert!([400, 404, 405, 501].contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
    for (method, path) in [("POST", &paths[0]), ("PATCH", &paths[0]), ("PUT", &paths[1]), ("POST", &paths[3]), ("PUT", &paths[4])]
    {
        let answer = proxy.request(method, path).body("x").send().await;
        assert!([404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
        answer.is_error(&[404, 405]);
    }
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::new("x");
    let other = sha256(b"other");
    for query in [
        format!("digest={}&digest={other}", blob.digest),
        "digest=".to_owned(),
        "digest=x".to_owned(),
        format!("digest={}", "a".repeat(7000)),
        format!("digest={}%0a", blob.digest),
        format!("digest=%20{}", blob.digest),
    ] {
        let answer = proxy.request("POST", &format!("{}?{query}", uploads_path(ONE))).body("x").send().await;
        answer.refuses(400, "DIGEST_INVALID");
    }
    // Others are ignored.
    let query = format!("unknown=1&_state=forged&digest={}&X=%ff", blob.digest);
    proxy.request("POST", &format!("{}?{query}", uploads_path(ONE))).body("x").send().await.is(201);
    let location = proxy.begin_upload(ONE).await;
    let forged = format!("{}?_state=forged&x=%00", location.split('?').next().unwrap());
    proxy.append(&forged, b"x").await.is(202);
    let huge = format!("{}?digest={}", uploads_path(ONE), "a".repeat(20_000));
    let answer = proxy.request("POST", &huge).body("x").send().await;
    assert!([400, 414].contains(&answer.status), "{}", answer.status);
    assert!(bytes_below(&proxy.data().join("hosted")) < 1000);
}

/// A body whose frame is broken is no body: nobody takes it for a complete one.
#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks() {
    let proxy = Proxy::hosted().await;
    let address = proxy.address();
    for broken in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcdef\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n",
        "3\r\nab",
        "3\r\nabc\r\nx\r\n\r\n",
    ] {
        let location = proxy.begin_upload(ONE).await;
        let digest = sha256(b"abc");
        for (method, target) in
            [("PATCH", location.clone()), ("PUT", closing(&location, &digest)), ("POST", closing(&uploads_path(ONE), &digest))]
        {
            let range = if method == "POST" { "" } else { "Content-Range: 0-2\r\n" };
            let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{range}Transfer-Encoding: chunked\r\n\r\n");
            let answer = raw(address, format!("{head}{broken}").as_bytes()).await;
            let text = String::from_utf8_lossy(&answer);
            assert!(!text.starts_with("HTTP/1.1 2") && !text.starts_with("HTTP/1.1 5"), "{method} {broken:?}: {text}");
        }
        proxy.lacks_blob(ONE, &Blob::new("abc")).await;
        eventually("the upload is as before", async || {
            let answer = proxy.get(&location).await;
            answer.status == 204 && last_byte(&answer) == 0
        })
        .await;
    }
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictory_lengths() {
    let proxy = Proxy::hosted().await;
    let address = proxy.address();
    let location = proxy.begin_upload(ONE).await;
    for framing in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: -1",
        "Content-Length: 0x3",
        "Content-Length: 18446744073709551616",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
    ] {
        let bytes = format!("PATCH {location} HTTP/1.1\r\nHost: {address}\r\n{framing}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let answer = raw(address, bytes.as_bytes()).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{framing}: {text}");
        proxy.holds(&location, 0).await;
    }
}

/// One connection, many requests: each answer belongs to its request. After a refusal the server may close, but not after
/// anything that went well.
#[tokio::test(flavor = "multi_thread")]
async fn answers_belong_to_their_requests() {
    let upstream = Upstream::start().await;
    let proxy = Setup::in_front_of(&upstream).start().await;
    let address = proxy.address();
    let location = proxy.begin_upload(ONE).await;
    let lost = format!("{}01234567-89ab-4def-8123-456789abcdef", uploads_path(ONE));
    let digest = sha256(b"abcdef");
    let wrong = sha256(b"wrong");
    for (method, target, body, status) in [
        ("PATCH", &location, "abc", "202"),
        ("PATCH", &lost, "lost", "404"),
        ("PUT", &manifest_path(ONE, "v1"), "nonsense", "400"),
        ("GET", &location, "", "204"),
        ("PUT", &closing(&location, &wrong), "def", "400"),
        ("POST", &uploads_path("library/demo"), "body", "405"),
        ("PUT", &closing(&location, &digest), "def", "201"),
        ("DELETE", &lost, "", "404"),
        ("POST", &closing(&uploads_path(ONE), &digest), "abcdef", "201"),
        ("DELETE", &format!("/v2/{ONE}/blobs/{digest}"), "", "202"),
    ] {
        let length = body.len();
        let first = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}");
        let second = format!("GET /v2/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all((first + &second).as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        drop(soon("both answers", stream.read_to_end(&mut answers)).await);
        let text = String::from_utf8_lossy(&answers);
        let statuses: Vec<_> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        match statuses.as_slice() {
            [one, "200"] => assert_eq!(*one, status, "{text}"),
            [one] => {
                assert_eq!(*one, status, "{text}");
                assert!(status.starts_with('4') && text.to_lowercase().contains("connection: close"), "{text}");
            }
            _ => panic!("{method} {target}: {text}"),
        }
    }
}

/// A client that asks first whether its body is wanted is told before it sends it.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_ask_before_they_send() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 5000);
    let location = proxy.begin_upload(ONE).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n",
        closing(&location, &blob.digest)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    soon("a word of welcome", stream.read_exact(&mut line)).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 100");
    stream.write_all(&blob.bytes).await.unwrap();
    let mut answer = Vec::new();
    soon("the answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    proxy.has_blob(ONE, &blob).await;
}
