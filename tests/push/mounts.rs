//! A blob of another repository, without sending it again.

use crate::{
    client::Answer,
    content::{Blob, Image, KIB},
    hosted::{ONE, TWO, uploads_path},
    proxy::{Proxy, Setup, blob_path},
    upstream::Upstream,
};

async fn mount(proxy: &Proxy, name: &str, query: &str) -> Answer {
    proxy.request("POST", &format!("{}?{query}", uploads_path(name))).send().await
}

#[track_caller]
fn mounted(answer: &Answer, name: &str, blob: &Blob) {
    answer.is(201);
    assert_eq!(answer.location(), blob_path(name, blob));
    assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
}

/// The offer was not taken up: an upload stands open instead, and works.
async fn must_be_sent(proxy: &Proxy, answer: Answer, name: &str, blob: &Blob) {
    let location = answer.opens_upload(name);
    proxy.lacks_blob(name, blob).await;
    proxy.append(&location, &blob.bytes[..10]).await.is(202);
    proxy.delete(&location).await.is(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_mounted_from_the_repository_that_has_it() {
    let proxy = Proxy::hosted().await;
    for blob in [Blob::random(1, 10 * KIB), Blob::random(2, 10 * KIB).by_sha512()] {
        proxy.push_blob(ONE, &blob).await;
        mounted(&mount(&proxy, TWO, &format!("mount={}&from={ONE}", blob.digest)).await, TWO, &blob);
        proxy.has_blob(TWO, &blob).await;
        // Again, the other way round, and onto itself.
        mounted(&mount(&proxy, TWO, &format!("from={ONE}&mount={}", blob.digest)).await, TWO, &blob);
        mounted(&mount(&proxy, ONE, &format!("mount={}&from={TWO}", blob.digest)).await, ONE, &blob);
        mounted(&mount(&proxy, ONE, &format!("mount={}&from={ONE}", blob.digest)).await, ONE, &blob);
        // A mounted blob is one's own.
        proxy.delete(&blob_path(ONE, &blob)).await.is(202);
        proxy.has_blob(TWO, &blob).await;
        mounted(&mount(&proxy, "local/three", &format!("mount={}&from={TWO}", blob.digest)).await, "local/three", &blob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_may_be_encoded_in_the_query() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, KIB);
    proxy.push_blob(ONE, &blob).await;
    let query = format!("mount={}&from={}", blob.digest.replace(':', "%3A"), ONE.replace('/', "%2F"));
    mounted(&mount(&proxy, TWO, &query).await, TWO, &blob);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_source_any_hosted_repository_will_do() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 10 * KIB);
    must_be_sent(&proxy, mount(&proxy, TWO, &format!("mount={}", blob.digest)).await, TWO, &blob).await;
    proxy.push_blob(ONE, &blob).await;
    mounted(&mount(&proxy, TWO, &format!("mount={}", blob.digest)).await, TWO, &blob);
    proxy.has_blob(TWO, &blob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_does_not_have_must_be_sent() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 10 * KIB);
    for source in [ONE, "local/never", "library/demo", "docker.io/library/demo"] {
        let answer = mount(&proxy, TWO, &format!("mount={}&from={source}", blob.digest)).await;
        must_be_sent(&proxy, answer, TWO, &blob).await;
    }
    // That a third one has it is nothing to go by.
    proxy.push_blob("local/three", &blob).await;
    for source in [ONE, "local/never", TWO, "library/demo"] {
        let answer = mount(&proxy, TWO, &format!("mount={}&from={source}", blob.digest)).await;
        must_be_sent(&proxy, answer, TWO, &blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_everywhere_must_be_sent() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, 10 * KIB);
    proxy.push_blob(ONE, &blob).await;
    proxy.delete(&blob_path(ONE, &blob)).await.is(202);
    for query in [format!("mount={}&from={ONE}", blob.digest), format!("mount={}", blob.digest)] {
        must_be_sent(&proxy, mount(&proxy, TWO, &query).await, TWO, &blob).await;
    }
}

/// An upload in progress, and a manifest, are no blobs.
#[tokio::test(flavor = "multi_thread")]
async fn only_blobs_are_mounted() {
    let proxy = Proxy::hosted().await;
    let image = Image::small(1);
    proxy.push_image(ONE, "v1", &image).await;
    let blob = Blob::random(5, KIB);
    let location = proxy.begin_upload(ONE).await;
    proxy.append(&location, &blob.bytes).await.is(202);
    for blob in [&blob, &image.manifest] {
        for query in [format!("mount={}&from={ONE}", blob.digest), format!("mount={}", blob.digest)] {
            must_be_sent(&proxy, mount(&proxy, TWO, &query).await, TWO, blob).await;
        }
    }
}

/// What was fetched for a proxied repository is the upstream's to give away.
#[tokio::test(flavor = "multi_thread")]
async fn cached_content_is_not_mounted() {
    let upstream = Upstream::start().await;
    let image = Image::new(1, &[10 * KIB, 2 << 20]);
    upstream.holds_image("library/demo", "v1", &image);
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.pull("library/demo", "v1", &image).await;
    upstream.forgets_requests();
    for blob in image.blobs.iter().chain([&image.manifest]) {
        for source in ["", "&from=library/demo", "&from=docker.io/library/demo", "&from=local/demo"] {
            let answer = mount(&proxy, ONE, &format!("mount={}{source}", blob.digest)).await;
            must_be_sent(&proxy, answer, ONE, blob).await;
        }
    }
    assert_eq!(upstream.requests().len(), 0, "a mount has asked the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_mounts_are_refused() {
    let proxy = Proxy::hosted().await;
    let blob = Blob::random(1, KIB);
    proxy.push_blob(ONE, &blob).await;
    let hex = &blob.digest[7..];
    for digest in ["", "x", "sha256:", &hex.to_uppercase(), &format!("md5:{hex}"), &format!("sha256:{}", &hex[1..])] {
        for source in ["", "&from=local/one"] {
            mount(&proxy, TWO, &format!("mount={digest}{source}")).await.refuses(400, "DIGEST_INVALID");
        }
    }
    let long = "a".repeat(300);
    for source in ["UPPER", "a//b", "../one", "local/one/", "local/one%00", "-", &long] {
        mount(&proxy, TWO, &format!("mount={}&from={source}", blob.digest)).await.refuses(400, "NAME_INVALID");
    }
    for query in [
        format!("from={ONE}"),
        format!("mount={0}&mount={1}&from={ONE}", blob.digest, Blob::new("x").digest),
        format!("mount={}&from={ONE}&from={TWO}", blob.digest),
    ] {
        mount(&proxy, TWO, &query).await.is_error(&[400]);
    }
    proxy.lacks_blob(TWO, &blob).await;
}
