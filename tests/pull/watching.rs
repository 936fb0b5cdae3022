//! Upstreams are asked whether tags have moved before anybody asks for them.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use harbinger::{
    config::{Config, Customer, Mode},
    events::{
        Event,
        log::{Segments, TraceReader, TraceWriter},
    },
    predict::Reason,
    prefetch::Verdict,
};

use crate::{
    client::eventually,
    content::{Blob, Image, KIB},
    proxy::{Proxy, Setup, blob_path, manifest_path},
    upstream::{LinkForm, Upstream},
};

const NAME: &str = "library/demo";

/// What the demand log in a data folder tells was so much longer ago.
fn ages(data: &Path, by: Duration) {
    for path in Segments::in_folder(&data.join("demand")).paths().unwrap() {
        let trace = TraceReader::open(&path).unwrap();
        let header = trace.header();
        let events: Vec<Event> = trace.map(Result::unwrap).collect();
        let mut aged = TraceWriter::new(File::create(path.with_extension("aged")).unwrap(), header).unwrap();
        for event in events {
            aged.push(&Event { at: event.at - by.as_millis() as u64, ..event }).unwrap();
        }
        aged.finish().unwrap();
        fs::rename(path.with_extension("aged"), path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_were_pulled_before_a_restart_are_still_asked_for() {
    let (upstream, image) = (Upstream::start().await, Image::new(1, &[KIB]));
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.pull(NAME, "v1", &image).await;
    let setup = proxy.stop().await;
    ages(setup.data(), Duration::from_secs(2 * 3600));
    upstream.forgets_requests();
    let _proxy = setup.start().await;
    let question = manifest_path(NAME, "v1");
    eventually("the tag is asked for", async || upstream.count("HEAD", &question) > 0).await;
}

/// A private upstream, and a customer on whom questions are not spared.
fn watching_lists(config: &mut Config) {
    config.upstream[0].mode = Mode::Shared;
    config.customer = vec![Customer { name: "acme".to_owned(), weight: 1000.0 }];
    config.watch.min_interval = Duration::from_millis(500);
    (config.watch.requests_per_minute, config.watch.requests_per_minute_each) = (6000, 6000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_tag_that_nobody_has_pulled_or_told_of_is_here_before_it_is_asked_for() {
    let upstream = Upstream::start().await;
    let base = Image::new(1, &[50 * KIB]);
    let releases: Vec<Image> = (0..30).map(|number| Image::on_top_of(&base, 100 + number, &[20 * KIB])).collect();
    let (old, new) = releases.split_at(29);
    for (number, image) in old.iter().enumerate() {
        upstream.holds_image(NAME, &format!("1.0.{number}"), image);
    }
    let proxy = Setup::in_front_of(&upstream).with(watching_lists).fetching_ahead().start().await;
    let as_acme = async |path: &str| proxy.ask("GET", path).header("X-Harbinger-Customer", "acme").send().await;
    for (number, image) in old.iter().enumerate() {
        as_acme(&manifest_path(NAME, &format!("1.0.{number}"))).await.is_exactly(&image.manifest.bytes);
        for blob in &image.blobs {
            as_acme(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
        }
    }
    let lists = || upstream.count("GET", "/tags/list");
    eventually("the tags are listed once", async || lists() > 0).await;
    let [new] = new else { unreachable!() };
    upstream.holds_image(NAME, "1.0.29", new);
    let is_fetched = |content: &Blob| {
        let decisions = proxy.prefetch().decisions_about(&content.digest.parse().unwrap());
        decisions.iter().any(|decision| decision.verdict == Verdict::Fetched && decision.reason == Reason::Moved)
    };
    let novel = new.blobs.last().unwrap();
    eventually("the new image is fetched", async || is_fetched(&new.manifest) && is_fetched(novel)).await;
    assert!(lists() > 1);
    upstream.goes_down();
    as_acme(&blob_path(NAME, novel)).await.is_exactly(&novel.bytes);
    as_acme(&manifest_path(NAME, "1.0.29")).await.is_exactly(&new.manifest.bytes);
}

/// A proxy through which thirty versions of one repository have been pulled.
async fn after_many_versions(upstream: &Upstream) -> Proxy {
    for number in 0..30 {
        upstream.holds_image(NAME, &format!("1.0.{number}"), &Image::new(number, &[KIB]));
    }
    let proxy = Setup::in_front_of(upstream).with(watching_lists).start().await;
    for number in 0..30 {
        let ask = proxy.ask("GET", &manifest_path(NAME, &format!("1.0.{number}")));
        assert_eq!(ask.header("X-Harbinger-Customer", "acme").send().await.status, 200);
    }
    proxy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_too_long_is_read_up_to_a_bound_and_left_alone() {
    let upstream = Upstream::start().await;
    upstream.pages_tags(2, LinkForm::Relative);
    let proxy = after_many_versions(&upstream).await;
    let is_given_up = async || proxy.get("/metrics").await.text().contains(r#"harbinger_watch_lists_total{answer="useless"} 1"#);
    eventually("the list is given up", is_given_up).await;
    assert_eq!(upstream.count("GET", "/tags/list"), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_watched_is_shown_to_nobody() {
    let upstream = Upstream::start().await;
    let proxy = after_many_versions(&upstream).await;
    eventually("the tags are listed", async || upstream.count("GET", "/tags/list") > 0).await;
    upstream.goes_down();
    proxy.get(&format!("/v2/{NAME}/tags/list")).await.is_error(&[502, 503, 504]);
}
