//! Parts of blobs: cold, half filled and warm, all out of one transfer.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::{
    client::{Answer, Ask},
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, blob_path, manifest_path},
    upstream::{Gate, Upstream, stalled_after},
};

const NAME: &str = "library/demo";

/// The header, and the first and last byte that it means in a blob of `LENGTH` bytes.
const PARTS: [(&str, usize, usize); 9] = [
    ("bytes=0-0", 0, 0),
    ("bytes=0-", 0, LENGTH - 1),
    ("bytes=500-1499", 500, 1499),
    ("bytes=-500", LENGTH - 500, LENGTH - 1),
    ("bytes=-99999999", 0, LENGTH - 1),
    ("bytes=2500000-", 2_500_000, LENGTH - 1),
    ("bytes=1000000-2000000", 1_000_000, 2_000_000),
    ("bytes=3000000-99999999", 3_000_000, LENGTH - 1),
    ("bytes=3145727-", LENGTH - 1, LENGTH - 1),
];

/// Headers that lie outside of every blob here.
const OUTSIDE: [&str; 5] = ["bytes=500-0", "bytes=3145728-", "bytes=3145728-3145800", "bytes=-0", "bytes=18446744073709551615-"];

/// Headers that are answered with everything.
const WHOLE: [&str; 6] = ["bytes=0-1,5-6", "bytes=0-,0-,0-", "bytes=a-b", "octets=0-1", "bytes 0-1", "bytes="];

const LENGTH: usize = 3 * MIB;

#[track_caller]
fn is_part(answer: &Answer, blob: &Blob, first: usize, last: usize) {
    assert_eq!(answer.status, 206, "{}", answer.text());
    assert!(answer.complete);
    assert!(answer.body == blob.bytes[first..=last], "other bytes than {first}-{last}");
    let length = blob.bytes.len();
    assert_eq!(answer.header("Content-Range"), Some(format!("bytes {first}-{last}/{length}").as_str()));
    assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
}

