//! Fetching before anybody asks: what is offered comes, in whose name, within what limits; and what becomes of it.

use harbinger::{
    events::{Outcome, Repository, What},
    predict::{Expected, Kind, Reason},
    prefetch::{Decision, Verdict},
};
use serde_json::{Value, json};

use crate::{
    client::{Answer, eventually},
    content::{Blob, Image, KIB, MIB, OCI_INDEX, OCI_MANIFEST},
    proxy::{Proxy, Setup, blob_path, manifest_path, mirror},
    small_disk::SmallDisk,
    upstream::{Gate, Upstream, stalled_after, status},
};

const NAME: &str = "library/demo";
const OTHER: &str = "library/other";

fn expected(content: &Blob, kind: Kind, reason: Reason) -> Expected {
    Expected {
        digest: content.digest.parse().unwrap(),
        size: content.bytes.len() as u64,
        kind,
        repository: Repository { route: "docker.io".into(), name: NAME.parse().unwrap(), private: false },
        customer: None,
        reason,
        probability: 0.9,
        due: harbinger::events::now(),
    }
}

fn decision(proxy: &Proxy, content: &Blob) -> Option<Decision> {
    proxy.prefetch().decisions_about(&content.digest.parse().unwrap()).into_iter().next()
}

async fn decided(proxy: &Proxy, content: &Blob, verdict: Verdict) {
    let what = format!("{} is {verdict:?}", content.digest);
    eventually(&what, async || decision(proxy, content).is_some_and(|decision| decision.verdict == verdict)).await;
}

/// What has become of a content.
async fn became(proxy: &Proxy, content: &Blob, outcome: Outcome) {
    let what = format!("{} is {outcome:?}", content.digest);
    eventually(&what, async || decision(proxy, content).is_some_and(|decision| decision.outcome == Some(outcome))).await;
}

async fn shelf(layers: &[usize]) -> (Upstream, Image, Proxy) {
    let (upstream, image) = (Upstream::start().await, Image::new(7, layers));
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Setup::in_front_of(&upstream).fetching_ahead().start().await;
    (upstream, image, proxy)
}

