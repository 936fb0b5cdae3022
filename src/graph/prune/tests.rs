use std::sync::Arc;

use super::*;
use crate::{
    events::{Event, Kind, What},
    graph::apply::tests::{digest, image, repository, request},
};

const NOW: Seconds = 1_700_000_000;

struct Fixture {
    shared: Shared,
}

impl Fixture {
    fn new() -> Self {
        Self { shared: Shared::default() }
    }

    fn tell(&self, at: Seconds, what: What) {
        self.shared.state.write().apply(&Event { at: u64::from(at) * 1000, what });
    }

    fn seen(&self, at: Seconds, repository: &str, layers: &str) {
        self.tell(at, What::ManifestSeen(Arc::new(image(repository, layers))));
    }

    fn moved(&self, at: Seconds, tag: &str, content: &str) {
        let what = What::TagMoved { repository: repository("one"), tag: tag.parse().unwrap(), digest: Some(digest(content)) };
        self.tell(at, what);
    }

    /// Forgets all that may be forgotten, or as much as is needed to come down to `target`.
    fn prune(&self, target: u64, is_kept: impl Fn(Kept<'_>) -> bool) -> u64 {
        let mut pass = Pass { shared: &self.shared, target, now: NOW, forgotten: 0, is_kept };
        pass.run();
        pass.forgotten
    }

    fn has(&self, content: &str) -> bool {
        self.shared.state.read().content(&digest(content)).is_some()
    }

    fn memory(&self) -> u64 {
        self.shared.state.read().memory()
    }
}

#[test]
fn what_is_asked_for_least_goes_first_and_no_more_than_is_needed() {
    let fixture = Fixture::new();
    for n in 0..200 {
        fixture.seen(NOW - 1000, "one", &format!("base/{n}"));
    }
    for n in 100..200 {
        fixture.tell(NOW - 100, request(Kind::Manifest, n, "one", None, Some(&format!("base/{n}"))));
    }
    let target = fixture.memory() - 4000;
    fixture.prune(target, |_| false);
    let gone = (0..200).filter(|n| !fixture.has(&format!("base/{n}"))).collect::<Vec<_>>();
    assert!(!gone.is_empty() && gone.len() < 50 && gone.iter().all(|&n| n < 100), "{gone:?}");
    assert!(fixture.memory() <= target);
    assert_eq!(fixture.prune(target, |_| false), 0);
}

#[test]
fn history_goes_before_anything_that_is_there() {
    let fixture = Fixture::new();
    fixture.seen(1000, "one", "a/b");
    fixture.seen(1000, "one", "not/so/long/ago");
    fixture.moved(1000, "latest", "long ago");
    fixture.moved(2000, "latest", "not/so/long/ago");
    fixture.moved(NOW - 1000, "latest", "just now");
    fixture.moved(NOW, "latest", "a/b");
    fixture.tell(1000, request(Kind::Manifest, 1, "one", Some("latest"), Some("a/b")));
    fixture.tell(1001, request(Kind::Manifest, 1, "two", Some("latest"), Some("a/b")));
    let edges = || fixture.shared.state.read().graph.edge_count();
    let before = edges();
    fixture.prune(0, |_| true);
    assert_eq!([fixture.has("long ago"), fixture.has("not/so/long/ago")], [false, true]);
    // Two names of a tag with the three successions around them, three wishes, what was pulled together, and a tag that named
    // nothing.
    assert_eq!(before - edges(), 2 + 3 + 3 + 1 + 1);
    assert!(!fixture.has("just now"), "nobody has it, and no tag names it");
}

#[test]
fn what_the_catalog_has_stays_whatever_that_takes() {
    let fixture = Fixture::new();
    fixture.seen(1000, "one", "a/b");
    fixture.seen(1000, "two", "a/b");
    fixture.seen(1000, "two", "a/c");
    fixture.moved(1000, "kept", "tagged");
    fixture.moved(1000, "left", "lost");
    fixture.prune(0, |kept| match kept {
        Kept::Manifest(repository, manifest) => repository.name.as_str() == "one" && *manifest == digest("a/b"),
        Kept::Tag(repository, tag) => repository.name.as_str() == "one" && tag.as_str() == "kept",
    });
    assert_eq!([fixture.has("a/b"), fixture.has("a/c"), fixture.has("c")], [true, false, false]);
    assert_eq!([fixture.has("tagged"), fixture.has("lost")], [true, false]);
    let state = fixture.shared.state.read();
    assert_eq!(state.tags.len(), 1);
}

#[test]
fn all_that_nobody_keeps_is_forgotten_without_a_rest() {
    let fixture = Fixture::new();
    fixture.seen(1000, "one", "a/b");
    fixture.moved(1000, "1.0", "a/b");
    fixture.moved(1000, "1.1", "a/b");
    fixture.tell(1000, request(Kind::Manifest, 1, "one", Some("1.0"), Some("a/b")));
    fixture.tell(1000, request(Kind::Blob, 1, "one", None, Some("unknown")));
    fixture.prune(0, |_| false);
    let state = fixture.shared.state.read();
    assert_eq!((state.graph.node_count(), state.graph.edge_count()), (0, 0), "{:#?}", state.dump());
    assert_eq!((state.versions.len(), state.chains.len(), state.by_ends.len()), (0, 0, 0));
    assert!(state.rates.values().all(hashbrown::HashMap::is_empty));
}

#[tokio::test]
async fn the_catalog_is_asked_for_mirrors_and_for_what_lives_here() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.redb")).unwrap();
    let mirror = catalog::Repository { route: "docker.io".into(), name: "one".parse().unwrap() };
    let link = catalog::Link { size: None, media_type: None };
    catalog.put_link(&mirror, &digest("a"), link).await.unwrap();
    let node = |route: &str, name: &str| RepositoryNode { route: route.into(), name: name.parse().unwrap(), private: false };
    let (one, two, own) = (node("docker.io", "one"), node("docker.io", "two"), node("", "one"));
    assert!(is_kept(&catalog, Kept::Manifest(&one, &digest("a"))));
    let tag = "latest".parse().unwrap();
    for kept in
        [Kept::Manifest(&two, &digest("a")), Kept::Manifest(&own, &digest("a")), Kept::Tag(&one, &tag), Kept::Tag(&own, &tag)]
    {
        assert!(!is_kept(&catalog, kept), "{kept:?}");
    }
    catalog.close().await;
    assert!(is_kept(&catalog, Kept::Manifest(&two, &digest("a"))), "it cannot tell");
}
