//! The origin and the pull client, tried on each other.

use bytes::Bytes;
use clap::Parser;
use futures_util::future::join_all;
use hyper::StatusCode;
use indicatif::ProgressBar;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    pull::{PullError, pull},
    scenes::{
        SceneError,
        elsewhere::{self, Elsewhere},
    },
    *,
};
use crate::oci::{Algorithm, Digest};

const FAST: u64 = 10 << 30;

async fn origin_of(images: &Arc<Images>) -> Origin {
    Origin::start(Arc::clone(images), Line::new(Duration::ZERO, FAST)).await.unwrap()
}

/// The head and body of an answer, as text.
async fn ask(origin: &Origin, request_line: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(origin.address()).await.unwrap();
    let request = format!("{request_line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_pull_gets_every_byte_and_the_origin_counts_them() {
    let images = Arc::new(Images::generate(1, 64));
    let origin = origin_of(&images).await;
    let image = &images.family[0];
    let received = pull(origin.address(), image, &ProgressBar::hidden()).await.unwrap();
    let seen = origin.traffic().take();
    assert_eq!(seen.bytes, received);
    // Index and manifest; a configuration and five layers.
    assert_eq!(seen.requests, 8);
    assert_eq!(seen.blobs.len(), 6);
    assert!(seen.blobs.values().all(|&gets| gets == 1));
    assert_eq!(origin.traffic().take().requests, 0, "counted once");
}

#[tokio::test]
async fn machines_at_once_each_get_the_whole_image() {
    let images = Arc::new(Images::generate(1, 64));
    let origin = origin_of(&images).await;
    let hidden = ProgressBar::hidden();
    let pulls = join_all((0..5).map(|_| pull(origin.address(), &images.crowd, &hidden))).await;
    let received: u64 = pulls.into_iter().map(Result::unwrap).sum();
    let seen = origin.traffic().take();
    assert_eq!(seen.bytes, received);
    assert!(seen.blobs.values().all(|&gets| gets == 5));
}

#[tokio::test]
async fn a_layer_that_is_not_what_its_digest_says_fails_the_pull() {
    let mut images = Images::generate(1, 64);
    let repository = images.repositories.get_mut("demo/app-1").unwrap();
    let largest = *repository.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
    let mut forged = repository.blobs[&largest].to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let found = Digest::of(Algorithm::Sha256, &forged);
    repository.blobs.insert(largest, forged.into());
    let images = Arc::new(images);
    let origin = origin_of(&images).await;
    match pull(origin.address(), &images.family[0], &ProgressBar::hidden()).await {
        Err(PullError::Digest { path, found: told }) => {
            assert!(path.ends_with(&largest.to_string()), "{path}");
            assert_eq!(told, found);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_layer_that_is_too_short_or_missing_fails_the_pull() {
    for (missing, expected) in [(false, "bytes, not"), (true, "404")] {
        let mut images = Images::generate(1, 64);
        let repository = images.repositories.get_mut("demo/app-1").unwrap();
        let largest = *repository.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
        if missing {
            repository.blobs.remove(&largest);
        } else {
            repository.blobs.insert(largest, Bytes::from_static(b"short"));
        }
        let images = Arc::new(images);
        let origin = origin_of(&images).await;
        let error = pull(origin.address(), &images.family[0], &ProgressBar::hidden()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_the_expected_one_fails_the_pull() {
    let images = Arc::new(Images::generate(2, 64));
    let origin = origin_of(&images).await;
    let mut image = images.family[0].clone();
    image.index = images.family[1].index;
    let error = pull(origin.address(), &image, &ProgressBar::hidden()).await.unwrap_err();
    assert!(matches!(error, PullError::Digest { .. }), "{error}");
}

#[tokio::test]
async fn the_origin_answers_as_the_specification_says() {
    let images = Arc::new(Images::generate(1, 64));
    let origin = origin_of(&images).await;
    let (digest, bytes) = images.repositories["demo/app-1"].blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let blob = format!("/v2/demo/app-1/blobs/{digest}?ns=docker.io");
    let length = bytes.len();
    let index = images.family[0].index;
    let part = format!("content-range: bytes 1-3/{length}\r\n");
    let whole = format!("content-length: {length}\r\n");
    let named = format!("docker-content-digest: {index}\r\n");
    let outside = format!("content-range: bytes */{length}\r\n");
    for (request, header, status, contains) in [
        ("GET /v2/".to_owned(), "", StatusCode::OK, "{}"),
        ("HEAD /v2/demo/app-1/manifests/v1".to_owned(), "", StatusCode::OK, named.as_str()),
        (format!("HEAD {blob}"), "", StatusCode::OK, whole.as_str()),
        (format!("GET {blob}"), "range: bytes=1-3\r\n", StatusCode::PARTIAL_CONTENT, part.as_str()),
        (format!("GET {blob}"), "range: bytes=99999999-\r\n", StatusCode::RANGE_NOT_SATISFIABLE, outside.as_str()),
        ("GET /v2/demo/app-1/tags/list".to_owned(), "", StatusCode::OK, r#""tags":["v1"]"#),
        ("GET /v2/demo/app-1/manifests/v2".to_owned(), "", StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        ("GET /v2/demo/crowd/manifests/sha256:no".to_owned(), "", StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        (format!("GET /v2/demo/crowd/blobs/{digest}"), "", StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
        ("GET /v2/other/tags/list".to_owned(), "", StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        ("GET /".to_owned(), "", StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        ("POST /v2/demo/app-1/blobs/uploads/".to_owned(), "", StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
    ] {
        let answer = ask(&origin, &request, header).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", status.as_u16())), "{request}: {answer}");
        assert!(answer.contains(contains), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_stopped_origin_refuses_connections() {
    let images = Arc::new(Images::generate(1, 64));
    let mut origin = origin_of(&images).await;
    origin.stop().await;
    origin.stop().await;
    let error = pull(origin.address(), &images.family[0], &ProgressBar::hidden()).await.unwrap_err();
    assert!(matches!(error, PullError::Connect(..)), "{error}");
}

#[tokio::test]
async fn origins_with_the_same_images_are_one_registry_and_count_for_themselves() {
    let images = Arc::new(Images::generate(1, 64));
    let (one, other) = (origin_of(&images).await, origin_of(&images).await);
    let hidden = ProgressBar::hidden();
    let images::Versions { old, new } = &images.versions;
    pull(one.address(), old, &hidden).await.unwrap();
    images.release();
    pull(other.address(), new, &hidden).await.unwrap();
    let error = pull(one.address(), old, &hidden).await.unwrap_err();
    assert!(matches!(error, PullError::Digest { .. }), "{error}");
    assert_eq!((one.traffic().take().blobs.len(), other.traffic().take().blobs.len()), (6, 6));
}

/// Small images, a short way, and the real machinery.
async fn edges(images: &Arc<Images>, data: &Path) -> (Demo, Edges) {
    let demo = parse(&["--quick", "--latency", "1ms", "--bandwidth", "1GB", "--clients", "3"]).unwrap();
    let edges = demo.edges(images, data).await.unwrap();
    (demo, edges)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scenes_count_what_reaches_the_origin() {
    let images = Arc::new(Images::generate(2, 64));
    let scratch = Scratch::new().unwrap();
    let (demo, mut edges) = edges(&images, scratch.path()).await;
    let scenes = scenes::play(&images, &mut edges, demo.manner(&images)).await.unwrap();
    edges.stop().await;
    assert_eq!(scenes.direct.origin.requests, 16);
    assert_eq!(scenes.direct.origin.bytes, scenes.direct.received);
    assert!(scenes.cold.origin.blobs.values().chain(scenes.crowd.origin.blobs.values()).all(|&gets| gets == 1));
    assert_eq!((scenes.warm.origin.blobs.len(), scenes.outage.origin.requests), (0, 0));
    assert_eq!([scenes.cold.received, scenes.warm.received, scenes.outage.received], [scenes.direct.received; 3]);
    assert_eq!((scenes.crowd.pulls, scenes.outage.pulls), (3, 2));

    // Who was told has what is new before anybody asks.
    let Elsewhere { untold, ahead, told } = scenes.elsewhere;
    let of_layers = images.size(images.versions.novel());
    assert!(ahead.bytes > of_layers, "the manifests too: {} of {of_layers}", ahead.bytes);
    assert_eq!((told.origin.bytes, told.origin.blobs.len()), (0, 0));
    // Three layers and a configuration: those of the old version were here.
    assert_eq!(untold.origin.blobs.len(), 4);
    assert_eq!((told.received, untold.origin.bytes), (untold.received, ahead.bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scene_that_fails_says_where() {
    let images = Arc::new(Images::generate(1, 64));
    let scratch = Scratch::new().unwrap();
    let (demo, mut edges) = edges(&images, scratch.path()).await;
    edges.lose_origin().await;
    let error = scenes::play(&images, &mut edges, demo.manner(&images)).await.unwrap_err();
    edges.stop().await;
    let expected = "before the scenes, an image in another region: pulling demo/shop failed: ";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wants_there_is_not_fetched_and_waited_for_no_longer_than_that() {
    let images = Arc::new(Images::generate(1, 64));
    let scratch = Scratch::new().unwrap();
    let (_, edges) = edges(&images, scratch.path()).await;
    // Nobody has pulled the old version in the other region.
    let error = elsewhere::release(&images, &edges, Duration::from_millis(10)).await.unwrap_err();
    edges.stop().await;
    assert!(matches!(error, SceneError::NotFetched { fetched: 0, of: 6, .. }), "{error}");
}

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    demo: Demo,
}

fn parse(arguments: &[&str]) -> Result<Demo, clap::Error> {
    CommandLine::try_parse_from([&["demo"], arguments].concat()).map(|line| line.demo)
}

#[test]
fn options_are_checked() {
    let usual = parse(&[]).unwrap();
    assert_eq!((usual.clients, usual.latency, usual.bandwidth.as_u64()), (50, Duration::from_millis(40), 12_500_000));
    assert_eq!(parse(&["--latency", "0s", "--bandwidth", "2MiB"]).unwrap().bandwidth, ByteSize::mib(2));
    for bad in [
        ["--clients", "0"],
        ["--clients", "1001"],
        ["--latency", "6s"],
        ["--latency", "40"],
        ["--bandwidth", "1"],
        ["--images", "0"],
    ] {
        assert!(parse(&bad).is_err(), "{bad:?}");
    }
}
