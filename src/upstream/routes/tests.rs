use futures_util::future::BoxFuture;

use super::*;
use crate::{
    oci::{Digest, Reference},
    upstream::{BlobStream, FetchedManifest, ListBounds, ManifestHead, UpstreamError},
};

/// Routing never asks an upstream anything.
#[derive(Debug)]
struct Untouched;

impl Origin for Untouched {
    fn blob<'a>(&'a self, _: &'a RepositoryName, _: &'a Digest, _: u64) -> BoxFuture<'a, Result<BlobStream, UpstreamError>> {
        unreachable!("routing asked for a blob")
    }
    fn blob_size<'a>(&'a self, _: &'a RepositoryName, _: &'a Digest) -> BoxFuture<'a, Result<Option<u64>, UpstreamError>> {
        unreachable!("routing asked for a size")
    }
    fn manifest<'a>(&'a self, _: &'a RepositoryName, _: &'a Reference) -> BoxFuture<'a, Result<FetchedManifest, UpstreamError>> {
        unreachable!("routing asked for a manifest")
    }
    fn manifest_head<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, UpstreamError>> {
        unreachable!("routing asked for a manifest")
    }
    fn tags_within<'a>(&'a self, _: &'a RepositoryName, _: ListBounds) -> BoxFuture<'a, Result<Vec<String>, UpstreamError>> {
        unreachable!("routing asked for tags")
    }
    fn referrers<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<serde_json::Value>, UpstreamError>> {
        unreachable!("routing asked for referrers")
    }
}

fn routes(upstreams: Vec<config::Upstream>) -> Routes {
    let entries = upstreams.into_iter().map(|upstream| (upstream, Arc::new(Untouched) as Arc<dyn Origin>)).collect();
    Routes::new(entries, vec!["local/".to_owned(), "team/apps/".to_owned()]).unwrap()
}

/// The upstream's repository that an address leads to.
fn target(found: Result<Destination, RouteError>) -> Result<Target, RouteError> {
    found.map(|destination| match destination {
        Destination::Proxied(target) => target,
        Destination::Hosted(name) => panic!("{name} is hosted"),
    })
}

fn configured() -> Routes {
    let own = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    routes(vec![
        config::Upstream { aliases: own(&["hub"]), hosts: own(&["hub.local"]), ..config::Upstream::new("docker.io") },
        config::Upstream { aliases: own(&["gh"]), hosts: own(&["gh.local:6000"]), ..config::Upstream::new("ghcr.io") },
        config::Upstream::new("registry.example:5000"),
        config::Upstream::new("[::1]:5000"),
        config::Upstream { library: Some(true), ..config::Upstream::new("localhost") },
    ])
}

fn at<'a>(namespace: &'a str, prefix: &'a str, host: &'a str, path: &'a str) -> Address<'a> {
    let some = |text: &'a str| if text.is_empty() { None } else { Some(text) };
    Address { namespace: some(namespace), prefix: some(prefix), host: some(host), path }
}

