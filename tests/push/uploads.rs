//! Uploads: every way of bringing bytes in, and every way of getting it wrong.

use crate::{
    client::eventually,
    content::{Blob, KIB, MIB, OCI_MANIFEST, sha256},
    hosted::{ONE, bytes_below, closing, last_byte, uploads_path},
    proxy::{Proxy, blob_path},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_opened_with_an_id_and_nothing_in_it() {
    let proxy = Proxy::hosted().await;
    let answer = proxy.request("POST", &uploads_path(ONE)).send().await;
    let location = answer.opens_upload(ONE);
    assert_eq!(answer.header("Range"), Some("0-0"));
    let id = answer.header("Docker-Upload-UUID").unwrap();
    assert!(location.contains(id) && id.len() == 36, "{location} {id}");
    assert_ne!(proxy.begin_upload(ONE).await, location);
    proxy.holds(&location, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_comes_with_the_close() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 100 * KIB);
    proxy.push_blob(ONE, &blob).await;
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_comes_in_one_request() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 100 * KIB);
    let target = closing(&uploads_path(ONE), &blob.digest);
    let answer = proxy.request("POST", &target).body(blob.bytes.clone()).send().await;
    answer.is(201);
    assert_eq!(answer.location(), blob_path(ONE, &blob));
    assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
    proxy.has_blob(ONE, &blob).await;
    let other = Blob::random(2, 100 * KIB);
    let target = closing(&uploads_path(ONE), &other.digest);
    proxy.request("POST", &target).chunked(other.bytes.chunks(7000)).send().await.is(201);
    proxy.has_blob(ONE, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_single_request_with_other_bytes() {
    let proxy = Proxy::hosted().await;
    let (blob, other) = (Blob::random(1, 100 * KIB), Blob::random(2, 100 * KIB));
    for body in [other.bytes.clone(), blob.bytes.slice(1..), blob.bytes.slice(..0)] {
        let target = closing(&uploads_path(ONE), &blob.digest);
        proxy.request("POST", &target).body(body).send().await.refuses(400, "DIGEST_INVALID");
    }
    proxy.lacks_blob(ONE, &blob).await;
    proxy.lacks_blob(ONE, &other).await;
    assert_eq!(bytes_below(&proxy.data().join("uploads")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_follow_each_other() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 50 * KIB);
    let location = proxy.begin_upload(ONE).await;
    let mut latest = location.clone();
    for (at, chunk) in blob.bytes.chunks(9999).enumerate() {
        let answer = proxy.append_at(&latest, at * 9999, chunk).await;
        latest = answer.opens_upload(ONE);
        assert_eq!(last_byte(&answer), at * 9999 + chunk.len() - 1);
        // Every location that was ever given goes on working.
        for location in [&location, &latest] {
            proxy.holds(location, at * 9999 + chunk.len()).await;
        }
    }
    proxy.close(&latest, &blob.digest, b"").await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_chunk_may_come_with_the_close() {
    let proxy = Proxy::hosted().await;
    for ranged in [false, true] {
        let blob = Blob::random(u64::from(ranged), 30 * KIB);
        let location = proxy.begin_upload(ONE).await;
        proxy.append(&location, &blob.bytes[..10_000]).await.opens_upload(ONE);
        let close = proxy.request("PUT", &closing(&location, &blob.digest));
        let close = if ranged { close.content_range(10_000, blob.bytes.len() - 1) } else { close };
        close.body(blob.bytes.slice(10_000..)).send().await.is(201);
        proxy.has_blob(ONE, &blob).await;
        proxy.knows_no_upload(&location).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_neither_length_nor_range() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3 * MIB);
    let location = proxy.begin_upload(ONE).await;
    let answer = proxy.request("PATCH", &location).chunked(blob.bytes.chunks(60_000)).send().await;
    answer.opens_upload(ONE);
    assert_eq!(last_byte(&answer), blob.bytes.len() - 1);
    proxy.close(&location, &blob.digest, b"").await.is(201);
    proxy.has_blob(ONE, &blob).await;
    // The close may be a stream, too.
    let other = Blob::random(2, MIB);
    let location = proxy.begin_upload(ONE).await;
    proxy.request("PUT", &closing(&location, &other.digest)).chunked(other.bytes.chunks(60_000)).send().await.is(201);
    proxy.has_blob(ONE, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_chunks_can_be_mixed() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 9000);
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &blob.bytes[..3000]).await.is(202);
    proxy.append_at(&location, 3000, &blob.bytes[3000..6000]).await.is(202);
    let stream = proxy.request("PATCH", &location).content_range(6000, 8999);
    stream.chunked(blob.bytes[6000..].chunks(100)).send().await.is(202);
    proxy.close(&location, &blob.digest, b"").await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_chunk_changes_nothing() {
    let proxy = Proxy::hosted().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, b"").await.is(202);
    proxy.holds(&location, 0).await;
    proxy.append(&location, b"abc").await.is(202);
    for answer in [
        proxy.append(&location, b"").await,
        proxy.request("PATCH", &location).send().await,
        proxy.request("PATCH", &location).chunked([]).send().await,
    ] {
        answer.is(202);
        assert_eq!(last_byte(&answer), 2);
    }
    proxy.close(&location, &sha256(b"abc"), b"").await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_out_of_order_is_refused_and_the_upload_goes_on() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    let location = proxy.begin_upload(ONE).await;
    let ranges = |taken: usize| {
        let next = [format!("{}-{}", taken + 1, taken + 1000), format!("{}-{}", taken.max(1) - 1, taken.max(1) + 998)];
        let always = ["2000-1001", "bytes 0-999", "0-", "-5", "a-b", "", "0-999/3000", "0-999/*", "+0-999", " -", "0--1"];
        let huge = ["18446744073709551615-18446744073709551616".to_owned(), "0-18446744073709551615".to_owned()];
        next.into_iter().chain(always.map(str::to_owned)).chain(huge).filter(move |range| taken > 0 || range != "0-999")
    };
    for taken in [0, 1000, 2000] {
        for range in ranges(taken) {
            let request = proxy.request("PATCH", &location).header("Content-Range", &range);
            let answer = request.body(blob.bytes.slice(..1000)).send().await;
            answer.refuses(416, "BLOB_UPLOAD_INVALID");
            assert_eq!(answer.header("Location"), Some(location.as_str()), "{range}");
            assert_eq!(last_byte(&answer), taken.max(1) - 1, "{range}");
        }
        proxy.append_at(&location, taken, &blob.bytes[taken..taken + 1000]).await.is(202);
    }
    // The same chunk again.
    proxy.append_at(&location, 2000, &blob.bytes[2000..]).await.refuses(416, "BLOB_UPLOAD_INVALID");
    proxy.close(&location, &blob.digest, b"").await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_chunk_out_of_order_is_refused_and_the_upload_goes_on() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &blob.bytes[..1000]).await.is(202);
    for (first, last) in [(0, 1999), (999, 2998), (1001, 3000), (1000, 2998), (1000, 3000)] {
        let close = proxy.request("PUT", &closing(&location, &blob.digest)).content_range(first, last);
        let answer = close.body(blob.bytes.slice(1000..)).send().await;
        answer.refuses(416, "BLOB_UPLOAD_INVALID");
        assert_eq!(last_byte(&answer), 999, "{first}-{last}");
        proxy.holds(&location, 1000).await;
    }
    proxy.close(&location, &blob.digest, &blob.bytes[1000..]).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_another_length_than_the_body_is_refused() {
    let proxy = Proxy::hosted().await;
    let bytes = Blob::random(1, 100).bytes;
    let location = proxy.begin_upload(ONE).await;
    for last in [0, 98, 100, 1 << 40] {
        let answer = proxy.request("PATCH", &location).content_range(0, last).body(bytes.clone()).send().await;
        answer.refuses(416, "BLOB_UPLOAD_INVALID");
        proxy.holds(&location, 0).await;
    }
    // A stream shows only at its end that it is too short or too long.
    proxy.append(&location, &bytes[..10]).await.is(202);
    for last in [50, 98, 108, 110, 5000] {
        let stream = proxy.request("PATCH", &location).content_range(10, last);
        let answer = stream.chunked(bytes.chunks(30)).send().await;
        answer.refuses(400, "SIZE_INVALID");
        proxy.holds(&location, 10).await;
    }
    proxy.close(&location, &sha256(&bytes), &bytes[10..]).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_leaves_the_upload_as_it_was() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    let hex = &blob.digest[7..];
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &blob.bytes[..1000]).await.is(202);
    let wrong = [
        sha256(b"other"),
        blob.clone().by_sha512().digest.replace('0', "1"),
        "sha256:".to_owned(),
        String::new(),
        hex.to_owned(),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        format!("sha256:{}", "g".repeat(64)),
        format!("sha512:{hex}"),
        "md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        format!("blake3:{hex}"),
        format!("sha256:sha256:{hex}"),
        "sha256:..%2f..%2fetc%2fpasswd".to_owned(),
        format!("{}%00", blob.digest),
        format!("{}%20", blob.digest),
        format!("sha256:{}", "a".repeat(7000)),
        format!("{}&digest={}", blob.digest, sha256(b"other")),
    ];
    for digest in &wrong {
        for body in [&blob.bytes[1000..], b""] {
            let answer = proxy.close(&location, digest, body).await;
            answer.refuses(400, "DIGEST_INVALID");
            proxy.holds(&location, 1000).await;
        }
    }
    proxy.request("PUT", &location).body("").send().await.refuses(400, "DIGEST_INVALID");
    let wrong_stream = proxy.request("PUT", &closing(&location, &sha256(b"other"))).chunked(blob.bytes[1000..].chunks(99));
    wrong_stream.send().await.refuses(400, "DIGEST_INVALID");
    proxy.holds(&location, 1000).await;
    proxy.lacks_blob(ONE, &blob).await;
    proxy.append(&location, &blob.bytes[1000..2000]).await.is(202);
    proxy.close(&location, &blob.digest, &blob.bytes[2000..]).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_may_be_encoded_in_the_query() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    let location = proxy.begin_upload(ONE).await;
    proxy.close(&location, &blob.digest.replace(':', "%3A"), &blob.bytes).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_algorithm_that_is_announced_is_a_hint() {
    let proxy = Proxy::hosted().await;
    for (seed, announced) in [(1, "sha256"), (2, "sha512")] {
        for blob in [Blob::random(seed, 5000), Blob::random(seed + 10, 5000).by_sha512()] {
            let answer = proxy.request("POST", &format!("{}?digest-algorithm={announced}", uploads_path(ONE))).send().await;
            let location = answer.opens_upload(ONE);
            proxy.append(&location, &blob.bytes[..1234]).await.is(202);
            proxy.close(&location, &blob.digest, &blob.bytes[1234..]).await.is(201);
            proxy.has_blob(ONE, &blob).await;
        }
    }
    for unknown in ["md5", "SHA256", "", "sha384", "..%2f"] {
        let answer = proxy.request("POST", &format!("{}?digest-algorithm={unknown}", uploads_path(ONE))).send().await;
        answer.refuses(400, "DIGEST_INVALID");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_is_gone_with_its_bytes() {
    let proxy = Proxy::hosted().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &[7; 5000]).await.is(202);
    assert!(bytes_below(&proxy.data().join("uploads")) >= 5000);
    proxy.delete(&location).await.is(204);
    eventually("the bytes are gone", async || bytes_below(&proxy.data().join("uploads")) == 0).await;
    proxy.knows_no_upload(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_upload_is_gone() {
    let proxy = Proxy::hosted().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.close(&location, &sha256(b"{}"), b"{}").await.is(201);
    proxy.knows_no_upload(&location).await;
    eventually("nothing is left of it", async || bytes_below(&proxy.data().join("uploads")) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_bodies_are_refused_and_never_inflated() {
    let proxy = Proxy::hosted().await;
    let location = proxy.begin_upload(ONE).await;
    for encoding in ["gzip", "zstd", "br"] {
        let patch = proxy.request("PATCH", &location).header("Content-Encoding", encoding);
        patch.body("abc").send().await.refuses(415, "UNSUPPORTED");
        let close = proxy.request("PUT", &closing(&location, &sha256(b"abc"))).header("Content-Encoding", encoding);
        close.body("abc").send().await.refuses(415, "UNSUPPORTED");
    }
    proxy.holds(&location, 0).await;
    // What is a compressed file by itself is bytes.
    let bomb = Blob::new([&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..], &[0x5a; 500]].concat());
    proxy.close(&location, &bomb.digest, &bomb.bytes).await.is(201);
    proxy.has_blob(ONE, &bomb).await;
}

/// Clients say all sorts of things about a blob's type.
#[tokio::test(flavor = "multi_thread")]
async fn the_content_type_of_a_blob_does_not_matter() {
    let proxy = Proxy::hosted().await;
    for content_type in ["application/octet-stream", OCI_MANIFEST, "text/html", "nonsense", "application/json; charset=utf-8"] {
        let blob = Blob::new(content_type.as_bytes().to_vec());
        let location = proxy.begin_upload(ONE).await;
        let half = proxy.request("PATCH", &location).header("Content-Type", content_type);
        half.body(blob.bytes.slice(..3)).send().await.is(202);
        let close = proxy.request("PUT", &closing(&location, &blob.digest)).header("Content-Type", content_type);
        close.body(blob.bytes.slice(3..)).send().await.is(201);
        proxy.has_blob(ONE, &blob).await;
        assert_eq!(proxy.head(&blob_path(ONE, &blob)).await.header("Content-Type"), Some("application/octet-stream"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_blob_may_be_pushed_again() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    for _ in 0..3 {
        proxy.push_blob(ONE, &blob).await;
        proxy.has_blob(ONE, &blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_one_client_do_not_mix() {
    let proxy = Proxy::hosted().await;
    let blobs: Vec<_> = (0..5).map(|seed| Blob::random(seed, 4000 + seed as usize)).collect();
    let mut locations = Vec::new();
    for _ in &blobs {
        locations.push(proxy.begin_upload(ONE).await);
    }
    for at in (0..4000).step_by(1000) {
        for (blob, location) in blobs.iter().zip(&locations) {
            proxy.append_at(location, at, &blob.bytes[at..at + 1000]).await.is(202);
        }
    }
    for (blob, location) in blobs.iter().zip(&locations).rev() {
        proxy.close(location, &blob.digest, &blob.bytes[4000..]).await.is(201);
        proxy.has_blob(ONE, blob).await;
    }
}
