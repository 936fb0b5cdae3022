//! Several clients at one upload, one blob, one tag.

use std::{sync::Arc, time::Duration};

use crate::{
    client::{Answer, eventually},
    content::{Blob, KIB, MIB, sha256},
    documents::bare,
    hosted::{ONE, TWO, bytes_below, closing, last_byte},
    proxy::Proxy,
};

/// Time for the other side to be in the middle of what it was asked for; nothing depends on it being enough.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_waits_for_the_first() {
    let proxy = Arc::new(Proxy::hosted().await);
    let location = proxy.begin_upload(ONE).await;
    let mut first = proxy.request("PATCH", &location).begin(2000).await;
    first.write(&[1; 1000]).await;
    a_moment().await;
    let second = tokio::spawn({
        let (proxy, location) = (Arc::clone(&proxy), location.clone());
        async move { proxy.append(&location, &[2; 500]).await }
    });
    a_moment().await;
    first.write(&[1; 1000]).await;
    first.answer().await.is(202);
    second.await.unwrap().is(202);
    proxy.holds(&location, 2500).await;
    // One after the other, whichever was first.
    let (ones, twos) = ([1; 2000], [2; 500]);
    let (one_way, other_way) = ([&ones[..], &twos].concat(), [&twos[..], &ones].concat());
    let mut answer = proxy.close(&location, &sha256(&one_way), b"").await;
    if answer.status == 400 {
        answer = proxy.close(&location, &sha256(&other_way), b"").await;
    }
    answer.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_does_not_wait_for_ever() {
    let proxy = Proxy::hosted().await;
    let location = proxy.begin_upload(ONE).await;
    let mut first = proxy.request("PATCH", &location).begin(2000).await;
    first.write(&[1; 1000]).await;
    a_moment().await;
    let digest = sha256(&[1; 1000]);
    let (appended, closed) = tokio::join!(proxy.append(&location, &[2; 500]), proxy.close(&location, &digest, b""));
    appended.refuses(409, "BLOB_UPLOAD_INVALID");
    closed.refuses(409, "BLOB_UPLOAD_INVALID");
    first.write(&[1; 1000]).await;
    first.answer().await.is(202);
    proxy.close(&location, &sha256(&[1; 2000]), b"").await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_send_the_same_chunk_one_wins() {
    let proxy = Proxy::hosted().await;
    for round in 0..10 {
        let blob = Blob::random(round, 20 * KIB);
        let location = proxy.begin_upload(ONE).await;
        let (one, other) = tokio::join!(proxy.append_at(&location, 0, &blob.bytes), proxy.append_at(&location, 0, &blob.bytes));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 416], "{} {}", one.text(), other.text());
        proxy.close(&location, &blob.digest, b"").await.is(201);
        proxy.has_blob(ONE, &blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_close_one_wins() {
    let proxy = Proxy::hosted().await;
    for round in 0..10 {
        let blob = Blob::random(round, 20 * KIB);
        let location = proxy.begin_upload(ONE).await;
        proxy.append(&location, &blob.bytes).await.is(202);
        let (one, other) = tokio::join!(proxy.close(&location, &blob.digest, b""), proxy.close(&location, &blob.digest, b""));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 404], "{} {}", one.text(), other.text());
        proxy.has_blob(ONE, &blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_learns_that_its_upload_was_cancelled() {
    let proxy = Proxy::hosted().await;
    tokio::join!(cancelled_in_the_middle(&proxy, false), cancelled_in_the_middle(&proxy, true));
    eventually("the bytes are gone", async || bytes_below(&proxy.data().join("uploads")) == 0).await;
}

async fn cancelled_in_the_middle(proxy: &Proxy, chunked: bool) {
    let location = proxy.begin_upload(ONE).await;
    let request = proxy.request("PATCH", &location);
    let mut writer = if chunked { request.begin_chunked().await } else { request.begin(2000).await };
    let half = [1; 1000];
    if chunked {
        writer.chunk(&half).await
    } else {
        writer.write(&half).await
    }
    a_moment().await;
    proxy.delete(&location).await.is(204);
    if chunked {
        writer.chunk(&half).await;
        writer.last_chunk().await;
    } else {
        writer.write(&half).await;
    }
    writer.answer().await.refuses(404, "BLOB_UPLOAD_UNKNOWN");
    proxy.knows_no_upload(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closer_learns_that_its_upload_was_cancelled() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 2000);
    let location = proxy.begin_upload(ONE).await;
    let mut closer = proxy.request("PUT", &closing(&location, &blob.digest)).begin(2000).await;
    closer.write(&blob.bytes[..1000]).await;
    a_moment().await;
    proxy.delete(&location).await.is(204);
    closer.write(&blob.bytes[1000..]).await;
    closer.answer().await.refuses(404, "BLOB_UPLOAD_UNKNOWN");
    proxy.lacks_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_told_while_somebody_writes() {
    let proxy = Proxy::hosted().await;
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &[1; 100]).await.is(202);
    let mut writer = proxy.request("PATCH", &location).begin(2000).await;
    writer.write(&[1; 1000]).await;
    let answer = proxy.get(&location).await;
    answer.is(204);
    assert!((99..1100).contains(&last_byte(&answer)));
    writer.write(&[1; 1000]).await;
    writer.answer().await.is(202);
    proxy.holds(&location, 2100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_push_the_same_blob_at_once() {
    let proxy = Arc::new(Proxy::hosted().await);
    let blob = Blob::random(1, MIB);
    let pushes = (0..12).map(|n| {
        let (proxy, blob) = (Arc::clone(&proxy), blob.clone());
        tokio::spawn(async move { proxy.push_blob(if n % 2 == 0 { ONE } else { TWO }, &blob).await })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap();
    }
    for name in [ONE, TWO] {
        proxy.has_blob(name, &blob).await;
    }
}

/// The last one wins, whoever it is, and no reader ever sees something else than one of them.
#[tokio::test(flavor = "multi_thread")]
async fn many_move_the_same_tag_at_once() {
    let proxy = Arc::new(Proxy::hosted().await);
    proxy.push_empty_json(ONE).await;
    let manifests: Vec<_> = (0..20).map(bare).collect();
    proxy.push_manifest(ONE, "v1", &manifests[0]).await;
    let pushes = manifests.iter().cloned().map(|manifest| {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            proxy.push_manifest(ONE, "v1", &manifest).await;
            one_of_them(&proxy.get("/v2/local/one/manifests/v1").await)
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap();
    }
    let found = proxy.get("/v2/local/one/manifests/v1").await;
    one_of_them(&found);
    assert!(manifests.iter().any(|manifest| manifest.bytes == found.body));
    for manifest in &manifests {
        proxy.has_manifest(ONE, &manifest.digest, manifest).await;
    }
}

fn one_of_them(answer: &Answer) {
    answer.is(200);
    assert_eq!(answer.header("Docker-Content-Digest"), Some(sha256(&answer.body).as_str()));
}

/// An answer of success is never taken back by somebody who deletes something else.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_deletes_of_two_repositories_do_not_touch_each_other() {
    let proxy = Arc::new(Proxy::hosted().await);
    let blob = Blob::random(1, 10 * KIB);
    let other = tokio::spawn({
        let (proxy, blob) = (Arc::clone(&proxy), blob.clone());
        async move {
            for _ in 0..15 {
                proxy.push_blob(TWO, &blob).await;
                proxy.delete(&crate::proxy::blob_path(TWO, &blob)).await.is(202);
            }
        }
    });
    for _ in 0..15 {
        proxy.push_blob(ONE, &blob).await;
        proxy.has_blob(ONE, &blob).await;
    }
    other.await.unwrap();
    proxy.has_blob(ONE, &blob).await;
    proxy.lacks_blob(TWO, &blob).await;
}
