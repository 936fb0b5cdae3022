//! Facts as events tell them, and what is known then.

use std::sync::Arc;

use petgraph::{Direction, visit::EdgeRef};

use super::super::model::Role;
use super::*;
use crate::{
    events::{Child, Kind, Layer, ManifestSeen, Request, Source},
    oci::{Algorithm, MediaType},
};

pub(in super::super) fn digest(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

pub(in super::super) fn repository(name: &str) -> Repository {
    Repository { route: "docker.io".into(), name: name.parse().unwrap(), private: false }
}

pub(in super::super) fn layer(name: &str) -> Layer {
    Layer { digest: digest(name), size: name.len() as u64, media_type: MediaType::OCI_MANIFEST.parse().unwrap() }
}

/// An image named after its layers, such as `a/b/c`, lowest first.
pub(in super::super) fn image(repository_name: &str, layers: &str) -> ManifestSeen {
    ManifestSeen {
        repository: repository(repository_name),
        manifest: layer(layers),
        config: Some(layer(&format!("{layers} config"))),
        layers: layers.split('/').map(layer).collect(),
        manifests: None,
        subject: None,
        base: None,
        created: None,
    }
}

fn index(repository_name: &str, name: &str, children: &[&str]) -> ManifestSeen {
    let child = |child: &&str| Child { manifest: layer(child), platform: Some("linux/amd64".to_owned()) };
    let (manifest, manifests) = (layer(name), Some(children.iter().map(child).collect()));
    ManifestSeen { manifest, config: None, layers: Vec::new(), manifests, ..image(repository_name, name) }
}

pub(in super::super) fn request(
    kind: Kind,
    client: u64,
    repository_name: &str,
    tag: Option<&str>,
    content: Option<&str>,
) -> What {
    What::Request(Arc::new(Request {
        customer: Some("acme".into()),
        region: "dal".into(),
        client,
        repository: repository(repository_name),
        tag: tag.map(|tag| tag.parse().unwrap()),
        digest: content.map(digest),
        kind,
        status: 200,
        bytes: 77,
        source: Source::Disk,
        first_byte: 1,
        total: 2,
        complete: true,
    }))
}

#[derive(Default)]
struct Story {
    state: State,
    second: u64,
}

impl Story {
    fn tell(&mut self, what: What) {
        self.second += 1;
        self.state.apply(&Event { at: self.second * 1000, what });
    }

    fn seen(&mut self, manifest: ManifestSeen) {
        self.tell(What::ManifestSeen(Arc::new(manifest)));
    }

    fn deleted(&mut self, repository_name: &str, content: &str) {
        self.tell(What::ManifestDeleted { repository: repository(repository_name), digest: digest(content) });
    }

    fn moved(&mut self, repository_name: &str, tag: &str, content: Option<&str>) {
        let (repository, tag) = (repository(repository_name), tag.parse().unwrap());
        self.tell(What::TagMoved { repository, tag, digest: content.map(digest) });
    }

    fn node(&self, name: &str) -> Option<NodeIndex> {
        self.state.content(&digest(name))
    }

    fn base(&self, name: &str) -> Option<(Digest, u16, bool)> {
        self.state.graph.edges(self.node(name)?).find_map(|edge| match edge.weight() {
            Edge::BasedOn { shared, declared } => Some((self.state.as_content(edge.target())?.digest(), *shared, *declared)),
            _ => None,
        })
    }

    fn tag(&self, repository_name: &str, tag: &str) -> NodeIndex {
        let Repository { route, name, .. } = repository(repository_name);
        let repository = self.state.repository(&route, &name).unwrap();
        self.state.tag(repository, &tag.parse().unwrap()).unwrap()
    }

    fn named(&self, repository_name: &str, tag: &str) -> Option<Digest> {
        let named = self.state.named(self.tag(repository_name, tag))?;
        self.state.as_content(named).map(|content| content.digest())
    }

    fn next(&self, repository_name: &str, tag: &str) -> Option<String> {
        let mut edges = self.state.graph.edges(self.tag(repository_name, tag));
        let next = edges.find(|edge| matches!(edge.weight(), Edge::NextVersion))?;
        Some(self.state.as_tag(next.target())?.tag.to_string())
    }

    fn co_pulled(&self, one: &str, other: &str) -> Option<f32> {
        let node = |name| self.state.repository(&"docker.io".into(), &repository(name).name);
        let edge = self.state.linked(node(one)?, node(other)?, Edge::CoPulled { weight: 0.0, at: 0 })?;
        match self.state.graph.edge_weight(edge) {
            Some(Edge::CoPulled { weight, .. }) => Some(*weight),
            _ => None,
        }
    }
}

#[test]
fn a_manifest_leaves_with_what_only_it_used() {
    let mut story = Story::default();
    story.seen(image("one", "a/b"));
    story.seen(image("two", "a/b"));
    story.seen(image("one", "a/c"));
    assert_eq!(story.state.layers(story.node("a/b").unwrap()), [story.node("a").unwrap(), story.node("b").unwrap()]);
    story.deleted("one", "a/b");
    assert!(story.node("a/b").is_some(), "another repository has it");
    story.deleted("two", "a/b");
    assert_eq!((story.node("a/b"), story.node("b"), story.node("a/b config")), (None, None, None));
    assert!(story.node("a").is_some());
    story.deleted("one", "a/c");
    story.deleted("one", "unseen");
    story.deleted("unseen", "a");
    assert_eq!(story.state.graph.edge_count(), 0);
    assert_eq!(story.state.graph.node_count(), 2, "the repositories");
}

#[test]
fn tags_indexes_and_their_past_hold_manifests() {
    let mut story = Story::default();
    story.seen(index("one", "all", &["a/b", "unseen"]));
    story.seen(image("one", "a/b"));
    story.moved("one", "latest", Some("all"));
    story.moved("one", "latest", Some("a/b"));
    story.deleted("one", "all");
    assert!(story.node("unseen").is_some(), "the tag named the index that holds it");
    story.deleted("one", "a/b");
    assert_eq!(story.named("one", "latest"), Some(digest("a/b")));
    assert_eq!(story.state.as_content(story.node("all").unwrap()).unwrap().role, Role::Index);
}

#[test]
fn what_is_only_mentioned_is_known_by_its_digest_alone() {
    let mut story = Story::default();
    story.seen(image("one", "a/b"));
    story.seen(ManifestSeen { subject: Some(digest("a/b")), ..image("one", "signature") });
    story.deleted("one", "a/b");
    let subject = story.node("a/b").unwrap();
    assert_eq!((story.state.as_content(subject).unwrap().role, story.node("b")), (Role::Unknown, None));
    story.deleted("one", "signature");
    assert_eq!(story.node("a/b"), None);
}

#[test]
fn the_base_is_the_longest_image_that_the_layers_begin_with() {
    let mut story = Story::default();
    story.seen(image("one", "a/b/c/d"));
    assert_eq!(story.base("a/b/c/d"), None);
    story.seen(image("one", "a"));
    assert_eq!(story.base("a/b/c/d"), Some((digest("a"), 1, false)), "the base came later");
    story.seen(image("one", "a/b/c"));
    story.seen(image("one", "a/b"));
    story.seen(image("one", "b/c"));
    assert_eq!(story.base("a/b/c/d"), Some((digest("a/b/c"), 3, false)));
    assert_eq!(story.base("a/b/c"), Some((digest("a/b"), 2, false)));
    assert_eq!((story.base("a"), story.base("b/c")), (None, None));
    story.deleted("one", "a/b/c");
    assert_eq!(story.base("a/b/c/d"), Some((digest("a/b"), 2, false)));
}

#[test]
fn of_bases_with_the_same_layers_the_least_digest_is_meant() {
    let mut twins = ["one twin", "another twin"].map(|name| ManifestSeen { manifest: layer(name), ..image("one", "a/b") });
    twins.sort_by_key(|twin| twin.manifest.digest);
    let [least, other] = twins;
    let mut story = Story::default();
    story.seen(image("one", "a/b/c"));
    for (twin, base) in [(&other, &other), (&least, &least), (&other, &least)] {
        story.seen(twin.clone());
        assert_eq!(story.base("a/b/c"), Some((base.manifest.digest, 2, false)));
    }
    story.tell(What::ManifestDeleted { repository: repository("one"), digest: least.manifest.digest });
    assert_eq!(story.base("a/b/c"), Some((other.manifest.digest, 2, false)));
}

#[test]
fn what_an_image_says_of_its_base_counts_more_than_its_layers() {
    let mut story = Story::default();
    story.seen(image("one", "a"));
    story.seen(ManifestSeen { base: Some(digest("all")), ..image("one", "a/b/c") });
    assert_eq!(story.base("a/b/c"), Some((digest("all"), 0, true)));
    story.seen(index("one", "all", &["a/b", "x"]));
    assert_eq!(story.base("a/b/c"), Some((digest("all"), 0, true)));
    story.seen(image("one", "a/b"));
    assert_eq!(story.base("a/b/c"), Some((digest("all"), 2, true)), "by the image of the index that shares most");
    story.deleted("one", "all");
    assert_eq!(story.base("a/b/c"), Some((digest("all"), 0, true)));
}

#[test]
fn manifests_that_begin_with_the_empty_document_are_no_bases() {
    let mut story = Story::default();
    let empty = Layer { digest: Digest::of(Algorithm::Sha256, b"{}"), ..layer("empty") };
    let artifact = |name: &str, more: &[Layer]| ManifestSeen {
        manifest: layer(name),
        layers: [std::slice::from_ref(&empty), more].concat(),
        ..image("one", name)
    };
    story.seen(artifact("one", &[]));
    story.seen(artifact("two", &[layer("x")]));
    assert_eq!(story.base("two"), None);
}

#[test]
fn a_tag_has_a_past_and_what_it_named_has_a_successor() {
    let mut story = Story::default();
    story.moved("one", "latest", Some("a"));
    story.moved("one", "latest", Some("a"));
    story.moved("one", "latest", Some("b"));
    story.moved("one", "latest", None);
    story.moved("one", "latest", None);
    story.moved("one", "nothing", None);
    assert_eq!(story.named("one", "latest"), None);
    let mut names: Vec<_> = story.state.graph.edges(story.tag("one", "latest")).map(|edge| *edge.weight()).collect();
    names.sort_by_key(|edge| match edge {
        Edge::Names { since, .. } => *since,
        _ => 0,
    });
    assert_eq!(names, [Edge::Names { since: 1, until: 3 }, Edge::Names { since: 3, until: 4 }]);
    let succeeded = Edge::Succeeded { at: 3 };
    let edge = story.state.linked(story.node("a").unwrap(), story.node("b").unwrap(), succeeded).unwrap();
    assert_eq!(story.state.graph.edge_weight(edge), Some(&succeeded));
}

#[test]
fn what_is_told_much_too_late_is_history() {
    let mut story = Story { second: 1000, ..Story::default() };
    story.moved("one", "latest", Some("new"));
    story.second = 100;
    story.moved("one", "latest", Some("old"));
    assert_eq!(story.named("one", "latest"), Some(digest("new")));
    let tag = story.tag("one", "latest");
    let past = |story: &Story| {
        story.state.graph.edges(tag).filter(|edge| *edge.weight() == Edge::Names { since: 101, until: 1001 }).count()
    };
    assert_eq!(past(&story), 1);
    story.second = 100;
    story.moved("one", "latest", Some("old"));
    assert_eq!((past(&story), story.state.graph.edge_count()), (1, 3), "it is told twice");
    story.second = 990;
    story.moved("one", "latest", Some("newer"));
    assert_eq!(story.named("one", "latest"), Some(digest("newer")), "the clock was set back a little");
}

#[test]
fn the_oldest_names_are_forgotten_with_what_only_they_held() {
    let mut story = Story::default();
    for n in 0..100 {
        story.moved("one", "latest", Some(&n.to_string()));
    }
    assert_eq!((story.node("35"), story.node("36").is_some(), story.node("99").is_some()), (None, true, true));
    assert_eq!(story.named("one", "latest"), Some(digest("99")));
}

#[test]
fn versions_are_linked_in_order_whatever_comes_first() {
    let mut story = Story::default();
    for tag in ["1.10.0", "1.2.0", "latest", "1.9.0", "1.9.0-alpine"] {
        story.moved("one", tag, Some("a"));
    }
    story.moved("two", "1.9.5", Some("a"));
    assert_eq!(story.next("one", "1.2.0").as_deref(), Some("1.9.0"));
    assert_eq!(story.next("one", "1.9.0").as_deref(), Some("1.10.0"));
    assert_eq!((story.next("one", "1.10.0"), story.next("one", "1.9.0-alpine"), story.next("one", "latest")), (None, None, None));
    story.moved("one", "1.9.0", None);
    assert_eq!((story.next("one", "1.2.0").as_deref(), story.next("one", "1.9.0")), (Some("1.10.0"), None));
}

#[test]
fn a_deleted_manifest_of_a_hosted_repository_takes_its_tags_along() {
    let mut story = Story::default();
    let hosted = Repository { route: "".into(), ..repository("own") };
    story.seen(ManifestSeen { repository: hosted.clone(), ..image("own", "a/b") });
    story.tell(What::TagMoved { repository: hosted.clone(), tag: "1.0".parse().unwrap(), digest: Some(digest("a/b")) });
    story.tell(What::ManifestDeleted { repository: hosted.clone(), digest: digest("a/b") });
    let node = story.state.repository(&hosted.route, &hosted.name).unwrap();
    assert_eq!(story.state.named(story.state.tag(node, &"1.0".parse().unwrap()).unwrap()), None);
}

#[test]
fn requests_are_counted_where_they_are_asked() {
    let mut story = Story::default();
    story.tell(request(Kind::Blob, 1, "one", None, Some("a")));
    story.tell(request(Kind::Manifest, 1, "one", Some("latest"), Some("m")));
    story.tell(request(Kind::ManifestHead, 1, "one", Some("latest"), Some("m")));
    story.tell(request(Kind::Manifest, 1, "one", Some("latest"), None));
    let state = &story.state;
    let region = state.names().find("dal").unwrap();
    let blob = story.node("a").unwrap();
    assert_eq!((state.as_content(blob).unwrap().size, state.as_content(blob).unwrap().role), (77, Role::Blob));
    assert_eq!(state.rates(region, blob).unwrap().at(1), [1.0; 3]);
    assert_eq!(state.rates(region, story.node("m").unwrap()).unwrap().at(2), [1.0; 3], "a HEAD fetches nothing");
    let audience = state.audience(Some(&"acme".into()), region).unwrap();
    let mut wants: Vec<_> = state.graph.edges_directed(audience, Direction::Outgoing).map(|edge| *edge.weight()).collect();
    wants.sort_by_key(|edge| matches!(edge, Edge::Wants { at: 4, .. }));
    assert!(matches!(wants[..], [Edge::Wants { at: 2, .. }, Edge::Wants { at: 4, weight }] if weight > 2.9), "{wants:?}");
    let nodes = state.graph.node_count();
    for status in [401, 404, 502] {
        let What::Request(refused) = request(Kind::Manifest, 1, "bogus", Some("x"), Some("y")) else { unreachable!() };
        story.tell(What::Request(Arc::new(Request { status, ..(*refused).clone() })));
    }
    assert_eq!(story.state.graph.node_count(), nodes, "who finds nothing leaves nothing behind");
}

#[test]
fn repositories_that_one_client_pulls_belong_together() {
    let mut story = Story::default();
    for client in [1, 2] {
        for name in ["one", "two", "two"] {
            story.tell(request(Kind::Manifest, client, name, Some("latest"), Some("m")));
        }
    }
    assert!(story.co_pulled("one", "two").is_some_and(|weight| weight > 1.9));
    assert_eq!(story.co_pulled("two", "one"), None);
    for n in 0..40 {
        story.second += 1000;
        story.tell(request(Kind::Manifest, 3, "one", Some("latest"), Some("m")));
        story.tell(request(Kind::Manifest, 3, &format!("rare{n}"), Some("latest"), Some("m")));
    }
    let node = story.state.repository(&"docker.io".into(), &repository("one").name).unwrap();
    assert_eq!(story.state.co_pulled[&node].len(), 32);
    assert!(story.co_pulled("one", "two").is_some() && story.co_pulled("one", "rare39").is_some(), "the rarest have left");
}

#[test]
fn when_an_image_was_made_is_told_by_its_configuration() {
    let mut story = Story::default();
    story.tell(What::ConfigRead { digest: digest("early config"), created: 5 });
    story.seen(image("one", "early"));
    story.seen(image("one", "late"));
    story.tell(What::ConfigRead { digest: digest("late config"), created: 6 });
    story.seen(ManifestSeen { created: Some(7), config: Some(layer("late config")), ..image("one", "own") });
    let created = |name| story.state.as_content(story.node(name).unwrap()).unwrap().created;
    assert_eq!([created("early"), created("late"), created("own")], [5, 6, 7]);
}
