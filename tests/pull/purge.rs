//! Forgetting a part of the cache on purpose: exactly what was named, and the next pull fetches it anew.

use harbinger::config::Rule;
use serde_json::{Value, json};

use crate::{
    client::{Ask, eventually},
    content::{Blob, Image, KIB, MIB, OCI_MANIFEST},
    proxy::{FOR_EVER, Proxy, Setup, blob_path, manifest_path, mirror},
    upstream::{Gate, Upstream, stalled, stalled_after},
};

const ONE: &str = "library/one";
const TWO: &str = "library/two";

/// Images `a` and `b` share the layer `base`.
struct Shelf {
    upstream: Upstream,
    base: Blob,
    a: Image,
    b: Image,
}

fn image(seed: u64, layers: &[&Blob]) -> Image {
    let config = Blob::random(seed, KIB);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": layers.iter().map(|layer| layer.descriptor("application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
    });
    let blobs = [&config].into_iter().chain(layers.iter().copied()).cloned().collect();
    Image { manifest: Blob::new(manifest.to_string()), blobs }
}

impl Shelf {
    async fn new() -> Self {
        let base = Blob::random(1, 3 * MIB);
        let [a, b] = [2, 3].map(|seed| image(10 * seed, &[&Blob::random(seed, 100 * KIB), &base]));
        Self { upstream: Upstream::start().await, base, a, b }
    }

    /// A proxy that believes tags for ever and has pulled all of these.
    async fn pulled(&self, images: &[(&str, &str, &Image)]) -> Proxy {
        let setup = Setup::with_upstreams(vec![mirror("docker.io", &self.upstream), mirror("ghcr.io", &self.upstream)]);
        let setup = setup.with(|config| {
            config.cache.tag_ttl = FOR_EVER;
            config.cache.list_ttl = FOR_EVER;
            config.upstream[0].aliases = vec!["hub".to_owned()];
        });
        let proxy = setup.start().await;
        for (name, tag, image) in images {
            self.upstream.holds_image(name.trim_start_matches("ghcr.io/"), tag, image);
            proxy.pull(name, tag, image).await;
            for blob in &image.blobs {
                landed(&proxy, &blob_path(name, blob)).await;
            }
        }
        self.upstream.forgets_requests();
        proxy
    }

    /// Pulls, and tells what the upstream was asked for: method and last part of the path.
    async fn asked_by(&self, proxy: &Proxy, name: &str, tag: &str, image: &Image) -> Vec<(String, String)> {
        self.upstream.forgets_requests();
        proxy.pull(name, tag, image).await;
        let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let mut asked: Vec<_> =
            self.upstream.requests().iter().map(|request| (request.method.clone(), last(&request.path))).collect();
        asked.sort();
        asked
    }
}

/// Until a transfer has landed, it can be joined.
async fn landed(proxy: &Proxy, path: &str) {
    eventually(path, async || proxy.get(path).await.header("Cache-Status").unwrap().contains("; hit")).await;
}

fn all(mut asked: Vec<(&str, &str)>) -> Vec<(String, String)> {
    asked.sort();
    asked.into_iter().map(|(method, what)| (method.to_owned(), what.to_owned())).collect()
}

/// What a cold pull asks for.
fn cold<'a>(tag: &'a str, image: &'a Image) -> Vec<(&'a str, &'a str)> {
    let blobs = image.blobs.iter().map(|blob| ("GET", blob.digest.as_str()));
    [("HEAD", tag), ("GET", image.manifest.digest.as_str())].into_iter().chain(blobs).collect()
}

fn ask(proxy: &Proxy, query: &str) -> Ask {
    let operator: Value = serde_json::from_slice(&std::fs::read(proxy.data().join("admin.json")).unwrap()).unwrap();
    let token = operator["token"].as_str().unwrap();
    proxy.ask("POST", &format!("/api/v1/purge?{query}")).header("Authorization", &format!("Bearer {token}"))
}

