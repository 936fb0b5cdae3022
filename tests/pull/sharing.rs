//! Many clients of one transfer: none of them can harm the others.

use crate::{
    client::eventually,
    content::{Blob, KIB, MIB},
    proxy::{Proxy, Setup, blob_path},
    upstream::{Gate, Upstream, both, corrupt, stalled, stalled_after, status, truncated},
};

const NAME: &str = "library/demo";

/// More than all the buffers of two connections on loopback hold.
const LARGE: usize = 24 * MIB;

/// An upstream whose first answer to a GET of its blob stops after 1 MiB.
async fn halting(length: usize) -> (Upstream, Blob, String, Gate) {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, length);
    let path = blob_path(NAME, &blob);
    let gate = Gate::closed();
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).once(stalled_after(MIB, &gate));
    (upstream, blob, path, gate)
}

/// Time for the proxy to notice that a client has gone.
async fn a_moment() {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_one_leaves() {
    let (upstream, blob, path, gate) = halting(LARGE).await;
    let proxy = Proxy::in_front_of(&upstream).await;
    let mut first = proxy.open(&path).await;
    first.take(100 * KIB).await;
    let second = proxy.open(&path).await;
    drop(first);
    a_moment().await;
    gate.open();
    second.finish().await.is_exactly(&blob.bytes);
    assert_eq!(upstream.count("GET", &path), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_but_one_leave() {
    let (upstream, blob, path, gate) = halting(LARGE).await;
    let proxy = Proxy::in_front_of(&upstream).await;
    let mut clients = Vec::new();
    for n in 0..10 {
        let mut client = proxy.open(&path).await;
        client.take(n * 10 * KIB).await;
        clients.push(client);
    }
    let survivor = clients.remove(5);
    drop(clients);
    a_moment().await;
    gate.open();
    survivor.finish().await.is_exactly(&blob.bytes);
    assert_eq!(upstream.count("GET", &path), 1);
}

/// A client that went away has started a transfer that the next one will want.
#[tokio::test(flavor = "multi_thread")]
async fn all_leave_and_the_transfer_of_a_small_blob_goes_on() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 500 * KIB);
    let path = blob_path(NAME, &blob);
    let gate = Gate::closed();
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).once(stalled_after(100 * KIB, &gate));
    let proxy = Proxy::in_front_of(&upstream).await;
    let asking = tokio::spawn(proxy.ask("GET", &path).open());
    gate.reached(1).await;
    asking.abort();
    let _ = asking.await;
    a_moment().await;
    gate.open();
    proxy.get(&path).await.is_exactly(&blob.bytes);
    assert_eq!(upstream.count("GET", &path), 1);
}

/// The same before the upstream has said anything.
#[tokio::test(flavor = "multi_thread")]
async fn all_leave_before_the_head_has_come() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 500 * KIB);
    let path = blob_path(NAME, &blob);
    let gate = Gate::closed();
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).once(stalled(&gate));
    let proxy = Proxy::in_front_of(&upstream).await;
    let asking = tokio::spawn(proxy.ask("GET", &path).open());
    gate.reached(1).await;
    asking.abort();
    let _ = asking.await;
    a_moment().await;
    gate.open();
    proxy.get(&path).await.is_exactly(&blob.bytes);
    assert!(upstream.count("GET", &path) <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_stops_nobody() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, LARGE);
    let path = blob_path(NAME, &blob);
    upstream.holds_blob(NAME, &blob);
    let proxy = Proxy::in_front_of(&upstream).await;
    let sleeper = proxy.open(&path).await;
    for _ in 0..3 {
        proxy.get(&path).await.is_exactly(&blob.bytes);
    }
    assert_eq!(upstream.count("GET", &path), 1);
    // It gets its bytes when it wakes up, although the transfer has long ended.
    sleeper.finish().await.is_exactly(&blob.bytes);
}