#[track_caller]
fn is_outside(answer: &Answer, blob: &Blob) {
    assert_eq!(answer.status, 416);
    assert_eq!(answer.header("Content-Range"), Some(format!("bytes */{}", blob.bytes.len()).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn cold_and_then_warm() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::in_front_of(&upstream).await;
    for (seed, (range, first, last)) in (1..).zip(PARTS) {
        let blob = Blob::random(seed, LENGTH);
        upstream.holds_blob(NAME, &blob);
        for _ in ["cold", "warm"] {
            is_part(&proxy.ask("GET", &blob_path(NAME, &blob)).range(range).send().await, &blob, first, last);
        }
        proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
        assert_eq!(upstream.count("GET", &blob.digest), 1, "{range}");
        assert_eq!(upstream.asked("GET", &blob.digest)[0].header("Range"), None, "{range} was passed on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_filled() {
    let upstream = Upstream::start().await;
    let proxy = Arc::new(Proxy::in_front_of(&upstream).await);
    for (seed, (range, first, last)) in (1..).zip(PARTS) {
        let blob = Blob::random(seed, LENGTH);
        let path = blob_path(NAME, &blob);
        let gate = Gate::closed();
        upstream.holds_blob(NAME, &blob);
        upstream.when("GET", &path).once(stalled_after(LENGTH / 2, &gate));
        let mut whole = proxy.open(&path).await;
        whole.take(MIB).await;
        let part = proxy.ask("GET", &path).range(range).send();
        // What has already come is served at once; the rest waits for its bytes.
        let part = if last < MIB {
            part.await
        } else {
            let part = tokio::spawn(part);
            gate.reached(1).await;
            gate.open();
            part.await.unwrap()
        };
        gate.open();
        is_part(&part, &blob, first, last);
        whole.finish().await.is_exactly(&blob.bytes);
        assert_eq!(upstream.count("GET", &blob.digest), 1, "{range}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_blobs_have_parts_too() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 10 * KIB);
    upstream.holds_blob(NAME, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    for (range, first, last) in [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 10_239),
        ("bytes=-500", 9740, 10_239),
        ("bytes=2000-50000", 2000, 10_239),
    ] {
        is_part(&proxy.ask("GET", &blob_path(NAME, &blob)).range(range).send().await, &blob, first, last);
    }
    assert_eq!(upstream.count("GET", &blob.digest), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_the_content() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::in_front_of(&upstream).await;
    for (seed, range) in (1..).zip(OUTSIDE) {
        let blob = Blob::random(seed, LENGTH);
        upstream.holds_blob(NAME, &blob);
        for _ in ["cold", "warm"] {
            is_outside(&proxy.ask("GET", &blob_path(NAME, &blob)).range(range).send().await, &blob);
        }
        proxy.get(&blob_path(NAME, &blob)).await.is_exactly(&blob.bytes);
        assert_eq!(upstream.count("GET", &blob.digest), 1, "{range}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_one_range_is_everything() {
    let upstream = Upstream::start().await;
    let proxy = Proxy::in_front_of(&upstream).await;
    for (seed, range) in (1..).zip(WHOLE) {
        let blob = Blob::random(seed, LENGTH);
        upstream.holds_blob(NAME, &blob);
        for _ in ["cold", "warm"] {
            proxy.ask("GET", &blob_path(NAME, &blob)).range(range).send().await.is_exactly(&blob.bytes);
        }
    }
    let killer = format!("bytes={}", vec!["0-"; 200].join(","));
    let blob = Blob::random(1, LENGTH);
    proxy.ask("GET", &blob_path(NAME, &blob)).range(&killer).send().await.is_exactly(&blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_knows_no_ranges() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, LENGTH);
    upstream.holds_blob(NAME, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    let path = blob_path(NAME, &blob);
    for _ in ["cold", "warm"] {
        for range in ["bytes=0-9", "bytes=3145728-"] {
            let answer = proxy.ask("HEAD", &path).range(range).send().await;
            assert_eq!((answer.status, answer.header("Content-Length")), (200, Some("3145728")), "{range}");
            assert_eq!(answer.header("Content-Range"), None);
        }
        proxy.get(&path).await.is_exactly(&blob.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_know_no_ranges() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    for reference in ["v1", &image.manifest.digest] {
        for range in ["bytes=0-", "bytes=0-9", "bytes=99999999-"] {
            proxy.ask("GET", &manifest_path(NAME, reference)).range(range).send().await.is_exactly(&image.manifest.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn if_range_with_another_tag_is_everything() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, LENGTH);
    upstream.holds_blob(NAME, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    let path = blob_path(NAME, &blob);
    for _ in ["cold", "warm"] {
        for tag in ["\"other\"", &format!("W/\"{}\"", blob.digest)] {
            let answer = proxy.ask("GET", &path).range("bytes=0-9").header("If-Range", tag).send().await;
            answer.is_exactly(&blob.bytes);
        }
    }
    let own = proxy.head(&path).await.header("ETag").unwrap().to_owned();
    is_part(&proxy.ask("GET", &path).range("bytes=0-9").header("If-Range", &own).send().await, &blob, 0, 9);
}

/// As containerd fetches a layer in parallel: it asks for everything from many offsets, and leaves after some of it.
#[tokio::test(flavor = "multi_thread")]
async fn many_open_ranges_that_are_closed_early_are_one_get() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 16 * MIB);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let gate = Gate::closed();
    upstream.when("GET", &path).once(stalled_after(MIB, &gate));
    let proxy = Proxy::in_front_of(&upstream).await;
    let clients: Vec<_> = (0..16)
        .map(|part| {
            let ask = Ask::new(proxy.address(), "GET", &path).range(&format!("bytes={}-", part * MIB));
            let expected = blob.bytes.slice(part * MIB..(part + 1) * MIB);
            tokio::spawn(async move {
                let mut incoming = ask.open().await.unwrap();
                assert_eq!(incoming.status, 206);
                assert!(incoming.take(MIB).await[..MIB] == expected, "other bytes in part {part}");
            })
        })
        .collect();
    gate.reached(1).await;
    gate.open();
    join_all(clients).await.into_iter().for_each(|client| client.unwrap());
    proxy.get(&path).await.is_exactly(&blob.bytes);
    assert_eq!(upstream.count("*", &blob.digest), 1);
}