/// The same index for two platforms.
fn index(amd64: &Image, arm64: &Image) -> Blob {
    let of = |image: &Image, architecture: &str| {
        let mut descriptor = image.manifest.descriptor(OCI_MANIFEST);
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        descriptor
    };
    let manifests = [of(amd64, "amd64"), of(arm64, "arm64")];
    Blob::new(json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_to_be_asked_for_is_here_when_it_is() {
    let (upstream, image, proxy) = shelf(&[2 * MIB, 100 * KIB, 3 * KIB]).await;
    let events = proxy.events();
    let offer: Vec<_> = image.blobs.iter().map(|blob| expected(blob, Kind::Blob, Reason::Pull)).collect();
    proxy.prefetch().offer(offer.clone());
    proxy.prefetch().offer(offer);
    for blob in &image.blobs {
        decided(&proxy, blob, Verdict::Fetched).await;
    }
    proxy.pull(NAME, "v1", &image).await;
    for blob in &image.blobs {
        became(&proxy, blob, Outcome::Used).await;
        assert_eq!(upstream.count("*", &blob_path(NAME, blob)), 1, "once, and by GET");
    }
    let told = std::iter::from_fn(|| events.try_next().unwrap());
    let used = told.filter(|event| matches!(event.what, What::Prefetched { outcome: Outcome::Used, .. })).count();
    assert_eq!(used, image.blobs.len());
    let savings = proxy.prefetch().savings();
    assert_eq!((savings.accounts[0].account.used.count, savings.precision), (4, Some(1.0)));
    let metrics = proxy.get("/metrics").await.text();
    assert!(metrics.contains(r#"harbinger_prefetch_contents_total{reason="pull",outcome="used"} 4"#), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leave_is_that_of_the_repository_that_is_named() {
    let (upstream, image, proxy) = shelf(&[2 * MIB]).await;
    let layer = &image.blobs[1];
    proxy.prefetch().offer(vec![expected(layer, Kind::Blob, Reason::Moved)]);
    decided(&proxy, layer, Verdict::Fetched).await;
    proxy.get(&blob_path(OTHER, layer)).await.is_error(&[404]);
    assert_eq!(upstream.count("HEAD", &blob_path(OTHER, layer)), 1, "the other one is asked for its own");
    upstream.goes_down();
    proxy.get(&blob_path(NAME, layer)).await.is_exactly(&layer.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_leads_to_the_image_that_is_pulled_there() {
    let (upstream, [amd64, arm64]) = (Upstream::start().await, [1, 2].map(|seed| Image::new(seed, &[50 * KIB])));
    upstream.holds_image(NAME, "amd64", &amd64);
    upstream.holds_image(NAME, "arm64", &arm64);
    let newer = index(&amd64, &arm64);
    upstream.holds_index(NAME, "v2", &newer);
    let proxy = Setup::in_front_of(&upstream).fetching_ahead().start().await;
    proxy.prefetch().offer(vec![expected(&newer, Kind::Manifest, Reason::Asked)]);
    for content in [&newer, &amd64.manifest, &amd64.blobs[0], &amd64.blobs[1]] {
        decided(&proxy, content, Verdict::Fetched).await;
    }
    assert_eq!(upstream.count("*", &arm64.manifest.digest), 0, "nothing is known of who pulls here: it is ordinary");
    proxy.get(&manifest_path(NAME, "v2")).await.is_exactly(&newer.bytes);
    upstream.goes_down();
    proxy.get(&manifest_path(NAME, &amd64.manifest.digest)).await.is_exactly(&amd64.manifest.bytes);
    for blob in &amd64.blobs {
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
        became(&proxy, blob, Outcome::Used).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_what_is_on_its_way_joins_it() {
    let (upstream, image, proxy) = shelf(&[4 * MIB]).await;
    let (layer, gate) = (&image.blobs[1], Gate::closed());
    upstream.when("GET", &blob_path(NAME, layer)).once(stalled_after(2 * MIB, &gate));
    proxy.prefetch().offer(vec![expected(layer, Kind::Blob, Reason::Moved)]);
    gate.reached(1).await;
    let mut client = proxy.open(&blob_path(NAME, layer)).await;
    client.take(MIB).await;
    gate.open();
    let answer = client.finish().await;
    assert!(answer.complete);
    assert!(answer.header("Cache-Status").is_some_and(|status| status.contains("collapsed")), "{:?}", answer.headers);
    became(&proxy, layer, Outcome::Late).await;
    assert_eq!(upstream.count("GET", &blob_path(NAME, layer)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_harms_nobody() {
    let (upstream, image, proxy) = shelf(&[2 * MIB]).await;
    let [config, layer] = [&image.blobs[0], &image.blobs[1]];
    upstream.when("GET", &blob_path(NAME, layer)).once(status(500));
    proxy.prefetch().offer(vec![expected(layer, Kind::Blob, Reason::Pull)]);
    decided(&proxy, layer, Verdict::Failed).await;
    proxy.prefetch().offer(vec![expected(config, Kind::Blob, Reason::Pull)]);
    proxy.pull(NAME, "v1", &image).await;
    assert_eq!(upstream.count("GET", &blob_path(NAME, layer)), 2, "the upstream is left alone by who can wait, not by a client");
    let unknown = Blob::random(99, KIB);
    proxy.prefetch().offer(vec![Expected {
        repository: Repository { route: "gone.example".into(), name: NAME.parse().unwrap(), private: false },
        ..expected(&unknown, Kind::Blob, Reason::Moved)
    }]);
    decided(&proxy, &unknown, Verdict::Failed).await;
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_nothing_from_clients() {
    let (upstream, image, large) = (Upstream::start().await, Image::new(1, &[MIB]), Blob::random(9, 24 * MIB));
    upstream.holds_image(NAME, "v1", &image);
    upstream.holds_blob(NAME, &large);
    let setup = Setup::in_front_of(&upstream).fetching_ahead();
    let folder = setup.data().to_owned();
    let Some(disk) = SmallDisk::mount(&folder, "size=12m") else { return };
    let proxy = setup.start().await;
    proxy.pull(NAME, "v1", &image).await;
    proxy.prefetch().offer(vec![expected(&large, Kind::Blob, Reason::Pull)]);
    decided(&proxy, &large, Verdict::Failed).await;
    assert_eq!(upstream.count("*", &blob_path(NAME, &large)), 1, "it is not passed through for nobody");
    proxy.get(&blob_path(NAME, &large)).await.is_exactly(&large.bytes);
    let _folder_to_be_removed = proxy.stop().await;
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_where_that_is_not_wanted() {
    let (upstream, image) = (Upstream::start().await, Image::small(1));
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.prefetch().offer(vec![expected(&image.blobs[0], Kind::Blob, Reason::Pull)]);
    assert_eq!(warm(&proxy, "what=demo:v1").await.json()["fetched"], 3, "what the operator asks for comes");
    assert_eq!(decision(&proxy, &image.blobs[0]).unwrap().reason, Reason::Asked);
}

async fn warm(proxy: &Proxy, query: &str) -> Answer {
    let file: Value = serde_json::from_slice(&std::fs::read(proxy.data().join("admin.json")).unwrap()).unwrap();
    let token = format!("Bearer {}", file["token"].as_str().unwrap());
    proxy.ask("POST", &format!("/api/v1/warm?{query}")).header("Authorization", &token).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_has_an_image_fetched() {
    let (upstream, image, proxy) = shelf(&[2 * MIB, 3 * KIB]).await;
    let report = warm(&proxy, "what=docker.io/library/demo:v1").await.json();
    let bytes: usize = image.blobs.iter().chain([&image.manifest]).map(|blob| blob.bytes.len()).sum();
    assert_eq!(report["digest"], *image.manifest.digest);
    assert_eq!((&report["fetched"], &report["fetched_bytes"], &report["failed"]), (&4.into(), &bytes.into(), &json!([])));
    upstream.goes_down();
    proxy.pull(NAME, "v1", &image).await;
    let again = warm(&proxy, &format!("what=demo@{}", image.manifest.digest)).await.json();
    assert_eq!((&again["here"], &again["fetched"]), (&4.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_order_has_begun_goes_on_without_who_gave_it() {
    let (upstream, image, proxy) = shelf(&[2 * MIB]).await;
    let (layer, gate) = (&image.blobs[1], Gate::closed());
    upstream.when("GET", &blob_path(NAME, layer)).once(stalled_after(MIB, &gate));
    tokio::select! {
        answer = warm(&proxy, "what=demo:v1") => panic!("{}", answer.text()),
        () = gate.reached(1) => {}
    }
    gate.open();
    decided(&proxy, layer, Verdict::Fetched).await;
    assert_eq!(warm(&proxy, "what=demo:v1").await.json()["here"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_read_strictly_and_only_the_operators() {
    let (_upstream, _image, proxy) = shelf(&[3 * KIB]).await;
    assert_eq!(proxy.ask("POST", "/api/v1/warm?what=demo:v1").send().await.status, 401);
    assert_eq!(proxy.ask("GET", "/api/v1/warm?what=demo:v1").send().await.status, 405);
    for query in ["", "what=demo:", "what=x.example/a:1", "what=demo&platform=amd64", "what=demo&beyond_budget=2"] {
        let answer = warm(&proxy, query).await;
        assert!((400..=404).contains(&answer.status) && answer.status != 401, "{query}: {}", answer.text());
    }
    let absent = warm(&proxy, "what=demo:v9").await.json();
    assert_eq!((&absent["failed"][0]["what"], &absent["fetched"]), (&"v9".into(), &0.into()));
    let described = proxy.get("/api/v1/openapi.json").await.json();
    assert!(described["paths"]["/api/v1/warm"]["post"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_keeps_to_the_budget_unless_it_says_otherwise() {
    let (upstream, image) = (Upstream::start().await, Image::new(3, &[100 * KIB]));
    upstream.holds_image(NAME, "v1", &image);
    let setup = Setup::with_upstreams(vec![mirror("docker.io", &upstream)]).fetching_ahead();
    let proxy = setup.with(|config| config.prefetch.floor = bytesize::ByteSize::kib(50)).start().await;
    let layer = &image.blobs[1];
    let poor = warm(&proxy, "what=demo:v1").await.json();
    assert_eq!((&poor["fetched"], &poor["failed"][0]["what"]), (&2.into(), &layer.digest.clone().into()));
    proxy.reload(|config| config.prefetch.floor = bytesize::ByteSize::kib(120));
    let rich = warm(&proxy, "what=demo:v1").await.json();
    assert_eq!((&rich["fetched"], &rich["here"], &rich["failed"]), (&1.into(), &2.into(), &json!([])));
    let other = Image::new(4, &[200 * KIB]);
    upstream.holds_image(NAME, "v2", &other);
    let beyond = warm(&proxy, "what=demo:v2&beyond_budget=true").await.json();
    assert_eq!((&beyond["fetched"], &beyond["failed"]), (&3.into(), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_names_platforms() {
    let (upstream, [amd64, arm64]) = (Upstream::start().await, [1, 2].map(|seed| Image::new(seed, &[5 * KIB])));
    upstream.holds_image(NAME, "amd64", &amd64);
    upstream.holds_image(NAME, "arm64", &arm64);
    upstream.holds_index(NAME, "v1", &index(&amd64, &arm64));
    let proxy = Setup::in_front_of(&upstream).fetching_ahead().start().await;
    let none = warm(&proxy, "what=demo:v1&platform=linux/riscv64").await.json();
    assert!(none["failed"][0]["why"].as_str().unwrap().contains("linux/riscv64"), "{none}");
    assert_eq!(warm(&proxy, "what=demo:v1&platform=linux/arm64").await.json()["fetched"], 3);
    assert_eq!(warm(&proxy, "what=demo:v1&platform=linux/arm64,linux/amd64").await.json()["fetched"], 3);
    proxy.get(&manifest_path(NAME, &arm64.manifest.digest)).await.is_exactly(&arm64.manifest.bytes);
    assert_eq!(warm(&proxy, "what=demo:v1").await.json()["here"], 4, "what was pulled last");
}