/// Headers do not wait for a body.
#[tokio::test(flavor = "multi_thread")]
async fn the_head_comes_before_the_body_has_ended() {
    let (upstream, blob, path, gate) = halting(3 * MIB).await;
    let proxy = Proxy::in_front_of(&upstream).await;
    let mut client = proxy.open(&path).await;
    assert_eq!((client.status, client.header("Content-Length")), (200, Some("3145728")));
    client.take(500 * KIB).await;
    gate.open();
    client.finish().await.is_exactly(&blob.bytes);
    drop(upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_one_only_for_those_who_waited_for_it() {
    let upstream = Upstream::start().await;
    let blob = Blob::random(1, 500 * KIB);
    let path = blob_path(NAME, &blob);
    let gate = Gate::closed();
    upstream.holds_blob(NAME, &blob);
    upstream.when("GET", &path).once(both(status(500), stalled(&gate)));
    let proxy = Setup::in_front_of(&upstream).start().await;
    let waiting: Vec<_> = (0..5).map(|_| tokio::spawn(proxy.ask("GET", &path).send())).collect();
    gate.reached(1).await;
    a_moment().await;
    gate.open();
    for answer in waiting {
        answer.await.unwrap().is_error(&[502, 503]);
    }
    assert_eq!(upstream.count("GET", &path), 1);
    proxy.get(&path).await.is_exactly(&blob.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_wrong_for_all_and_the_next_one_begins_anew() {
    let (upstream, blob, path, gate) = halting(3 * MIB).await;
    upstream.behaves();
    upstream.when("GET", &path).once(both(corrupt(), stalled_after(MIB, &gate)));
    let proxy = Proxy::in_front_of(&upstream).await;
    let first = proxy.open(&path).await;
    let second = proxy.open(&path).await;
    gate.open();
    let (first, second) = tokio::join!(first.finish(), second.finish());
    assert!(!first.complete && !second.complete);
    // The last piece is withheld until all is known to be right.
    assert!(first.body.len() < blob.bytes.len() && second.body.len() < blob.bytes.len());
    proxy.get(&path).await.is_exactly(&blob.bytes);
}

/// Everyone who follows is healed with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_break_is_healed_for_all_at_once() {
    let (upstream, blob, path, gate) = halting(3 * MIB).await;
    upstream.behaves();
    upstream.when("GET", &path).once(both(truncated(2 * MIB), stalled_after(MIB, &gate)));
    let proxy = Proxy::in_front_of(&upstream).await;
    let first = proxy.open(&path).await;
    let second = proxy.open(&path).await;
    gate.open();
    let (first, second) = tokio::join!(first.finish(), second.finish());
    first.is_exactly(&blob.bytes);
    second.is_exactly(&blob.bytes);
    assert_eq!(upstream.count("GET", &path), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_transfers_than_allowed_wait_their_turn() {
    let upstream = Upstream::start().await;
    let gate = Gate::closed();
    let blobs: Vec<_> = (1..=6).map(|seed| Blob::random(seed, 100 * KIB)).collect();
    for blob in &blobs {
        upstream.holds_blob(NAME, blob);
    }
    upstream.when("GET", "/v2/*").always(stalled(&gate));
    let proxy = Setup::in_front_of(&upstream).with(|config| config.cache.max_fills = 2).start().await;
    let asked: Vec<_> = blobs.iter().map(|blob| tokio::spawn(proxy.ask("GET", &blob_path(NAME, blob)).send())).collect();
    gate.reached(2).await;
    a_moment().await;
    assert_eq!(upstream.count("GET", "/blobs/"), 2);
    gate.open();
    for (answer, blob) in asked.into_iter().zip(&blobs) {
        answer.await.unwrap().is_exactly(&blob.bytes);
    }
    eventually("a warm cache", async || {
        proxy.get(&blob_path(NAME, &blobs[0])).await.header("Cache-Status").unwrap().contains("; hit")
    })
    .await;
}
