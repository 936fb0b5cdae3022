use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use tokio::runtime::Handle;

use super::super::{
    BlobStream, Origin, UpstreamError, UpstreamErrorKind,
    scripted::{Reply, Scripted, name, origin, origin_with},
};
use crate::{
    oci::{Algorithm, Digest},
    telemetry::Metrics,
};

fn digest() -> Digest {
    Digest::of(Algorithm::Sha256, b"0123456789")
}

async fn blob(reply: Reply, from: u64) -> Result<BlobStream, UpstreamError> {
    let server = Scripted::start(move |_| reply.clone()).await;
    server.origin().blob(&name(), &digest(), from).await
}

async fn bytes(blob: BlobStream) -> Result<Vec<u8>, UpstreamError> {
    Ok(blob.body.try_collect::<Vec<Bytes>>().await?.concat())
}

fn part(range: &str, body: &str) -> Reply {
    Reply::new(206).header("content-range", range).body(body)
}

#[tokio::test]
async fn a_blob_streams_with_its_size() {
    let server = Scripted::start(|_| Reply::new(200).body("0123456789")).await;
    let metrics = Arc::new(Metrics::new());
    let blob = origin_with(&server.config(), &metrics).blob(&name(), &digest(), 0).await.unwrap();
    assert_eq!((blob.start, blob.size), (0, Some(10)));
    assert_eq!(bytes(blob).await.unwrap(), b"0123456789");
    assert_eq!(metrics.upstream_bytes.get(), 10);
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.target, format!("/v2/team/app/blobs/{}", digest()));
    assert_eq!(seen.header("range"), None);
}

#[tokio::test]
async fn a_part_begins_where_it_was_asked_to() {
    let server = Scripted::start(|seen| part(&format!("bytes {}9/10", &seen.header("range").unwrap()[6..]), "456789")).await;
    let blob = server.origin().blob(&name(), &digest(), 4).await.unwrap();
    assert_eq!((blob.start, blob.size), (4, Some(10)));
    assert_eq!(bytes(blob).await.unwrap(), b"456789");
    assert_eq!(server.seen()[0].header("range"), Some("bytes=4-"));

    let unknown = self::blob(part("bytes 4-9/*", "456789"), 4).await.unwrap();
    assert_eq!((unknown.start, unknown.size), (4, None));
    assert_eq!(bytes(unknown).await.unwrap(), b"456789");

    let ignored = self::blob(Reply::new(200).body("0123456789"), 4).await.unwrap();
    assert_eq!((ignored.start, ignored.size), (0, Some(10)));
}

#[tokio::test]
async fn answers_that_make_no_sense_are_refused() {
    for (reply, from) in [
        (part("bytes 0-9/10", "0123456789"), 0),
        (part("bytes 3-9/10", "3456789"), 4),
        (part("bytes 4-9/5", "456789"), 4),
        (part("bytes 4-9/10", "4567"), 4),
        (Reply::new(206).body("456789"), 4),
        (Reply::new(204), 0),
        (Reply::new(200).header("content-encoding", "gzip").body("0123456789"), 0),
        (Reply::new(200).header("content-length", "9223372036854775808"), 0),
    ] {
        let error = blob(reply.clone(), from).await.unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::BadAnswer, "{reply:?}: {error}");
    }
    blob(Reply::new(200).header("content-encoding", "identity").body("0123456789"), 0).await.unwrap();
}

#[tokio::test]
async fn a_body_that_falls_short_ends_with_an_error() {
    for reply in [
        Reply::new(200).header("content-length", "10").body("01234"),
        Reply::new(200).header("transfer-encoding", "chunked").body("5\r\n01234\r\n"),
    ] {
        let mut blob = blob(reply, 0).await.unwrap();
        assert_eq!(blob.body.next().await.unwrap().unwrap(), "01234");
        assert_eq!(blob.body.next().await.unwrap().unwrap_err().kind, UpstreamErrorKind::Unavailable);
        assert!(blob.body.next().await.is_none());
    }
    let early = blob(part("bytes 4-5/10", "45"), 4).await.unwrap();
    let error = bytes(early).await.unwrap_err();
    assert!(error.kind == UpstreamErrorKind::Unavailable && error.message.contains("4 bytes"), "{error}");
}

#[tokio::test]
async fn a_body_never_exceeds_what_was_announced() {
    let long = Reply::new(200).header("content-length", "5").body("0123456789");
    assert_eq!(bytes(blob(long, 0).await.unwrap()).await.unwrap(), b"01234");
    let chunked = Reply::new(206)
        .header("content-range", "bytes 4-9/10")
        .header("transfer-encoding", "chunked")
        .body("8\r\n456789xx\r\n0\r\n\r\n");
    assert_eq!(bytes(blob(chunked, 4).await.unwrap()).await.unwrap_err().kind, UpstreamErrorKind::BadAnswer);
}

#[tokio::test]
async fn a_body_of_unknown_length_ends_when_it_ends() {
    let reply = Reply::new(200).header("transfer-encoding", "chunked").body("5\r\n01234\r\n0\r\n\r\n");
    let blob = blob(reply, 0).await.unwrap();
    assert_eq!(blob.size, None);
    assert_eq!(bytes(blob).await.unwrap(), b"01234");
}

#[tokio::test]
async fn silence_in_a_body_is_a_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = crate::config::Upstream::new("test.example");
    config.url = Some(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    config.idle_timeout = Duration::from_millis(700);
    let stalled = Handle::current().spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\n01234").await.unwrap();
        stream
    });
    let mut blob = origin(&config).blob(&name(), &digest(), 0).await.unwrap();
    assert_eq!(blob.body.next().await.unwrap().unwrap(), "01234");
    assert_eq!(blob.body.next().await.unwrap().unwrap_err().kind, UpstreamErrorKind::Timeout);
    drop(stalled.await.unwrap());
}

#[tokio::test]
async fn a_place_is_held_until_the_body_ends() {
    let server = Scripted::start(|_| Reply::new(200).body("0123456789")).await;
    let mut config = server.config();
    config.max_concurrency = 1;
    config.first_byte_timeout = Duration::from_millis(700);
    let origin = origin(&config);
    let first = origin.blob(&name(), &digest(), 0).await.unwrap();
    let error = origin.blob(&name(), &digest(), 0).await.unwrap_err();
    assert!(error.kind == UpstreamErrorKind::Timeout && error.message.contains("max_concurrency"), "{error}");
    bytes(first).await.unwrap();
    origin.blob(&name(), &digest(), 0).await.unwrap();
}

#[tokio::test]
async fn the_size_comes_from_head_when_it_says_it() {
    for (reply, size) in [
        (Reply::new(200).header("content-length", "10"), Some(10)),
        (Reply::new(200).header("transfer-encoding", "chunked"), None),
        (Reply::new(200).header("content-length", "0"), None),
        (Reply::new(405), None),
        (Reply::new(501), None),
    ] {
        let server = Scripted::start(move |_| reply.clone()).await;
        assert_eq!(server.origin().blob_size(&name(), &digest()).await.unwrap(), size);
        assert_eq!(server.seen()[0].method, "HEAD");
    }
    let server = Scripted::start(|_| Reply::new(200).header("content-length", "0")).await;
    let empty = Digest::of(Algorithm::Sha256, b"");
    assert_eq!(server.origin().blob_size(&name(), &empty).await.unwrap(), Some(0));
}
