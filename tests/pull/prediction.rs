//! What is expected because of what happens: the whole way from a request to bytes that are here before they are asked for.

use harbinger::{
    events::Outcome,
    predict::Reason,
    prefetch::{Decision, Savings, Verdict},
};

use crate::{
    client::eventually,
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::Upstream,
};

const NAME: &str = "library/demo";

async fn predicting(upstream: &Upstream) -> Proxy {
    Setup::in_front_of(upstream).always_revalidating().fetching_ahead().start().await
}

fn decisions(proxy: &Proxy, content: &Blob) -> Vec<Decision> {
    proxy.prefetch().decisions_about(&content.digest.parse().unwrap())
}

async fn fetched(proxy: &Proxy, content: &Blob, reason: Reason) {
    let what = format!("{} is fetched because of {reason:?}", content.digest);
    let is_fetched = |decision: Decision| decision.verdict == Verdict::Fetched && decision.reason == reason;
    eventually(&what, async || decisions(proxy, content).into_iter().any(is_fetched)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_manifest_the_rest_of_its_image_is_fetched() {
    let (upstream, image) = (Upstream::start().await, Image::new(1, &[2 * MIB, 100 * KIB, 3 * KIB]));
    upstream.holds_image(NAME, "v1", &image);
    let proxy = predicting(&upstream).await;
    proxy.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
    for blob in &image.blobs {
        fetched(&proxy, blob, Reason::Pull).await;
    }
    upstream.goes_down();
    for blob in &image.blobs {
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
        let outcome = || decisions(&proxy, blob)[0].outcome;
        eventually("it was used", async || outcome() == Some(Outcome::Used)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_is_not_fetched_for_it_again() {
    let (upstream, old) = (Upstream::start().await, Image::new(1, &[50 * KIB, 60 * KIB]));
    upstream.holds_image(NAME, "v1", &old);
    let new = Image::on_top_of(&old, 2, &[10 * KIB]);
    upstream.holds_image(NAME, "v2", &new);
    let proxy = predicting(&upstream).await;
    proxy.pull(NAME, "v1", &old).await;
    proxy.get(&manifest_path(NAME, "v2")).await.is_exactly(&new.manifest.bytes);
    let top = new.blobs.last().unwrap();
    fetched(&proxy, top, Reason::Pull).await;
    let base = &new.blobs[1];
    assert_eq!(upstream.count("GET", &blob_path(NAME, base)), 1, "{:?}", decisions(&proxy, base));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_pulled_here_and_moves_brings_its_new_image() {
    let (upstream, old, new) = (Upstream::start().await, Image::new(1, &[50 * KIB]), Image::new(2, &[70 * KIB]));
    upstream.holds_image(NAME, "latest", &old);
    let proxy = predicting(&upstream).await;
    proxy.pull(NAME, "latest", &old).await;
    upstream.holds_image(NAME, "latest", &new);
    // Whoever looks which image the tag names tells of its move.
    assert_eq!(proxy.head(&manifest_path(NAME, "latest")).await.status, 200);
    fetched(&proxy, &new.manifest, Reason::Moved).await;
    for blob in &new.blobs {
        fetched(&proxy, blob, Reason::Moved).await;
    }
    proxy.pull(NAME, "latest", &new).await;
    assert_eq!(upstream.count("GET", &blob_path(NAME, &new.blobs[1])), 1);
    let nobodys = Image::new(3, &[80 * KIB]);
    upstream.holds_image("library/quiet", "latest", &nobodys);
    assert_eq!(proxy.head(&manifest_path("library/quiet", "latest")).await.status, 200);
    proxy.still_answers().await;
    assert_eq!(upstream.count("GET", "library/quiet"), 0, "nobody pulls it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_here_for_another_repository_may_be_read_before_it_is_pulled() {
    let (upstream, base) = (Upstream::start().await, Image::new(1, &[50 * KIB, 60 * KIB]));
    let (old, new) = (Image::new(2, &[70 * KIB]), Image::on_top_of(&base, 3, &[80 * KIB]));
    upstream.holds_image("library/base", "latest", &base);
    upstream.holds_image(NAME, "latest", &old);
    let proxy = predicting(&upstream).await;
    proxy.pull("library/base", "latest", &base).await;
    proxy.pull(NAME, "latest", &old).await;
    upstream.holds_image(NAME, "latest", &new);
    assert_eq!(proxy.head(&manifest_path(NAME, "latest")).await.status, 200);
    fetched(&proxy, &new.manifest, Reason::Moved).await;
    upstream.goes_down();
    for blob in &base.blobs[1..] {
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
        let asked = |method| upstream.count(method, &blob_path(NAME, blob));
        assert_eq!((asked("HEAD"), asked("GET")), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_is_explained_to_the_operator_and_to_nobody_else() {
    let (upstream, image) = (Upstream::start().await, Image::new(1, &[50 * KIB]));
    upstream.holds_image(NAME, "v1", &image);
    let proxy = predicting(&upstream).await;
    proxy.pull(NAME, "v1", &image).await;
    proxy.get("/api/v1/predictions").await.is_error(&[401]);
    let ask = async |query: &str| proxy.as_operator("GET", &format!("/api/v1/predictions{query}")).send().await;
    eventually("it is known", async || ask("?what=docker.io/library/demo:v1").await.status == 200).await;
    let told = ask("?what=docker.io/library/demo:v1").await.json();
    let digests: Vec<_> =
        told["explanation"]["contents"].as_array().unwrap().iter().map(|content| content["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, image.blobs.iter().map(|blob| blob.digest.as_str()).collect::<Vec<_>>());
    assert!(told["explanation"]["contents"][1]["requests_in_six_hours"].as_f64().unwrap() > 0.0);
    assert_eq!(ask(&format!("?what={}", image.blobs[1].digest)).await.status, 200);
    assert_eq!(ask("").await.json()["region"], "local");
    ask("?what=docker.io/library/never:v1").await.is_error(&[404]);
    ask("?what=docker.io/library/demo:?").await.is_error(&[400]);
    ask("?limit=many").await.is_error(&[400]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_budget_that_is_reloaded_makes_what_is_expected_dearer() {
    let (upstream, images) = (Upstream::start().await, [1, 2, 3].map(|seed| Image::new(seed, &[70 * KIB])));
    upstream.holds_image(NAME, "latest", &images[0]);
    let proxy = predicting(&upstream).await;
    proxy.pull(NAME, "latest", &images[0]).await;
    let needed = async |image: &Image| {
        let what = format!("/api/v1/predictions?what={}", image.blobs[1].digest);
        let told = proxy.as_operator("GET", &what).send().await.json();
        told["explanation"]["contents"][0]["last_expected"]["needed"].as_f64()
    };
    upstream.holds_image(NAME, "latest", &images[1]);
    assert_eq!(proxy.head(&manifest_path(NAME, "latest")).await.status, 200);
    eventually("it is expected", async || needed(&images[1]).await.is_some_and(|needed| needed < 0.1)).await;
    proxy.reload(|config| (config.prefetch.share, config.prefetch.floor) = (0.0, bytesize::ByteSize::b(1)));
    upstream.holds_image(NAME, "latest", &images[2]);
    proxy.get(&manifest_path(NAME, "latest")).await.is_exactly(&images[2].manifest.bytes);
    eventually("it is dearer", async || needed(&images[2]).await.is_some_and(|needed| needed > 1.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_is_known_after_a_restart() {
    let (upstream, old, new) = (Upstream::start().await, Image::new(1, &[50 * KIB]), Image::new(2, &[70 * KIB]));
    upstream.holds_image(NAME, "latest", &old);
    let proxy = predicting(&upstream).await;
    proxy.pull(NAME, "latest", &old).await;
    let setup = proxy.stop().await;
    assert!(setup.data().join("models.redb").exists());
    let proxy = setup.start().await;
    upstream.holds_image(NAME, "latest", &new);
    assert_eq!(proxy.head(&manifest_path(NAME, "latest")).await.status, 200);
    fetched(&proxy, &new.blobs[1], Reason::Moved).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_before_a_restart_is_judged_after_it() {
    let (upstream, old, new) = (Upstream::start().await, Image::new(1, &[50 * KIB]), Image::new(2, &[70 * KIB]));
    upstream.holds_image(NAME, "latest", &old);
    let proxy = predicting(&upstream).await;
    proxy.pull(NAME, "latest", &old).await;
    upstream.holds_image(NAME, "latest", &new);
    assert_eq!(proxy.head(&manifest_path(NAME, "latest")).await.status, 200);
    for content in new.blobs.iter().chain([&new.manifest]) {
        fetched(&proxy, content, Reason::Moved).await;
    }
    let before = proxy.prefetch().savings();
    assert!(before.unasked.count >= 3, "{before:?}");
    let proxy = proxy.stop().await.start().await;
    let after = proxy.prefetch().savings();
    assert_eq!((after.since, after.unasked, &after.accounts), (before.since, before.unasked, &before.accounts));
    proxy.pull(NAME, "latest", &new).await;
    let moved = |savings: &Savings| {
        savings.accounts.iter().filter(|row| row.reason == Reason::Moved).map(|row| row.account.used.count).sum::<u64>()
    };
    eventually("they were used", async || moved(&proxy.prefetch().savings()) == 3).await;
    // What another version has written is not guessed at.
    let setup = proxy.stop().await;
    let file = setup.data().join("savings.json");
    std::fs::write(&file, "{\"version\":999}\n{}").unwrap();
    let proxy = setup.start().await;
    assert!(proxy.prefetch().savings().accounts.is_empty());
    assert!(file.with_extension("aside.json").exists());
}
