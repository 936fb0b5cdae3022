//! What refers to a manifest.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    client::Answer,
    content::{Blob, KIB, OCI_INDEX, OCI_MANIFEST},
    documents::{OCI_CONFIG, bare, empty_json, image_of, index_of, referring, written},
    hosted::{ONE, TWO},
    proxy::{Proxy, manifest_path},
};

fn referrers_path(name: &str, digest: &str) -> String {
    format!("/v2/{name}/referrers/{digest}")
}

/// The descriptors of a good answer.
#[track_caller]
fn listed(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some(OCI_INDEX));
    let index = answer.json();
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    index["manifests"].as_array().unwrap().clone()
}

#[track_caller]
fn digests(answer: &Answer) -> BTreeSet<String> {
    let listed = listed(answer);
    let digests: BTreeSet<_> = listed.iter().map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect();
    assert_eq!(digests.len(), listed.len(), "a digest twice");
    digests
}

fn of(blobs: &[&Blob]) -> BTreeSet<String> {
    blobs.iter().map(|blob| blob.digest.clone()).collect()
}

async fn with_subject() -> (Proxy, Blob) {
    let proxy = Proxy::hosted().await;
    for name in [ONE, TWO] {
        proxy.push_empty_json(name).await;
    }
    let subject = bare(1);
    proxy.push_manifest(ONE, "v1", &subject).await;
    (proxy, subject)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referrer_is_listed_as_a_descriptor() {
    let (proxy, subject) = with_subject().await;
    let annotations = json!({ "z": "1", "a": "2", "org.example.own": "é" });
    let signature = referring(&subject, "application/vnd.example.signature", annotations.clone());
    let answer = proxy.push_manifest(ONE, &signature.digest, &signature).await;
    assert_eq!(answer.header("OCI-Subject"), Some(subject.digest.as_str()));
    let answer = proxy.get(&referrers_path(ONE, &subject.digest)).await;
    assert_eq!(answer.header("OCI-Filters-Applied"), None);
    let expected = json!({
        "mediaType": OCI_MANIFEST,
        "digest": signature.digest,
        "size": signature.bytes.len(),
        "artifactType": "application/vnd.example.signature",
        "annotations": annotations,
    });
    assert_eq!(listed(&answer), [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_artifact_type_is_that_of_the_configuration_where_there_is_no_other() {
    let (proxy, subject) = with_subject().await;
    let mut image = image_of(&empty_json(), &[]);
    image["subject"] = subject.descriptor(OCI_MANIFEST);
    proxy.push_manifest(ONE, "image", &written(&image)).await;
    let mut index = index_of(&[]);
    index["subject"] = subject.descriptor(OCI_MANIFEST);
    let answer = proxy.push_manifest(ONE, "index", &written(&index)).await;
    assert_eq!(answer.header("OCI-Subject"), Some(subject.digest.as_str()));
    let mut typed = index_of(&[]);
    typed["subject"] = subject.descriptor(OCI_MANIFEST);
    typed["artifactType"] = json!("x/typed");
    proxy.push_manifest(ONE, "typed", &written(&typed)).await;
    let found = listed(&proxy.get(&referrers_path(ONE, &subject.digest)).await);
    let by_digest = |blob: Blob| found.iter().find(|descriptor| descriptor["digest"] == json!(blob.digest)).unwrap();
    assert_eq!(by_digest(written(&image))["artifactType"], json!(OCI_CONFIG));
    assert_eq!(by_digest(written(&image)).get("annotations"), None);
    let index = by_digest(written(&index));
    assert_eq!((index.get("artifactType"), &index["mediaType"]), (None, &json!(OCI_INDEX)));
    assert_eq!(by_digest(written(&typed))["artifactType"], json!("x/typed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_are_filtered() {
    let (proxy, subject) = with_subject().await;
    let (signature, bill) = (referring(&subject, "x/signature", json!({})), referring(&subject, "x/sbom+json", json!({})));
    for manifest in [&signature, &bill] {
        proxy.push_manifest(ONE, &manifest.digest, manifest).await;
    }
    let path = referrers_path(ONE, &subject.digest);
    assert_eq!(digests(&proxy.get(&path).await), of(&[&signature, &bill]));
    for (wanted, found) in
        [("x/signature", vec![&signature]), ("x%2Fsbom%2Bjson", vec![&bill]), ("x/other", vec![]), ("x/sig", vec![])]
    {
        let answer = proxy.get(&format!("{path}?artifactType={wanted}")).await;
        assert_eq!(digests(&answer), of(&found));
        assert_eq!(answer.header("OCI-Filters-Applied"), Some("artifactType"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_refers_to_what_nobody_knows() {
    let (proxy, subject) = with_subject().await;
    let unknown = bare(99);
    for name in [ONE, TWO, "local/never"] {
        for digest in [&unknown.digest, &unknown.clone().by_sha512().digest] {
            assert!(listed(&proxy.get(&referrers_path(name, digest)).await).is_empty());
        }
    }
    assert!(listed(&proxy.get(&referrers_path(ONE, &subject.digest)).await).is_empty());
    for digest in ["sha256:baddigeststring", "v1", "md5:abc", "sha256:"] {
        proxy.get(&referrers_path(ONE, digest)).await.refuses(400, "DIGEST_INVALID");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_may_come_later_or_go() {
    let (proxy, _) = with_subject().await;
    for subject in [bare(7), bare(8).by_sha512()] {
        let signature = referring(&subject, "x/signature", json!({ "for": subject.digest }));
        proxy.push_manifest(ONE, &signature.digest, &signature).await;
        let path = referrers_path(ONE, &subject.digest);
        assert_eq!(digests(&proxy.get(&path).await), of(&[&signature]));
        proxy.push_manifest(ONE, &subject.digest, &subject).await;
        assert_eq!(digests(&proxy.get(&path).await), of(&[&signature]));
        proxy.delete(&manifest_path(ONE, &subject.digest)).await.is(202);
        assert_eq!(digests(&proxy.get(&path).await), of(&[&signature]));
        proxy.delete(&manifest_path(ONE, &signature.digest)).await.is(202);
        assert!(digests(&proxy.get(&path).await).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_belong_to_one_repository() {
    let (proxy, subject) = with_subject().await;
    proxy.push_manifest(TWO, "v1", &subject).await;
    let (one, two) = (referring(&subject, "x/one", json!({})), referring(&subject, "x/two", json!({})));
    let both = referring(&subject, "x/both", json!({}));
    for (name, manifest) in [(ONE, &one), (TWO, &two), (ONE, &both), (TWO, &both)] {
        proxy.push_manifest(name, &manifest.digest, manifest).await;
    }
    let (in_one, in_two) = (referrers_path(ONE, &subject.digest), referrers_path(TWO, &subject.digest));
    assert_eq!(digests(&proxy.get(&in_one).await), of(&[&one, &both]));
    assert_eq!(digests(&proxy.get(&in_two).await), of(&[&two, &both]));
    proxy.delete(&manifest_path(ONE, &both.digest)).await.is(202);
    assert_eq!(digests(&proxy.get(&in_one).await), of(&[&one]));
    assert_eq!(digests(&proxy.get(&in_two).await), of(&[&two, &both]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referrer_counts_once_whatever_its_tags() {
    let (proxy, subject) = with_subject().await;
    let signature = referring(&subject, "x/signature", json!({}));
    for reference in ["a", "b", &signature.digest, "a"] {
        let answer = proxy.push_manifest(ONE, reference, &signature).await;
        assert_eq!(answer.header("OCI-Subject"), Some(subject.digest.as_str()));
    }
    let path = referrers_path(ONE, &subject.digest);
    assert_eq!(digests(&proxy.get(&path).await), of(&[&signature]));
    proxy.delete(&manifest_path(ONE, "a")).await.is(202);
    assert_eq!(digests(&proxy.get(&path).await), of(&[&signature]));
}

/// Follows the pages to their end.
async fn all_pages(proxy: &Proxy, path: &str) -> (BTreeSet<String>, usize) {
    let (mut found, mut pages, mut next) = (BTreeSet::new(), 0, Some(path.to_owned()));
    while let Some(path) = next {
        let answer = proxy.get(&path).await;
        assert!(answer.body.len() <= 4 << 20, "a page of {} bytes", answer.body.len());
        let page = digests(&answer);
        let before = found.len();
        found.extend(page.iter().cloned());
        assert_eq!(found.len(), before + page.len(), "a digest on two pages");
        pages += 1;
        next = answer.next();
        assert!(pages < 100, "the pages do not end");
    }
    (found, pages)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_size_that_the_client_wants() {
    let (proxy, subject) = with_subject().await;
    let mut all: Vec<Blob> = Vec::new();
    for n in 0..7 {
        let kind = if n < 4 { "x/a" } else { "x/b" };
        let manifest = referring(&subject, kind, json!({ "n": n.to_string() }));
        proxy.push_manifest(ONE, &manifest.digest, &manifest).await;
        all.push(manifest);
    }
    let path = referrers_path(ONE, &subject.digest);
    let everything = of(&all.iter().collect::<Vec<_>>());
    assert_eq!(all_pages(&proxy, &path).await, (everything.clone(), 1));
    for (size, pages) in [(1, 7), (3, 3), (6, 2), (7, 1), (100, 1)] {
        assert_eq!(all_pages(&proxy, &format!("{path}?n={size}")).await, (everything.clone(), pages), "{size}");
    }
    let filtered = of(&all[..4].iter().collect::<Vec<_>>());
    let (found, pages) = all_pages(&proxy, &format!("{path}?artifactType=x%2Fa&n=2")).await;
    assert_eq!(found, filtered);
    assert!((2..=4).contains(&pages));
}

/// An index that nobody could read would be no answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_larger_than_a_manifest_may_be() {
    let (proxy, subject) = with_subject().await;
    let mut all: Vec<Blob> = Vec::new();
    for n in 0..24 {
        let manifest = referring(&subject, "x/large", json!({ "n": n.to_string(), "long": "y".repeat(400 * KIB) }));
        proxy.push_manifest(ONE, &manifest.digest, &manifest).await;
        all.push(manifest);
    }
    let (found, pages) = all_pages(&proxy, &referrers_path(ONE, &subject.digest)).await;
    assert_eq!(found, of(&all.iter().collect::<Vec<_>>()));
    assert!((3..=24).contains(&pages), "{pages} pages");
}
