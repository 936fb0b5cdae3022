//! How much a customer may have open.

use crate::{
    client::eventually,
    content::{Blob, KIB, MIB, sha256},
    hosted::{ONE, TWO, bytes_below, closing, uploads_path},
    proxy::{Proxy, Setup},
};

async fn opens(proxy: &Proxy, name: &str, customer: &str) -> crate::client::Answer {
    proxy.request("POST", &uploads_path(name)).customer(customer).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_has_so_many_uploads_and_no_more() {
    let proxy = Setup::hosted().setting("max_uploads", 3).start().await;
    for customer in ["acme", "globex", ""] {
        let mut locations = Vec::new();
        for name in [ONE, TWO, ONE] {
            locations.push(opens(&proxy, name, customer).await.opens_upload(name));
        }
        for name in [ONE, TWO, "local/three"] {
            opens(&proxy, name, customer).await.refuses(429, "TOOMANYREQUESTS");
        }
        // A blob that cannot be mounted would need an upload as well.
        let mount = format!("{}?mount={}&from={TWO}", uploads_path(ONE), sha256(b"nobody has this"));
        proxy.request("POST", &mount).customer(customer).send().await.refuses(429, "TOOMANYREQUESTS");
        // Cancelled or finished, an upload makes room for one.
        proxy.request("DELETE", &locations[0]).customer(customer).send().await.is(204);
        opens(&proxy, ONE, customer).await.opens_upload(ONE);
        opens(&proxy, ONE, customer).await.refuses(429, "TOOMANYREQUESTS");
        let close = closing(&locations[1], &sha256(b"x"));
        proxy.request("PUT", &close).customer(customer).body("x").send().await.is(201);
        opens(&proxy, ONE, customer).await.opens_upload(ONE);
        opens(&proxy, ONE, customer).await.refuses(429, "TOOMANYREQUESTS");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_holds_after_a_restart_and_for_all_at_once() {
    let proxy = Setup::hosted().setting("max_uploads", 4).start().await;
    for _ in 0..2 {
        opens(&proxy, ONE, "acme").await.opens_upload(ONE);
    }
    let proxy = proxy.stop().await.start().await;
    let (a, b, c, d, e, f) = tokio::join!(
        opens(&proxy, ONE, "acme"),
        opens(&proxy, ONE, "acme"),
        opens(&proxy, ONE, "acme"),
        opens(&proxy, TWO, "acme"),
        opens(&proxy, TWO, "acme"),
        opens(&proxy, TWO, "acme"),
    );
    let opened = [a, b, c, d, e, f].iter().filter(|answer| answer.status == 202).count();
    assert_eq!(opened, 2);
    opens(&proxy, ONE, "globex").await.opens_upload(ONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_has_so_many_bytes_open_and_no_more() {
    let proxy = Setup::hosted().setting("max_upload_bytes", "100 KiB").start().await;
    let bytes = Blob::random(1, 60 * KIB).bytes;
    let append = async |location: &str, customer: &str| {
        proxy.request("PATCH", location).customer(customer).body(bytes.clone()).send().await
    };
    let first = opens(&proxy, ONE, "acme").await.opens_upload(ONE);
    let second = opens(&proxy, TWO, "acme").await.opens_upload(TWO);
    let theirs = opens(&proxy, ONE, "globex").await.opens_upload(ONE);
    append(&first, "acme").await.is(202);
    append(&theirs, "globex").await.is(202);
    for location in [&first, &second] {
        append(location, "acme").await.is_error(&[413]);
    }
    let stream = proxy.request("PATCH", &second).customer("acme").chunked(bytes.chunks(5000));
    stream.send().await.is_error(&[413]);
    let close = proxy.request("PUT", &closing(&second, &sha256(&bytes))).customer("acme");
    close.body(bytes.clone()).send().await.is_error(&[413]);
    let at_once = proxy.request("POST", &closing(&uploads_path(ONE), &sha256(&bytes))).customer("acme");
    at_once.body(bytes.clone()).send().await.is_error(&[413]);
    assert!(bytes_below(&proxy.data().join("uploads")) < 230 * KIB as u64);
    // What is finished counts no more, and neither does what is cancelled, also while something else stays open.
    opens(&proxy, ONE, "acme").await.opens_upload(ONE);
    let close = proxy.request("PUT", &closing(&first, &sha256(&bytes))).customer("acme");
    close.send().await.is(201);
    proxy.request("DELETE", &second).customer("acme").send().await.is(204);
    for _ in 0..3 {
        let location = opens(&proxy, TWO, "acme").await.opens_upload(TWO);
        append(&location, "acme").await.is(202);
        proxy.request("DELETE", &location).customer("acme").send().await.is(204);
    }
}

/// An upload that never ends is cut at the limit, however slowly it comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_stream_is_cut_at_the_limit() {
    let proxy = Setup::hosted().setting("max_upload_bytes", "100 KiB").start().await;
    let location = proxy.begin_upload(ONE).await;
    let mut writer = proxy.request("PATCH", &location).begin_chunked().await;
    for _ in 0..40 {
        writer.chunk(&[1; 10 * KIB]).await;
    }
    writer.answer().await.is_error(&[413]);
    assert!(bytes_below(&proxy.data().join("uploads")) < 120 * KIB as u64);
    let mut writer = proxy.request("POST", &closing(&uploads_path(TWO), &sha256(b"x"))).begin_chunked().await;
    for _ in 0..40 {
        writer.chunk(&[1; 10 * KIB]).await;
    }
    writer.answer().await.is_error(&[413]);
    proxy.request("DELETE", &location).send().await.is(204);
    eventually("no bytes", async || bytes_below(&proxy.data().join("uploads")) == 0).await;
}

/// Nobody allocates, or waits for, what a head only promises.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_announced_too_long_is_refused_unread() {
    let proxy = Setup::hosted().setting("max_upload_bytes", "100 KiB").start().await;
    let location = proxy.begin_upload(ONE).await;
    for length in [100 * KIB + 1, 1 << 40, usize::MAX >> 1] {
        proxy.request("PATCH", &location).begin(length).await.answer().await.is_error(&[413]);
        let close = closing(&location, &sha256(b"x"));
        proxy.request("PUT", &close).begin(length).await.answer().await.is_error(&[413]);
        let at_once = closing(&uploads_path(ONE), &sha256(b"x"));
        proxy.request("POST", &at_once).begin(length).await.answer().await.is_error(&[413]);
    }
    proxy.holds(&location, 0).await;
    proxy.append(&location, &vec![1; 100 * KIB]).await.is(202);
    proxy.close(&location, &sha256(&vec![1; 100 * KIB]), b"").await.is(201);
}

/// Some clients read nothing before they have sent everything: the rest is read, or the connection is cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_stream_does_not_hang() {
    let proxy = Setup::hosted().setting("max_upload_bytes", "3 MiB").start().await;
    let piece = vec![1; MIB];
    for _ in 0..20 {
        let location = proxy.begin_upload(ONE).await;
        let mut writer = proxy.request("PATCH", &location).begin_chunked().await;
        for _ in 0..12 {
            writer.chunk(&piece).await;
        }
        writer.last_chunk().await;
        // What is cut may lose its answer.
        if let Some(answer) = writer.answer_if_any().await {
            answer.is_error(&[413]);
        }
        proxy.delete(&location).await.is(204);
    }
}
