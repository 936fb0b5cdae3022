//! What holds for which repository and tag.

use std::time::Duration;

use harbinger::config::Rule;

use crate::{
    content::Image,
    proxy::{FOR_EVER, Setup, manifest_path},
    upstream::Upstream,
};

const ONE: &str = "library/one";
const TWO: &str = "library/two";

fn rule(repositories: &str) -> Rule {
    Rule { repositories: vec![repositories.to_owned()], ..Rule::default() }
}

fn immutable(repositories: &str, tags: &[&str]) -> Rule {
    Rule { immutable_tags: Some(tags.iter().map(|&tag| tag.to_owned()).collect()), ..rule(repositories) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_is_never_asked_for_again() {
    let upstream = Upstream::start().await;
    let (old, new) = (Image::small(1), Image::small(2));
    let setup = Setup::in_front_of(&upstream).always_revalidating();
    let setup = setup.with(|config| config.cache.rule = vec![immutable("docker.io/library/*", &["v*", "*-sha-*"])]);
    let proxy = setup.start().await;
    for tag in ["v1", "main-sha-1", "latest"] {
        upstream.holds_image(ONE, tag, &old);
        proxy.get(&manifest_path(ONE, tag)).await.is_exactly(&old.manifest.bytes);
        upstream.holds_image(ONE, tag, &new);
    }
    upstream.forgets_requests();
    for _ in 0..3 {
        for tag in ["v1", "main-sha-1"] {
            proxy.get(&manifest_path(ONE, tag)).await.is_exactly(&old.manifest.bytes);
            let head = proxy.head(&manifest_path(ONE, tag)).await;
            assert_eq!(head.header("Docker-Content-Digest"), Some(old.manifest.digest.as_str()));
        }
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
    proxy.get(&manifest_path(ONE, "latest")).await.is_exactly(&new.manifest.bytes);

    // Nor after a restart, with the upstream away and the time of stale answers over.
    let setup = proxy.stop().await.with(|config| config.cache.stale_if_error = Duration::ZERO);
    upstream.goes_down();
    let proxy = setup.start().await;
    proxy.get(&manifest_path(ONE, "v1")).await.is_exactly(&old.manifest.bytes);
    proxy.get(&manifest_path(ONE, "latest")).await.is_error(&[502, 503]);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_tag_is_believed_depends_on_the_repository() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    let setup = Setup::in_front_of(&upstream).always_revalidating();
    let believed = Rule { tag_ttl: Some(FOR_EVER), ..rule("index.docker.io/one") };
    let proxy = setup.with(|config| config.cache.rule = vec![believed]).start().await;
    for name in [ONE, TWO] {
        upstream.holds_image(name, "v1", &image);
        for _ in 0..3 {
            proxy.get(&manifest_path(name, "v1")).await.is_exactly(&image.manifest.bytes);
        }
    }
    assert_eq!(upstream.count("HEAD", &manifest_path(ONE, "v1")), 0);
    assert_eq!(upstream.count("HEAD", &manifest_path(TWO, "v1")), 2);

    // A new configuration decides about what is known already.
    proxy.reload(|config| config.cache.rule = vec![immutable("docker.io/library/two", &["*"])]);
    upstream.forgets_requests();
    for name in [ONE, TWO] {
        proxy.get(&manifest_path(name, "v1")).await.is_exactly(&image.manifest.bytes);
    }
    assert_eq!(upstream.count("HEAD", &manifest_path(ONE, "v1")), 1);
    assert_eq!(upstream.requests().len(), 1);
}
