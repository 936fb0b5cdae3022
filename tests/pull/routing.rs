//! Which upstream a request means, in all the ways in which clients say it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    content::Image,
    proxy::{Proxy, Setup, manifest_path, mirror},
    upstream::Upstream,
};

/// A mirror of Docker Hub and of another registry with other names, other hosts and other content.
async fn two() -> (Upstream, Upstream, Proxy, [Image; 2]) {
    let (hub, other) = (Upstream::start().await, Upstream::start().await);
    let images = [Image::small(1), Image::small(2)];
    hub.holds_image("library/demo", "v1", &images[0]);
    other.holds_image("demo", "v1", &images[1]);
    other.holds_image("library/demo", "v1", &images[1]);
    let mut second = mirror("registry.example:5000", &other);
    second.aliases = vec!["example".to_owned(), "other.example".to_owned()];
    second.hosts = vec!["other.mirror.example".to_owned()];
    let proxy = Setup::with_upstreams(vec![mirror("docker.io", &hub), second]).start().await;
    (hub, other, proxy, images)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_to_docker_hub_are_one_cache_entry() {
    let (hub, other, proxy, images) = two().await;
    let blob = &images[0].blobs[0];
    let places = [
        ("", "library/demo", ""),
        ("", "demo", ""),
        ("", "library/demo", "?ns=docker.io"),
        ("", "library/demo", "?ns=index.docker.io"),
        ("", "library/demo", "?ns=registry-1.docker.io"),
        ("", "library/demo", "?ns=DOCKER.IO"),
        ("", "library/demo", "?ns=docker.io:443"),
        ("", "library/demo", "?ns=docker.io%3A443"),
        ("", "docker.io/library/demo", ""),
        ("", "docker.io/demo", ""),
        ("", "index.docker.io/library/demo", ""),
        // BuildKit says it twice.
        ("", "docker.io/library/demo", "?ns=docker.io"),
        ("/docker.io", "library/demo", ""),
        ("/docker.io", "library/demo", "?ns=docker.io"),
    ];
    for (prefix, name, query) in places {
        for path in [format!("/manifests/v1{query}"), format!("/manifests/{}{query}", images[0].manifest.digest)] {
            proxy.get(&format!("{prefix}/v2/{name}{path}")).await.is_exactly(&images[0].manifest.bytes);
        }
        proxy.get(&format!("{prefix}/v2/{name}/blobs/{}{query}", blob.digest)).await.is_exactly(&blob.bytes);
    }
    assert_eq!(hub.count("GET", "/manifests/"), 1);
    assert_eq!(hub.count("*", &blob.digest), 1);
    assert!(hub.requests().iter().all(|request| request.path.starts_with("/v2/library/demo/") && request.query.is_empty()));
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_to_another_registry() {
    let (hub, other, proxy, images) = two().await;
    let manifest = &images[1].manifest.bytes;
    for path in [
        "/v2/demo/manifests/v1?ns=registry.example:5000",
        "/v2/demo/manifests/v1?ns=registry.example%3A5000",
        "/v2/demo/manifests/v1?ns=REGISTRY.example%3A5000",
        "/v2/demo/manifests/v1?ns=other.example",
        "/v2/registry.example:5000/demo/manifests/v1",
        "/v2/other.example/demo/manifests/v1",
        "/v2/other.example/demo/manifests/v1?ns=registry.example:5000",
        "/registry.example:5000/v2/demo/manifests/v1",
        "/other.example/v2/demo/manifests/v1",
        "/example/v2/demo/manifests/v1",
    ] {
        proxy.get(path).await.is_exactly(manifest);
    }
    for host in ["other.mirror.example", "other.mirror.example:5000", "OTHER.mirror.example"] {
        proxy.ask("GET", "/v2/demo/manifests/v1").host(host).send().await.is_exactly(manifest);
    }
    assert_eq!(other.count("GET", "/v2/demo/manifests/"), 1);
    assert_eq!(hub.requests().len(), 0);
}

/// `library/` is a thing of Docker Hub.
#[tokio::test(flavor = "multi_thread")]
async fn other_registries_have_names_of_one_component() {
    let (_hub, other, proxy, images) = two().await;
    proxy.get("/v2/demo/manifests/v1?ns=other.example").await.is_exactly(&images[1].manifest.bytes);
    proxy.get("/v2/library/demo/manifests/v1?ns=other.example").await.is_exactly(&images[1].manifest.bytes);
    assert!(other.count("*", "/v2/demo/manifests/") > 0 && other.count("*", "/v2/library/demo/manifests/") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_is_echoed_when_it_was_used() {
    let (_hub, _other, proxy, images) = two().await;
    let blob = &images[1].blobs[0];
    for (path, echoed) in [
        ("/v2/demo/manifests/v1?ns=registry.example%3A5000".to_owned(), Some("registry.example:5000")),
        (format!("/v2/demo/blobs/{}?ns=other.example", blob.digest), Some("other.example")),
        ("/v2/library/demo/manifests/v1?ns=docker.io".to_owned(), Some("docker.io")),
        ("/v2/library/demo/manifests/v1".to_owned(), None),
    ] {
        let answer = proxy.get(&path).await;
        assert_eq!((answer.status, answer.header("OCI-Namespace")), (200, echoed), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_registries_are_not_found_and_nobody_is_dialled() {
    let (hub, other, proxy, _) = two().await;
    let stranger = Upstream::start().await;
    stranger.holds_image("library/demo", "v1", &Image::small(3));
    let stranger_host = stranger.address().to_string();
    for namespace in [
        stranger_host.as_str(),
        "evil.example",
        "169.254.169.254",
        "localhost",
        "[::1]:5000",
        "docker.io@evil.example",
        "docker.io.evil.example",
        "docker.io/evil",
        "http://docker.io",
        "docker.io#x",
        "registry.example",
        "registry.example:5001",
        "..",
    ] {
        let namespace: String = url::form_urlencoded::byte_serialize(namespace.as_bytes()).collect();
        let answer = proxy.get(&format!("/v2/library/demo/manifests/v1?ns={namespace}")).await;
        answer.is_error(&[400, 404]);
    }
    for path in [
        &format!("/v2/{stranger_host}/library/demo/manifests/v1"),
        &format!("/{stranger_host}/v2/library/demo/manifests/v1"),
        "/v2/evil.example/library/demo/manifests/v1",
        "/evil.example/v2/library/demo/manifests/v1",
    ] {
        let answer = proxy.get(path).await;
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
    assert_eq!(stranger.requests().len() + hub.requests().len() + other.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_registries_at_once_are_a_contradiction() {
    let (hub, other, proxy, _) = two().await;
    for path in [
        "/v2/docker.io/library/demo/manifests/v1?ns=other.example",
        "/docker.io/v2/library/demo/manifests/v1?ns=other.example",
        "/v2/library/demo/manifests/v1?ns=docker.io&ns=other.example",
    ] {
        proxy.get(path).await.is_error(&[400, 404]);
    }
    assert_eq!(hub.requests().len() + other.requests().len(), 0);
}

/// Components that look like route words belong to the name: the last one decides.
#[tokio::test(flavor = "multi_thread")]
async fn names_may_contain_the_words_of_routes() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    let names = ["foo/blobs/uploads", "foo/manifests/bar", "foo/tags/list", "foo/referrers/x", "a/manifests/b/blobs/c", "v2/x"];
    for name in names {
        upstream.holds_image(name, "v1", &image);
    }
    let proxy = Proxy::in_front_of(&upstream).await;
    for name in names {
        proxy.pull(name, "v1", &image).await;
        assert_eq!(proxy.get(&format!("/v2/{name}/tags/list")).await.json()["tags"], serde_json::json!(["v1"]), "{name}");
    }
}

/// A relay that counts connections: it makes the proxy its own upstream.
pub(crate) async fn relay() -> (std::net::SocketAddr, watch::Sender<Option<std::net::SocketAddr>>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (target, connections) = (watch::Sender::new(None), Arc::new(AtomicUsize::new(0)));
    let (known, counter) = (target.subscribe(), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let target: Option<std::net::SocketAddr> = *known.borrow();
            tokio::spawn(async move {
                let mut onward = TcpStream::connect(target.unwrap()).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    (address, target, connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_its_own_upstream_notices() {
    let upstream = Upstream::start().await;
    let (address, target, connections) = relay().await;
    let setup = Setup::in_front_of(&upstream).with(|config| {
        config.upstream[0].url = Some(format!("http://{address}").parse().unwrap());
        // A loop without a guard would go on until there are no connections left.
        config.upstream[0].retries = 0;
    });
    let proxy = setup.start().await;
    target.send_replace(Some(proxy.address()));
    let image = Image::small(1);
    proxy.get(&manifest_path("library/demo", "v1")).await.is_error(&[404, 502, 503, 504, 508]);
    proxy.get(&format!("/v2/library/demo/blobs/{}", image.blobs[0].digest)).await.is_error(&[404, 502, 503, 504, 508]);
    let connections = connections.load(Ordering::Relaxed);
    assert!((1..=6).contains(&connections), "{connections} connections to itself");
    proxy.still_answers().await;
}