async fn told(proxy: &Proxy, what: &str, dry_run: bool) -> Value {
    let what: String = url::form_urlencoded::byte_serialize(what.as_bytes()).collect();
    let answer = ask(proxy, &format!("what={what}&dry_run={dry_run}")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Purges, and says the same as the dry run before, which does nothing.
async fn purge(proxy: &Proxy, what: &str) -> Value {
    let mut planned = told(proxy, what, true).await;
    assert_eq!(told(proxy, what, true).await, planned, "a dry run changes nothing");
    let purged = told(proxy, what, false).await;
    planned["dry_run"] = json!(false);
    assert_eq!(purged, planned);
    let again = told(proxy, what, false).await;
    assert_eq!(counts(&again), [0; 5], "{again}");
    purged
}

/// Tags, manifests, blobs, contents removed, and their bytes.
fn counts(report: &Value) -> [u64; 5] {
    ["tags", "manifests", "blobs", "removed", "bytes"].map(|key| report[key].as_u64().unwrap())
}

fn sizes(blobs: &[&Blob]) -> u64 {
    blobs.iter().map(|blob| blob.bytes.len() as u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_goes_with_what_only_it_uses() {
    let shelf = Shelf::new().await;
    let Shelf { a, b, .. } = &shelf;
    let proxy = shelf.pulled(&[(ONE, "v1", a), (ONE, "v2", b), (TWO, "v1", a)]).await;
    let report = purge(&proxy, "docker.io/library/one:v1").await;
    // All that was only the tag's is the other repository's too.
    assert_eq!(counts(&report), [1, 1, 2, 0, 0], "{report}");
    assert_eq!(report["entries"][0], json!({ "kind": "tag", "name": "docker.io/library/one:v1" }));
    let manifest = json!({ "kind": "manifest", "name": format!("docker.io/library/one@{}", a.manifest.digest),
                           "size": a.manifest.bytes.len(), "bytes": "shared" });
    assert!(report["entries"].as_array().unwrap().contains(&manifest), "{report}");
    assert_eq!(shelf.asked_by(&proxy, TWO, "v1", a).await, []);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v2", b).await, []);
    // Bytes are here, leave is not.
    let [config, layer] = [0, 1].map(|at| ("HEAD", a.blobs[at].digest.as_str()));
    let expected = all(vec![("HEAD", "v1"), ("GET", &a.manifest.digest), config, layer]);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", a).await, expected);

    let report = purge(&proxy, "docker.io/library/two:v1").await;
    assert_eq!(counts(&report)[..4], [1, 1, 3, 0]);
    let report = purge(&proxy, "docker.io/library/one:v1").await;
    assert_eq!(counts(&report), [1, 1, 2, 3, sizes(&[&a.manifest, &a.blobs[0], &a.blobs[1]])]);
    let mut expected = cold("v1", a);
    expected.retain(|(_, what)| *what != shelf.base.digest);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", a).await, all(expected));
    assert_eq!(shelf.asked_by(&proxy, ONE, "v2", b).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tags_of_one_image_go_one_by_one() {
    let shelf = Shelf::new().await;
    let proxy = shelf.pulled(&[(ONE, "v1", &shelf.a), (ONE, "latest", &shelf.a)]).await;
    assert_eq!(counts(&purge(&proxy, "docker.io/library/one:latest").await), [1, 0, 0, 0, 0]);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", &shelf.a).await, []);
    assert_eq!(shelf.asked_by(&proxy, ONE, "latest", &shelf.a).await, all(vec![("HEAD", "latest")]));
    assert_eq!(counts(&purge(&proxy, "docker.io/library/one:*").await)[..4], [2, 1, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_goes_whole_and_others_keep_theirs() {
    let shelf = Shelf::new().await;
    let Shelf { a, b, .. } = &shelf;
    let proxy = shelf.pulled(&[(ONE, "v1", a), (TWO, "v1", b)]).await;
    proxy.get("/v2/library/one/tags/list").await;
    proxy.get(&manifest_path(ONE, "not-yet")).await.is_error(&[404]);
    let report = purge(&proxy, "docker.io/library/one").await;
    let gone = sizes(&[&a.manifest, &a.blobs[0], &a.blobs[1]]);
    assert_eq!(counts(&report), [1, 1, 3, 3, gone], "the base is the other's too");
    assert_eq!(shelf.asked_by(&proxy, TWO, "v1", b).await, []);
    let mut expected = cold("v1", a);
    expected.retain(|(_, what)| *what != shelf.base.digest);
    expected.push(("HEAD", &shelf.base.digest));
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", a).await, all(expected));
    // Lists and absences are asked for anew as well.
    shelf.upstream.forgets_requests();
    shelf.upstream.holds_image(ONE, "not-yet", b);
    proxy.get("/v2/library/one/tags/list").await;
    proxy.get(&manifest_path(ONE, "not-yet")).await.is_exactly(&b.manifest.bytes);
    assert_eq!(shelf.upstream.count("GET", "/tags/list"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_goes_with_the_tags_that_name_it() {
    let shelf = Shelf::new().await;
    let Shelf { a, b, base, .. } = &shelf;
    let proxy = shelf.pulled(&[(ONE, "v1", a), (ONE, "stable", a), (ONE, "v2", b)]).await;
    let report = purge(&proxy, &format!("docker.io/library/one@{}", a.manifest.digest)).await;
    assert_eq!(counts(&report)[..4], [2, 1, 2, 3]);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v2", b).await, []);
    let mut expected = cold("v1", a);
    expected.retain(|(_, what)| *what != base.digest);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", a).await, all(expected));
    // A blob can be named like that, too, whoever uses it.
    let report = purge(&proxy, &format!("docker.io/library/one@{}", base.digest)).await;
    assert_eq!(counts(&report), [0, 0, 1, 1, sizes(&[base])]);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v2", b).await, all(vec![("GET", &base.digest)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_goes_everywhere() {
    let shelf = Shelf::new().await;
    let Shelf { a, base, .. } = &shelf;
    let proxy = shelf.pulled(&[(ONE, "v1", a), (TWO, "v1", a), ("ghcr.io/x/y", "v1", a)]).await;
    assert_eq!(counts(&purge(&proxy, &base.digest).await), [0, 0, 3, 1, sizes(&[base])]);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", a).await, all(vec![("GET", &base.digest)]));
    landed(&proxy, &blob_path(ONE, base)).await;
    assert_eq!(shelf.asked_by(&proxy, "ghcr.io/x/y", "v1", a).await, all(vec![("HEAD", &base.digest)]));
    // Of a manifest, the tags that name it go along, and nothing that it names.
    let report = purge(&proxy, &a.manifest.digest).await;
    assert_eq!(counts(&report), [3, 3, 0, 1, sizes(&[&a.manifest])]);
    let expected = all(vec![("HEAD", "v1"), ("GET", &a.manifest.digest)]);
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", a).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_takes_what_matches() {
    let shelf = Shelf::new().await;
    let Shelf { a, b, .. } = &shelf;
    let deep = "ghcr.io/acme/deep/app";
    let images = [(ONE, "pr-1", a), (ONE, "v1", b), ("ghcr.io/acme/app", "pr-2", a), (deep, "pr-3", a), (deep, "v1", b)];
    let proxy = shelf.pulled(&images).await;
    let report = purge(&proxy, "ghcr.io/acme/**:pr-*").await;
    let names: Vec<_> = report["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["ghcr.io/acme/app:pr-2", "ghcr.io/acme/deep/app:pr-3"]);
    // What the other tag of the deep repository uses stays there.
    assert_eq!(counts(&report)[..4], [2, 2, 5, 0]);
    assert_eq!(shelf.asked_by(&proxy, ONE, "pr-1", a).await, []);
    assert_eq!(shelf.asked_by(&proxy, deep, "v1", b).await, []);
    assert_eq!(counts(&purge(&proxy, "ghcr.io/acme/*").await)[..3], [0; 3], "of app nothing is left, and deep/app is deeper");
    assert_eq!(counts(&purge(&proxy, "docker.io/library/o*").await)[..4], [2, 2, 5, 3], "the rest is shared");
    assert_eq!(counts(&purge(&proxy, "**").await)[..4], [1, 1, 3, 4], "nothing is left");
    assert_eq!(shelf.asked_by(&proxy, deep, "v1", b).await, all(cold("v1", b)));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_mean_what_they_mean_in_a_pull() {
    let shelf = Shelf::new().await;
    for name in ["one:v1", "hub/one:v1", "index.docker.io/library/one:v1", "library/one:v*", "hub/o*:v1", "*/library/one:v1"] {
        let proxy = shelf.pulled(&[(ONE, "v1", &shelf.a)]).await;
        assert_eq!(counts(&told(&proxy, name, true).await)[..3], [1, 1, 3], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_stays_so_after_a_restart() {
    let shelf = Shelf::new().await;
    let proxy = shelf.pulled(&[(ONE, "v1", &shelf.a)]).await;
    purge(&proxy, "one").await;
    let proxy = proxy.stop().await.start().await;
    assert_eq!(shelf.asked_by(&proxy, ONE, "v1", &shelf.a).await, all(cold("v1", &shelf.a)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_is_asked_for_again_once_purged() {
    let shelf = Shelf::new().await;
    let rule = Rule { repositories: vec!["**".to_owned()], immutable_tags: Some(vec!["v*".to_owned()]), ..Rule::default() };
    let setup = Setup::in_front_of(&shelf.upstream).always_revalidating();
    let proxy = setup.with(|config| config.cache.rule = vec![rule]).start().await;
    for (image, is_purged) in [(&shelf.a, false), (&shelf.b, true)] {
        shelf.upstream.holds_image(ONE, "v1", image);
        if is_purged {
            proxy.get(&manifest_path(ONE, "v1")).await.is_exactly(&shelf.a.manifest.bytes);
            purge(&proxy, "one:v1").await;
        }
        proxy.get(&manifest_path(ONE, "v1")).await.is_exactly(&image.manifest.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_under_way_brings_no_link_back() {
    let shelf = Shelf::new().await;
    let path = blob_path(ONE, &shelf.base);
    let gate = Gate::closed();
    shelf.upstream.holds_blob(ONE, &shelf.base);
    shelf.upstream.when("GET", &path).once(stalled_after(MIB, &gate));
    let proxy = Proxy::in_front_of(&shelf.upstream).await;
    let mut reader = proxy.open(&path).await;
    reader.take(100 * KIB).await;
    let report = told(&proxy, "one", false).await;
    assert_eq!(report["under_way"], 1, "{report}");
    gate.open();
    reader.finish().await.is_exactly(&shelf.base.bytes);
    // Its bytes may be here, but the upstream is asked before anybody reads them.
    shelf.upstream.forgets_requests();
    eventually("an answer that is not that transfer's", async || {
        let answer = proxy.get(&path).await;
        answer.is_exactly(&shelf.base.bytes);
        !answer.header("Cache-Status").unwrap().contains("collapsed")
    })
    .await;
    assert_eq!(shelf.upstream.count("*", &shelf.base.digest), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_an_older_question_brings_nothing_back() {
    let shelf = Shelf::new().await;
    let Shelf { a, upstream, .. } = &shelf;
    upstream.holds_image(ONE, "v1", a);
    let gate = Gate::closed();
    upstream.when("GET", "/v2/library/one/manifests/*").once(stalled(&gate));
    let setup = Setup::in_front_of(upstream).with(|config| config.cache.tag_ttl = FOR_EVER);
    let proxy = setup.start().await;
    let reader = tokio::spawn(proxy.ask("GET", &manifest_path(ONE, "v1")).send());
    gate.reached(1).await;
    purge(&proxy, "one").await;
    gate.open();
    reader.await.unwrap().is_exactly(&a.manifest.bytes);
    upstream.forgets_requests();
    proxy.get(&manifest_path(ONE, &a.manifest.digest)).await.is_exactly(&a.manifest.bytes);
    assert_eq!(upstream.count("GET", &a.manifest.digest), 1, "it was not linked");
    proxy.get(&manifest_path(ONE, "v1")).await.is_exactly(&a.manifest.bytes);
    assert_eq!(upstream.count("*", "/manifests/v1"), 1, "nor was the tag noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hosted_is_refused() {
    let proxy = Shelf::new().await.pulled(&[]).await;
    for what in ["local/app", "local/app:v1", "local/*", "local/**:pr-*"] {
        let answer = ask(&proxy, &format!("what={what}")).send().await;
        answer.is_error(&[400]);
        assert!(answer.text().contains("hosted") && answer.text().contains("harbinger gc"), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_selects_nothing_says_why() {
    let proxy = Shelf::new().await.pulled(&[]).await;
    for (query, why) in [
        ("", "'what' says what to purge"),
        ("what=", "name a repository"),
        ("what=sha256:12", "digest"),
        ("what=quay.io/a", "no upstream named 'quay.io'"),
        ("what=quay.io/*", "'quay.io' is no upstream that is configured"),
        ("what=docker.io/A", "repository name"),
        ("what=docker.io/A*", "repository name"),
        ("what=docker.io/***", "'***'"),
        ("what=one:.x", "a tag is"),
        ("what=one&dry_run=perhaps", "'dry_run' is true or false"),
        ("what=one&what=two", "given twice"),
    ] {
        let answer = ask(&proxy, query).send().await;
        answer.is_error(&[400]);
        assert!(answer.json()["errors"][0]["message"].as_str().unwrap().contains(why), "{query}: {}", answer.text());
    }
    proxy.ask("POST", "/api/v1/purge?what=one").send().await.is_error(&[401]);
    proxy.get("/api/v1/purge?what=one").await.is_error(&[405]);
    let described = proxy.get("/api/v1/openapi.json").await.json();
    assert!(described["paths"]["/api/v1/purge"]["post"].is_object());
}
