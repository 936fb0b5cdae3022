//! Tag lists and referrers: merged, sorted, paged and never a dead end.

use serde_json::{Value, json};

use crate::{
    client::Answer,
    content::{Blob, Image, OCI_INDEX, OCI_MANIFEST},
    proxy::{FOR_EVER, Proxy, Setup, manifest_path, mirror},
    upstream::*,
};

const NAME: &str = "library/demo";
const TAGS: &str = "/v2/library/demo/tags/list";

async fn with_tags(tags: &[&str]) -> (Upstream, Proxy) {
    let upstream = Upstream::start().await;
    upstream.holds_tags(NAME, tags);
    let proxy = Proxy::in_front_of(&upstream).await;
    (upstream, proxy)
}

#[track_caller]
fn lists(answer: &Answer, tags: &[&str]) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("Content-Type").unwrap().starts_with("application/json"));
    assert_eq!(answer.json()["tags"], json!(tags));
}

/// The target of a `Link` to the next page.
fn next(answer: &Answer) -> Option<String> {
    let (target, rest) = answer.header("Link")?.strip_prefix('<')?.split_once('>')?;
    assert!(rest.contains("rel=\"next\""), "{rest}");
    Some(target.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_merged() {
    for form in [LinkForm::Absolute, LinkForm::Relative] {
        let (upstream, proxy) = with_tags(&["1", "2", "3", "4", "5", "6", "7"]).await;
        upstream.pages_tags(3, form);
        lists(&proxy.get(TAGS).await, &["1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(upstream.count("GET", TAGS), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_sorted_by_their_bytes() {
    let (upstream, proxy) = with_tags(&["v1"]).await;
    let page = json!({ "name": NAME, "tags": ["v10", "v2", "Z", "a", "v1", "_x", "v1"] });
    upstream.when("GET", TAGS).always(body(page.to_string()));
    lists(&proxy.get(TAGS).await, &["Z", "_x", "a", "v1", "v10", "v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_clients() {
    let (_upstream, proxy) = with_tags(&["a", "b", "c", "d", "e"]).await;
    let all = ["a", "b", "c", "d", "e"];
    let cases: [(&str, &[&str], bool); 11] = [
        ("", &all, false),
        ("?n=2", &all[..2], true),
        ("?n=2&last=b", &all[2..4], true),
        ("?n=2&last=d", &all[4..], false),
        ("?last=b", &all[2..], false),
        ("?last=bb", &all[2..], false),
        ("?last=z", &[], false),
        ("?n=0", &[], false),
        ("?n=5", &all, false),
        ("?n=100000", &all, false),
        ("?n=99999999999999999999", &all, false),
    ];
    for (query, tags, more) in cases {
        let answer = proxy.get(&format!("{TAGS}{query}")).await;
        if answer.status == 400 && query.len() > 15 {
            continue;
        }
        lists(&answer, tags);
        assert_eq!(next(&answer).is_some(), more, "{query}");
    }
    for query in ["?n=-1", "?n=abc", "?n="] {
        assert!([200, 400].contains(&proxy.get(&format!("{TAGS}{query}")).await.status), "{query}");
    }
}

/// A client that follows every `Link` sees every tag once, however it came here.
#[tokio::test(flavor = "multi_thread")]
async fn links_lead_through_all_pages_by_the_same_way() {
    let (hub, other) = (Upstream::start().await, Upstream::start().await);
    let tags: Vec<String> = (0..25).map(|n| format!("v{n:02}")).collect();
    other.holds_tags("team/app", &tags.iter().map(String::as_str).collect::<Vec<_>>());
    let upstreams = vec![mirror("docker.io", &hub), mirror("other.example:5000", &other)];
    let proxy = Setup::with_upstreams(upstreams).start().await;
    for start in [
        "/v2/team/app/tags/list?n=10&ns=other.example%3A5000",
        "/v2/other.example:5000/team/app/tags/list?n=10",
        "/other.example:5000/v2/team/app/tags/list?n=10",
    ] {
        let (mut seen, mut target) = (Vec::new(), Some(start.to_owned()));
        while let Some(page) = target.take() {
            let answer = proxy.get(&page).await;
            assert_eq!(answer.status, 200, "{page}");
            seen.extend(answer.json()["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()));
            target = next(&answer);
            assert!(target.is_none() || seen.len() < tags.len(), "more pages than tags");
        }
        assert_eq!(seen, tags, "{start}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_registries_have_odd_empty_lists() {
    for page in [r#"{"name":"library/demo","tags":null}"#, r#"{"name":"library/demo"}"#, r#"{"name":"x","tags":[]}"#] {
        let (upstream, proxy) = with_tags(&["v1"]).await;
        upstream.when("GET", TAGS).always(body(page));
        lists(&proxy.get(TAGS).await, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_no_list() {
    for fault in [html(), body("[]"), body("{\"tags\":5}"), truncated(5)] {
        let (upstream, proxy) = with_tags(&["v1"]).await;
        upstream.when("GET", TAGS).always(fault);
        proxy.get(TAGS).await.is_error(&[502, 503]);
        upstream.behaves();
        lists(&proxy.get(TAGS).await, &["v1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_never_end_are_given_up() {
    let (upstream, proxy) = with_tags(&["v1"]).await;
    upstream.when("GET", TAGS).always(header("Link", &format!("<{TAGS}?n=1&last=v1>; rel=\"next\"")));
    let answer = proxy.get(TAGS).await;
    assert!([200, 502, 503].contains(&answer.status), "{}", answer.status);
    proxy.still_answers().await;
}

/// The next page of a list is at the same registry, or nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn pages_elsewhere_are_not_followed() {
    let (upstream, proxy) = with_tags(&["v1"]).await;
    let stranger = Upstream::start_on("127.0.0.2").await;
    upstream.when("GET", TAGS).always(header("Link", &format!("<{}>; rel=\"next\"", stranger.url(TAGS))));
    proxy.get(TAGS).await;
    assert!(stranger.requests().iter().all(|request| request.header("Authorization").is_none()));
    proxy.still_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_kept_fresh_and_then_asked_for_again() {
    let upstream = Upstream::start().await;
    upstream.holds_tags(NAME, &["a"]);
    let proxy = Setup::in_front_of(&upstream).with(|config| config.cache.list_ttl = FOR_EVER).start().await;
    for query in ["", "?n=1", "?last=x"] {
        assert_eq!(proxy.get(&format!("{TAGS}{query}")).await.status, 200);
    }
    assert_eq!(upstream.count("GET", TAGS), 1);

    let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
    lists(&proxy.get(TAGS).await, &["a"]);
    upstream.holds_tags(NAME, &["b"]);
    lists(&proxy.get(TAGS).await, &["a", "b"]);
    upstream.goes_down();
    let stale = proxy.get(TAGS).await;
    lists(&stale, &["a", "b"]);
    assert!(stale.header("Warning").unwrap().starts_with("299 - "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_repository_has_no_list() {
    let (_upstream, proxy) = with_tags(&["v1"]).await;
    let answer = proxy.get("/v2/library/nothing/tags/list").await;
    answer.is_error(&[404]);
    assert_eq!(answer.error_code(), "NAME_UNKNOWN");
}

#[track_caller]
fn refers(answer: &Answer, descriptors: &[&Value]) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some(OCI_INDEX));
    let index = answer.json();
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    assert_eq!(index["manifests"], json!(descriptors));
}

fn descriptor(seed: u64, artifact_type: &str) -> Value {
    let mut descriptor = Image::small(seed).manifest.descriptor(OCI_MANIFEST);
    descriptor["artifactType"] = json!(artifact_type);
    descriptor["annotations"] = json!({ "z": "1", "a": "2", "own.field": "3" });
    descriptor
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_passed_on_and_filtered_here() {
    let upstream = Upstream::start().await;
    let subject = Image::small(1).manifest.digest;
    let (signature, bill) = (descriptor(2, "x/signature"), descriptor(3, "x/sbom+json"));
    upstream.holds_referrers(NAME, &subject, vec![signature.clone(), bill.clone()]);
    let proxy = Proxy::in_front_of(&upstream).await;
    let path = format!("/v2/{NAME}/referrers/{subject}");
    let all = proxy.get(&path).await;
    refers(&all, &[&signature, &bill]);
    assert_eq!(all.header("OCI-Filters-Applied"), None);
    for (wanted, found) in
        [("x/signature", vec![&signature]), ("x%2Fsbom%2Bjson", vec![&bill]), ("x/other", vec![]), ("x/sig", vec![])]
    {
        let filtered = proxy.get(&format!("{path}?artifactType={wanted}")).await;
        refers(&filtered, &found);
        assert_eq!(filtered.header("OCI-Filters-Applied"), Some("artifactType"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_found_by_the_tag_schema_when_there_is_no_api() {
    for junk in [None, Some(html()), Some(body("[]")), Some(status(405))] {
        let upstream = Upstream::start().await;
        let subject = Image::small(1).manifest.digest;
        let path = format!("/v2/{NAME}/referrers/{subject}");
        match junk {
            Some(junk) => upstream.when("GET", &path).always(junk),
            None => upstream.knows_no_referrers(),
        }
        let signature = descriptor(2, "x/signature");
        let fallback = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [signature] });
        upstream.holds_index(NAME, &subject.replace(':', "-"), &Blob::new(fallback.to_string()));
        let proxy = Proxy::in_front_of(&upstream).await;
        refers(&proxy.get(&path).await, &[&signature]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_never_not_found() {
    let upstream = Upstream::start().await;
    upstream.holds_image(NAME, "v1", &Image::small(1));
    let unknown = Image::small(5).manifest.digest;
    for api in [true, false] {
        if !api {
            upstream.knows_no_referrers();
        }
        let proxy = Proxy::in_front_of(&upstream).await;
        for name in [NAME, "library/nothing"] {
            refers(&proxy.get(&format!("/v2/{name}/referrers/{unknown}")).await, &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_of_clients() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    let quoted = format!("\"{}\"", image.manifest.digest);
    let many = format!("{}, {quoted}", vec!["\"x\""; 100].join(", "));
    for reference in ["v1", &image.manifest.digest] {
        let path = manifest_path(NAME, reference);
        let answer = proxy.get(&path).await;
        answer.is_exactly(&image.manifest.bytes);
        assert_eq!(answer.header("ETag"), Some(quoted.as_str()));
        for condition in [quoted.as_str(), "*", &format!("W/{quoted}"), &many] {
            for method in ["GET", "HEAD"] {
                let answer = proxy.ask(method, &path).header("If-None-Match", condition).send().await;
                assert_eq!((answer.status, answer.body.len()), (304, 0), "{method} {condition}");
            }
        }
        for condition in ["\"other\"", ""] {
            let answer = proxy.ask("GET", &path).header("If-None-Match", condition).send().await;
            answer.is_exactly(&image.manifest.bytes);
        }
    }
}