/// Columns: namespace, prefix, Host, path; then what is meant.
#[test]
fn addresses_that_lead_somewhere() {
    let routes = configured();
    for (namespace, prefix, host, path, expected) in [
        // The default upstream, as the Docker daemon asks.
        ("", "", "", "library/nginx", "docker.io library/nginx"),
        ("", "", "", "nginx", "docker.io library/nginx"),
        ("", "", "127.0.0.1:5000", "nginx", "docker.io library/nginx"),
        ("", "", "evil.com#tenant", "a/b", "docker.io a/b"),
        ("", "", "", "a/manifests/b", "docker.io a/manifests/b"),
        // The namespace, as containerd asks.
        ("docker.io", "", "", "library/nginx", "docker.io library/nginx"),
        ("ghcr.io", "", "", "org/app", "ghcr.io org/app"),
        ("ghcr.io", "", "", "app", "ghcr.io app"),
        ("GHCR.io", "", "", "org/app", "ghcr.io org/app"),
        ("ghcr.io.", "", "", "org/app", "ghcr.io org/app"),
        ("ghcr.io:443", "", "", "org/app", "ghcr.io org/app"),
        ("gh", "", "", "org/app", "ghcr.io org/app"),
        ("registry.example:5000", "", "", "app", "registry.example:5000 app"),
        ("[::1]:5000", "", "", "app", "[::1]:5000 app"),
        ("[0:0::1]:5000", "", "", "app", "[::1]:5000 app"),
        ("localhost", "", "", "app", "localhost library/app"),
        // All names of Docker Hub are one.
        ("index.docker.io", "", "", "nginx", "docker.io library/nginx"),
        ("registry-1.docker.io", "", "", "nginx", "docker.io library/nginx"),
        ("registry.hub.docker.com", "", "", "nginx", "docker.io library/nginx"),
        // The prefix before /v2/.
        ("", "ghcr.io", "", "org/app", "ghcr.io org/app"),
        ("", "hub", "", "nginx", "docker.io library/nginx"),
        // The prefix in the path, as podman and crane ask.
        ("", "", "", "docker.io/library/nginx", "docker.io library/nginx"),
        ("", "", "", "docker.io/nginx", "docker.io library/nginx"),
        ("", "", "", "index.docker.io/nginx", "docker.io library/nginx"),
        ("", "", "", "Docker.IO/nginx", "docker.io library/nginx"),
        ("", "", "", "hub/nginx", "docker.io library/nginx"),
        ("", "", "", "gh/org/app", "ghcr.io org/app"),
        ("", "", "", "ghcr.io:443/org/app", "ghcr.io org/app"),
        ("", "", "", "registry.example:5000/app", "registry.example:5000 app"),
        ("", "", "", "[::1]:5000/app", "[::1]:5000 app"),
        ("", "", "", "localhost/app", "localhost library/app"),
        // Prefix and namespace at once, as BuildKit asks: one prefix goes, once.
        ("docker.io", "", "", "docker.io/library/nginx", "docker.io library/nginx"),
        ("docker.io", "", "", "registry-1.docker.io/nginx", "docker.io library/nginx"),
        ("ghcr.io", "ghcr.io", "hub.local", "gh/org/app", "ghcr.io org/app"),
        ("ghcr.io", "", "", "ghcr.io/ghcr.io/app", "ghcr.io ghcr.io/app"),
        // The Host header, when nothing stronger speaks.
        ("", "", "hub.local", "nginx", "docker.io library/nginx"),
        ("", "", "ghcr.io", "org/app", "ghcr.io org/app"),
        ("", "", "gh.local:6000", "org/app", "ghcr.io org/app"),
        ("", "", "gh.local", "org/app", "docker.io org/app"),
        ("", "", "GHCR.IO.:5000", "org/app", "ghcr.io org/app"),
        ("", "", "registry.example:5000", "app", "registry.example:5000 app"),
        ("", "", "registry.example", "app", "docker.io library/app"),
        ("ghcr.io", "", "hub.local", "org/app", "ghcr.io org/app"),
        ("", "", "ghcr.io", "docker.io/nginx", "docker.io library/nginx"),
        // Dotted components are part of the name once the upstream is known.
        ("ghcr.io", "", "", "example.org/app", "ghcr.io example.org/app"),
        ("", "ghcr.io", "", "example.org/app", "ghcr.io example.org/app"),
        ("ghcr.io", "", "", "localhost.d/app", "ghcr.io localhost.d/app"),
        ("", "", "", "ghcr.io/example.org/app", "ghcr.io example.org/app"),
        ("", "", "", "node.js", "docker.io library/node.js"),
    ] {
        let target = target(routes.resolve(at(namespace, prefix, host, path)));
        let found = target.map(|target| format!("{} {}", target.route.name, target.repository));
        assert_eq!(found.as_deref(), Ok(expected), "ns={namespace} prefix={prefix} host={host} path={path}");
    }
}

