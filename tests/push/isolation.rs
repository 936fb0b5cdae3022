//! Who may read what: a repository answers for itself, and hosted and proxied ones never answer for each other.

use crate::{
    client::Answer,
    content::{Image, KIB, MIB},
    documents::bare,
    hosted::{ONE, TWO, closing, uploads_path},
    proxy::{Proxy, Setup, blob_path, manifest_path, mirror},
    upstream::Upstream,
};

const PROXIED: &str = "library/demo";

async fn in_front_of_image(image: &Image) -> (Upstream, Proxy) {
    let upstream = Upstream::start().await;
    upstream.holds_image(PROXIED, "v1", image);
    let proxy = Setup::in_front_of(&upstream).start().await;
    (upstream, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_digest_is_read_through_its_own_repository_only() {
    let proxy = Proxy::hosted().await;
    let image = Image::new(1, &[10 * KIB, 2 * MIB]);
    proxy.push_image(ONE, "v1", &image).await;
    for name in [TWO, "local/one/more", "local/on"] {
        for blob in &image.blobs {
            proxy.lacks_blob(name, blob).await;
            proxy.delete(&blob_path(name, blob)).await.refuses(404, "BLOB_UNKNOWN");
        }
        for reference in ["v1", &image.manifest.digest] {
            proxy.lacks_manifest(name, reference).await;
        }
    }
    proxy.pull(ONE, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_digest_is_not_read_through_a_proxied_repository() {
    let upstream = Upstream::start().await;
    upstream.holds_image(PROXIED, "v1", &Image::small(9));
    let proxy = Setup::in_front_of(&upstream).start().await;
    let image = Image::new(1, &[10 * KIB, 2 * MIB]);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.pull(ONE, "v1", &image).await;
    for name in [PROXIED, "library/other", "docker.io/local/one"] {
        for blob in &image.blobs {
            assert_eq!(proxy.head(&blob_path(name, blob)).await.status, 404);
            proxy.get(&blob_path(name, blob)).await.is_error(&[404]);
        }
        proxy.get(&manifest_path(name, &image.manifest.digest)).await.is_error(&[404]);
    }
    // When the upstream gives leave, it is the same bytes.
    upstream.holds_blob(PROXIED, &image.blobs[1]);
    let proxy = proxy.stop().await.start().await;
    proxy.get(&blob_path(PROXIED, &image.blobs[1])).await.is_exactly(&image.blobs[1].bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_content_is_not_read_through_a_hosted_repository() {
    let image = Image::new(1, &[10 * KIB, 2 * MIB]);
    let (upstream, proxy) = in_front_of_image(&image).await;
    proxy.pull(PROXIED, "v1", &image).await;
    proxy.push_empty_json(ONE).await;
    upstream.forgets_requests();
    for name in [ONE, "local/library/demo", "local/never"] {
        for blob in &image.blobs {
            proxy.lacks_blob(name, blob).await;
        }
        for reference in ["v1", &image.manifest.digest] {
            proxy.lacks_manifest(name, reference).await;
        }
    }
    assert_eq!(upstream.requests().len(), 0, "a hosted repository has asked the upstream");
}

/// Nobody takes over a name of ours by having it elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn hosted_names_never_fall_through_to_an_upstream() {
    let (upstream, image) = (Upstream::start().await, Image::small(1));
    upstream.holds_image(ONE, "v1", &image);
    upstream.holds_referrers(ONE, &image.manifest.digest, vec![bare(1).descriptor(crate::content::OCI_MANIFEST)]);
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.lacks_manifest(ONE, "v1").await;
    proxy.lacks_manifest(ONE, &image.manifest.digest).await;
    proxy.lacks_blob(ONE, &image.blobs[0]).await;
    proxy.get(&format!("/v2/{ONE}/tags/list")).await.refuses(404, "NAME_UNKNOWN");
    let referrers = proxy.get(&format!("/v2/{ONE}/referrers/{}", image.manifest.digest)).await;
    assert_eq!(referrers.is(200).json()["manifests"], serde_json::json!([]));
    proxy.delete(&manifest_path(ONE, "v1")).await.refuses(404, "MANIFEST_UNKNOWN");
    assert_eq!(upstream.requests().len(), 0);
}

/// All ways of naming the upstream.
fn named(name: &str, rest: &str) -> [String; 4] {
    [
        format!("/v2/{name}/{rest}?ns=docker.io"),
        format!("/v2/docker.io/{name}/{rest}"),
        format!("/docker.io/v2/{name}/{rest}"),
        format!("/v2/{name}/{rest}?ns=registry-1.docker.io"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_an_upstream_means_the_upstream() {
    let (upstream, theirs, ours) = (Upstream::start().await, Image::small(1), Image::small(2));
    upstream.holds_image(ONE, "v1", &theirs);
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.push_image(ONE, "v1", &ours).await;
    for path in named(ONE, "manifests/v1") {
        proxy.get(&path).await.is_exactly(&theirs.manifest.bytes);
    }
    for path in named(ONE, &format!("blobs/{}", theirs.blobs[1].digest)) {
        proxy.get(&path).await.is_exactly(&theirs.blobs[1].bytes);
    }
    for path in named(ONE, &format!("blobs/{}", ours.blobs[1].digest)) {
        proxy.get(&path).await.is_error(&[404]);
    }
    let asked = upstream.requests().len();
    for path in named(ONE, "manifests/v1") {
        let put = proxy.request("PUT", &path).header("Content-Type", crate::content::OCI_MANIFEST);
        says_where_to_push(&put.body(ours.manifest.bytes.clone()).send().await);
        says_where_to_push(&proxy.delete(&path).await);
    }
    for path in named(ONE, "blobs/uploads/") {
        says_where_to_push(&proxy.request("POST", &path).send().await);
    }
    assert_eq!(upstream.requests().len(), asked, "a write has reached the upstream");
    proxy.pull(ONE, "v1", &ours).await;
}

#[track_caller]
fn says_where_to_push(answer: &Answer) {
    answer.refuses(405, "UNSUPPORTED");
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("local/"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxied_repositories_are_not_written_to() {
    let image = Image::small(1);
    let (upstream, proxy) = in_front_of_image(&image).await;
    proxy.pull(PROXIED, "v1", &image).await;
    upstream.forgets_requests();
    let blob = &image.blobs[0];
    let uploads = uploads_path(PROXIED);
    let id = "01234567-89ab-4def-8123-456789abcdef";
    for name in [PROXIED, "local", "locale/x", "x/local/y", "nginx"] {
        for (method, path) in [
            ("POST", uploads_path(name)),
            ("POST", format!("{}?digest={}", uploads_path(name), blob.digest)),
            ("POST", format!("{}?mount={}&from=local/one", uploads_path(name), blob.digest)),
            ("PATCH", format!("{}{id}", uploads_path(name))),
            ("PUT", format!("{}{id}?digest={}", uploads_path(name), blob.digest)),
            ("DELETE", format!("{}{id}", uploads_path(name))),
            ("PUT", manifest_path(name, "v1")),
            ("PUT", manifest_path(name, &image.manifest.digest)),
            ("DELETE", manifest_path(name, "v1")),
            ("DELETE", manifest_path(name, &image.manifest.digest)),
            ("DELETE", blob_path(name, blob)),
        ] {
            let answer = proxy.request(method, &path).body(blob.bytes.clone()).send().await;
            says_where_to_push(&answer);
        }
    }
    // A large body is not read to its end before that is said.
    let mut large = proxy.request("POST", &format!("{uploads}?digest={}", blob.digest)).begin(1 << 40).await;
    large.write(&[0; 1000]).await;
    says_where_to_push(&large.answer().await);
    assert_eq!(upstream.requests().len(), 0);
    proxy.pull(PROXIED, "v1", &image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn which_names_are_hosted_is_configured() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    for name in [ONE, "mine/app", "team-a/app"] {
        upstream.holds_image(name, "v1", &image);
    }
    let hosted = |prefixes: &[&str]| {
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| prefix.to_string()).collect();
        Setup::in_front_of(&upstream).setting("prefixes", prefixes)
    };
    let proxy = hosted(&["mine/", "team-a/"]).start().await;
    proxy.pull(ONE, "v1", &image).await;
    for name in ["mine/app", "team-a/app"] {
        proxy.lacks_manifest(name, "v1").await;
        proxy.push_image(name, "v1", &Image::small(2)).await;
        proxy.pull(name, "v1", &Image::small(2)).await;
    }
    let refusal = proxy.request("POST", &uploads_path(ONE)).send().await;
    refusal.refuses(405, "UNSUPPORTED");
    assert!(refusal.text().contains("mine/"), "{}", refusal.text());
    // Without any, everything is proxied, also what was hosted before.
    let proxy = hosted(&[]).start().await;
    for name in [ONE, "mine/app"] {
        proxy.pull(name, "v1", &image).await;
        proxy.request("POST", &uploads_path(name)).send().await.refuses(405, "UNSUPPORTED");
    }
}

/// Answers about what others have and about what does not exist are the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_looks_like_what_does_not_exist() {
    let image = Image::small(1);
    let (_upstream, proxy) = in_front_of_image(&image).await;
    proxy.pull(PROXIED, "v1", &image).await;
    let (here, nowhere) = (Image::small(2), Image::small(3));
    proxy.push_image(ONE, "v1", &here).await;
    proxy.push_empty_json(TWO).await;
    let seen = async |method: &str, path: String, digest: &str| {
        let answer = proxy.request(method, &path).body(b"wrong".to_vec()).send().await;
        let volatile = |name: &str| ["date", "x-request-id"].contains(&name.to_lowercase().as_str());
        let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| !volatile(name)).cloned().collect();
        headers.sort();
        (answer.status, headers, answer.text().replace(digest, "DIGEST"))
    };
    for method in ["GET", "HEAD", "DELETE"] {
        for kind in ["blobs", "manifests"] {
            let path = |digest: &str| format!("/v2/{TWO}/{kind}/{digest}");
            let absent = &nowhere.blobs[1].digest;
            let expected = seen(method, path(absent), absent).await;
            for image in [&here, &image] {
                for digest in [&image.blobs[1].digest, &image.manifest.digest] {
                    assert_eq!(seen(method, path(digest), digest).await, expected, "{method} {kind}");
                }
            }
        }
    }
    // To know a digest is not to have the bytes.
    for blob in [&here.blobs[1], &image.blobs[1], &nowhere.blobs[1]] {
        let (status, ..) = seen("POST", closing(&uploads_path(TWO), &blob.digest), &blob.digest).await;
        assert_eq!(status, 400);
        proxy.lacks_blob(TWO, blob).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_hosted_and_cached_are_deleted_for_one_side_only() {
    let image = Image::new(1, &[10 * KIB, 2 * MIB]);
    let (upstream, proxy) = in_front_of_image(&image).await;
    proxy.pull(PROXIED, "v1", &image).await;
    proxy.push_image(ONE, "v1", &image).await;
    proxy.pull(ONE, "v1", &image).await;
    for blob in &image.blobs {
        proxy.delete(&blob_path(ONE, blob)).await.is(202);
        proxy.lacks_blob(ONE, blob).await;
    }
    proxy.delete(&manifest_path(ONE, &image.manifest.digest)).await.is(202);
    proxy.lacks_manifest(ONE, "v1").await;
    upstream.goes_down();
    for blob in &image.blobs {
        proxy.get(&blob_path(PROXIED, blob)).await.is_exactly(&blob.bytes);
    }
    proxy.get(&manifest_path(PROXIED, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
}

/// Two registries with a repository of the same name, and ours.
#[tokio::test(flavor = "multi_thread")]
async fn names_on_three_sides() {
    let (hub, other) = (Upstream::start().await, Upstream::start().await);
    let images = [Image::small(1), Image::small(2), Image::small(3)];
    hub.holds_image(ONE, "v1", &images[0]);
    other.holds_image(ONE, "v1", &images[1]);
    let upstreams = vec![mirror("docker.io", &hub), mirror("registry.example", &other)];
    let proxy = Setup::with_upstreams(upstreams).start().await;
    proxy.push_image(ONE, "v1", &images[2]).await;
    proxy.pull("docker.io/local/one", "v1", &images[0]).await;
    proxy.pull("registry.example/local/one", "v1", &images[1]).await;
    proxy.pull(ONE, "v1", &images[2]).await;
}
