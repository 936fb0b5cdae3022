//! Clients that leave in the middle.

use crate::{
    client::eventually,
    content::{Blob, OCI_MANIFEST, sha256},
    documents::bare,
    hosted::{ONE, closing, last_byte, uploads_path},
    proxy::{Proxy, Setup, manifest_path},
};

/// A client that dies with half a stream sent finds what had arrived.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_of_a_broken_stream_is_kept() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    let location = proxy.begin_upload(ONE).await;
    let mut half = proxy.request("PATCH", &location).begin(2000).await;
    half.write(&blob.bytes[..1000]).await;
    half.break_off();
    eventually("the first half", async || last_byte(&proxy.get(&location).await) == 999).await;
    let mut half = proxy.request("PATCH", &location).begin_chunked().await;
    half.chunk(&blob.bytes[1000..1500]).await;
    half.chunk(&blob.bytes[1500..2000]).await;
    half.break_off();
    eventually("a third half", async || last_byte(&proxy.get(&location).await) == 1999).await;
    eventually("nobody writes any more", async || proxy.append_at(&location, 2000, &blob.bytes[2000..2500]).await.status == 202)
        .await;
    proxy.close(&location, &blob.digest, &blob.bytes[2500..]).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

/// A client that says which chunk it sends, sends that chunk again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_a_broken_chunk() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    let location = proxy.begin_upload(ONE).await;
    proxy.append_at(&location, 0, &blob.bytes[..1000]).await.is(202);
    for _ in 0..2 {
        let mut half = proxy.request("PATCH", &location).content_range(1000, 1999).begin(1000).await;
        half.write(&blob.bytes[1000..1500]).await;
        half.break_off();
    }
    eventually("the whole chunk", async || {
        let answer = proxy.append_at(&location, 1000, &blob.bytes[1000..2000]).await;
        assert!([202, 409].contains(&answer.status), "{}", answer.text());
        answer.status == 202
    })
    .await;
    proxy.close(&location, &blob.digest, &blob.bytes[2000..]).await.is(201);
    proxy.has_blob(ONE, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_breaks_off_can_be_repeated() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 3000);
    let location = proxy.begin_upload(ONE).await;
    proxy.append_at(&location, 0, &blob.bytes[..1000]).await.is(202);
    let mut half = proxy.request("PUT", &closing(&location, &blob.digest)).content_range(1000, 2999).begin(2000).await;
    half.write(&blob.bytes[1000..1500]).await;
    half.break_off();
    eventually("the whole chunk", async || {
        let close = proxy.request("PUT", &closing(&location, &blob.digest)).content_range(1000, 2999);
        let answer = close.body(blob.bytes.slice(1000..)).send().await;
        assert!([201, 409].contains(&answer.status), "{}", answer.text());
        answer.status == 201
    })
    .await;
    proxy.has_blob(ONE, &blob).await;
}

/// A client that dies leaves no upload behind that nobody knows the name of.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_breaks_off_takes_no_place() {
    let proxy = Setup::hosted().setting("max_uploads", 2).start().await;
    let target = closing(&uploads_path(ONE), &sha256(&[1; 10_000]));
    for _ in 0..2 {
        let mut half = proxy.request("POST", &target).begin(10_000).await;
        half.write(&[1; 5000]).await;
        half.break_off();
        let door = "/layer/upload?image=local/one&version=1";
        proxy.request("POST", door).begin_chunked().await.break_off();
    }
    for _ in 0..2 {
        eventually("a free place", async || proxy.request("POST", &uploads_path(ONE)).send().await.status == 202).await;
    }
    let half = proxy.request("POST", &target).begin(10_000).await;
    half.answer().await.refuses(429, "TOOMANYREQUESTS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_breaks_off_is_not_there() {
    let proxy = Proxy::hosted().await;
    proxy.push_empty_json(ONE).await;
    let manifest = bare(1);
    for reference in ["v1", &manifest.digest] {
        let put = proxy.request("PUT", &manifest_path(ONE, reference)).header("Content-Type", OCI_MANIFEST);
        let mut half = put.clone().begin(manifest.bytes.len()).await;
        half.write(&manifest.bytes[..manifest.bytes.len() - 1]).await;
        half.break_off();
        let mut half = put.begin_chunked().await;
        half.chunk(&manifest.bytes).await;
        half.break_off();
    }
    proxy.still_answers().await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    proxy.lacks_manifest(ONE, "v1").await;
    proxy.lacks_manifest(ONE, &manifest.digest).await;
}