#[test]
fn addresses_that_lead_nowhere() {
    let unknown = |name: &str| RouteError::UnknownUpstream(name.to_owned());
    let conflict = |one: &str, other: &str| RouteError::Conflict(one.to_owned(), other.to_owned());
    let invalid = || RouteError::InvalidName(crate::oci::InvalidName);
    let routes = configured();
    let long = "a".repeat(250);
    for (namespace, prefix, path, expected) in [
        ("169.254.169.254", "", "latest", unknown("169.254.169.254")),
        ("hub.local", "", "nginx", unknown("hub.local")),
        ("user:pw@ghcr.io", "", "a/b", unknown("user:pw@ghcr.io")),
        ("http://ghcr.io", "", "a/b", unknown("http://ghcr.io")),
        ("ghcr.io:80", "", "a/b", unknown("ghcr.io:80")),
        ("registry.example", "", "a/b", unknown("registry.example")),
        ("[::1]", "", "a/b", unknown("[::1]")),
        ("", "quay.io", "a/b", unknown("quay.io")),
        ("", "", "quay.io/a/b", unknown("quay.io")),
        ("", "", "quay:5000/a/b", unknown("quay:5000")),
        ("", "", "127.0.0.1/a", unknown("127.0.0.1")),
        ("", "", "../a", unknown("..")),
        ("quay.io", "", "ghcr.io/a/b", unknown("quay.io")),
        ("docker.io", "", "ghcr.io/a/b", conflict("docker.io", "ghcr.io")),
        ("docker.io", "ghcr.io", "a/b", conflict("docker.io", "ghcr.io")),
        ("", "hub", "gh/a/b", conflict("docker.io", "ghcr.io")),
        ("docker.io", "docker.io", "ghcr.io/a", conflict("docker.io", "ghcr.io")),
        ("docker.io", "", "", invalid()),
        ("", "", "", invalid()),
        ("", "", "docker.io/", invalid()),
        ("", "", "docker.io//a", invalid()),
        ("", "", "/a", invalid()),
        ("", "", "a/", invalid()),
        ("", "", "a//b", invalid()),
        ("", "", "A/b", invalid()),
        ("", "", "a%2fb", invalid()),
        ("", "", "a/../b", invalid()),
        ("", "", "ghcr.io/../b", invalid()),
        ("ghcr.io", "", "quay.io:5000/a", invalid()),
        ("ghcr.io", "", "a/b:c", invalid()),
        ("docker.io", "", &long, invalid()),
    ] {
        let found = target(routes.resolve(at(namespace, prefix, "", path))).map(|target| target.repository);
        assert_eq!(found, Err(expected), "ns={namespace} prefix={prefix} path={path}");
    }
}

#[test]
fn library_can_be_switched() {
    let plain = routes(vec![config::Upstream { library: Some(false), ..config::Upstream::new("docker.io") }]);
    assert_eq!(target(plain.resolve(at("", "", "", "nginx"))).unwrap().repository.as_str(), "nginx");
    let renamed = routes(vec![config::Upstream::new("Index.Docker.io:443")]);
    let target = target(renamed.resolve(at("docker.io", "", "", "nginx"))).unwrap();
    assert_eq!((&*target.route.name, target.repository.as_str()), ("index.docker.io", "library/nginx"));
}

#[test]
fn an_empty_namespace_says_nothing() {
    let target = target(configured().resolve(Address { namespace: Some(""), path: "a/b", ..Address::default() })).unwrap();
    assert_eq!(&*target.route.name, "docker.io");
}

#[test]
fn no_upstream_no_target() {
    let found = target(routes(Vec::new()).resolve(at("", "", "", "a/b"))).map(|target| target.repository);
    assert_eq!(found, Err(RouteError::NoUpstream));
}

#[test]
fn hosted_names_are_hosted_unless_an_upstream_is_named() {
    let routes = configured();
    for (namespace, prefix, host, path, hosted) in [
        ("", "", "", "local/app", true),
        ("", "", "harbinger.example:5000", "local/deep/er/app", true),
        ("", "", "", "team/apps/x", true),
        ("", "", "", "team/other", false),
        ("", "", "", "local", false),
        ("", "", "", "locals/app", false),
        ("docker.io", "", "", "local/app", false),
        ("", "hub", "", "local/app", false),
        ("", "", "", "hub/local/app", false),
        ("", "", "hub.local", "local/app", false),
    ] {
        let found = routes.resolve(at(namespace, prefix, host, path)).unwrap();
        let is_hosted = matches!(&found, Destination::Hosted(name) if name.as_str() == path);
        assert_eq!(is_hosted, hosted, "ns={namespace} prefix={prefix} host={host} path={path}");
    }
    assert!(matches!(routes.resolve(at("", "", "", "local/App")), Err(RouteError::InvalidName(_))));
}
