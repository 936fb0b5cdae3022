//! Tags: which are legal, that they move, and that they may come along with a digest.

use crate::{content::OCI_MANIFEST, documents::bare, hosted::ONE, proxy::Proxy};

/// A server whose repository has the empty configuration.
async fn with_config() -> Proxy {
    let proxy = Proxy::hosted().await;
    proxy.push_empty_json(ONE).await;
    proxy
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_tags_are_refused() {
    let proxy = with_config().await;
    let long = "a".repeat(129);
    for tag in [".x", "-x", &long, "a@b", "a+b", "~"] {
        proxy.put_manifest(ONE, tag, &bare(1), OCI_MANIFEST).await.refuses(400, "MANIFEST_INVALID");
    }
    for tag in ["", "a%2fb", "a%0ab", "a%00b", "%F0%9F%90%B3", "latest%20", "%2e%2e"] {
        proxy.put_manifest(ONE, tag, &bare(1), OCI_MANIFEST).await.is_error(&[400, 404]);
    }
    let longest = "a".repeat(128);
    let fallback = bare(1).digest.replace(':', "-");
    for tag in ["a", "_x", "A.b-c_d", "0", &longest, &fallback] {
        proxy.push_manifest(ONE, tag, &bare(1)).await;
        proxy.has_manifest(ONE, tag, &bare(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_moves_and_its_old_manifest_stays() {
    let proxy = with_config().await;
    for round in 0..4 {
        proxy.push_manifest(ONE, "v1", &bare(round)).await;
        proxy.has_manifest(ONE, "v1", &bare(round)).await;
        for earlier in 0..round {
            proxy.has_manifest(ONE, &bare(earlier).digest, &bare(earlier)).await;
        }
    }
    // Back to an earlier one.
    proxy.push_manifest(ONE, "v1", &bare(0)).await;
    proxy.has_manifest(ONE, "v1", &bare(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_come_along_with_a_digest() {
    let proxy = with_config().await;
    let (manifest, other) = (bare(1), bare(2));
    let tags: Vec<_> = (0..100).map(|n| format!("t{n:02}")).collect();
    let query = |tags: &[String]| tags.iter().map(|tag| format!("tag={tag}")).collect::<Vec<_>>().join("&");
    for (manifest, tags) in [(&manifest, &tags[..]), (&other, &tags[..10]), (&manifest, &tags[5..6])] {
        let reference = format!("{}?{}", manifest.digest, query(tags));
        let answer = proxy.push_manifest(ONE, &reference, manifest).await;
        assert_eq!(answer.headers_named("OCI-Tag"), tags);
        for tag in [&tags[0], &tags[tags.len() - 1]] {
            proxy.has_manifest(ONE, tag, manifest).await;
        }
    }
    proxy.has_manifest(ONE, "t04", &other).await;
    proxy.has_manifest(ONE, "t10", &manifest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tags_or_none() {
    let proxy = with_config().await;
    let manifest = bare(1);
    let digest = &manifest.digest;
    let hundred_and_one = (0..101).map(|n| format!("tag=t{n}")).collect::<Vec<_>>().join("&");
    for query in [hundred_and_one.as_str(), "tag=good&tag=.bad", "tag=good&tag=", "tag=good&tag=a%2Fb"] {
        let answer = proxy.put_manifest(ONE, &format!("{digest}?{query}"), &manifest, OCI_MANIFEST).await;
        answer.is_error(&[400]);
    }
    // A tag is not a second name for a push by tag.
    proxy.put_manifest(ONE, "good?tag=other", &manifest, OCI_MANIFEST).await.is_error(&[400]);
    for tag in ["good", "other", "t0"] {
        proxy.lacks_manifest(ONE, tag).await;
    }
    proxy.lacks_manifest(ONE, digest).await;
    // A refused manifest moves no tag.
    proxy.push_manifest(ONE, "t0", &bare(2)).await;
    let wrong = format!("{digest}?tag=t0");
    proxy.put_manifest(ONE, &wrong, &bare(3), OCI_MANIFEST).await.refuses(400, "DIGEST_INVALID");
    proxy.has_manifest(ONE, "t0", &bare(2)).await;
}
