//! Edges whose upstream is another Harbinger: region, global, registry.

use std::time::Duration;

use futures_util::future::join_all;
use harbinger::config::{Upstream as UpstreamConfig, UpstreamKind};
use serde_json::json;

use crate::{
    client::{Answer, Ask, eventually, raw},
    content::{Blob, Image, KIB, MIB},
    proxy::{Proxy, Setup, blob_path, manifest_path, mirror},
    routing::relay,
    upstream::{Gate, Upstream, stalled_after, status},
};

const NAME: &str = "library/demo";

/// The upstream `name`, asked by way of a parent at `address`.
pub(crate) fn by_way_of(address: std::net::SocketAddr, name: &str) -> UpstreamConfig {
    UpstreamConfig {
        kind: UpstreamKind::Parent,
        url: Some(format!("http://{address}").parse().unwrap()),
        breaker_failures: 1_000_000,
        retries: 0,
        ..UpstreamConfig::new(name)
    }
}

/// A region's edge whose only upstream is reached by way of `parent`.
fn below(parent: &Proxy) -> Setup {
    Setup::with_upstreams(vec![by_way_of(parent.address(), "docker.io")])
}

/// How many requests of one kind a server has sent to its upstreams so far.
async fn sent(proxy: &Proxy, operation: &str) -> u64 {
    let label = format!("operation=\"{operation}\"");
    let metrics = proxy.get("/metrics").await.text();
    let lines = metrics.lines().filter(|line| line.starts_with("harbinger_upstream_requests_total") && line.contains(&label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Pulls as containerd does, for a customer.
async fn get_as(proxy: &Proxy, customer: &str, target: &str) -> Answer {
    proxy.ask("GET", target).header("X-Harbinger-Customer", customer).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_clients_of_two_regions_cost_one_transfer_a_level() {
    let hub = Upstream::start().await;
    let image = Image::new(1, &[100 * KIB, 3 * MIB]);
    hub.holds_image(NAME, "v1", &image);
    let global = Proxy::in_front_of(&hub).await;
    let regions = [below(&global).start().await, below(&global).start().await];

    // The first answer stops in the middle, so that everybody comes while the one transfer is under way.
    let large = &image.blobs[2];
    let gate = Gate::closed();
    hub.when("GET", &blob_path(NAME, large)).once(stalled_after(MIB, &gate));
    let clients: Vec<_> = regions.iter().cycle().take(20).map(|region| region.ask("GET", &blob_path(NAME, large))).collect();
    let clients: Vec<_> = clients.into_iter().map(|ask| tokio::spawn(ask.send())).collect();
    gate.reached(1).await;
    eventually("both regions ask", async || sent(&regions[0], "GET blob").await + sent(&regions[1], "GET blob").await == 2).await;
    gate.open();
    for answer in join_all(clients).await {
        answer.unwrap().is_exactly(&large.bytes);
    }

    for region in &regions {
        for _ in 0..2 {
            region.pull(NAME, "v1", &image).await;
            region.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
        }
        assert_eq!(sent(region, "GET blob").await, image.blobs.len() as u64);
        assert_eq!(sent(region, "GET manifest").await, 1);
    }
    assert_eq!(sent(&global, "GET blob").await, image.blobs.len() as u64);
    for blob in &image.blobs {
        assert_eq!((hub.count("GET", &blob.digest), hub.count("HEAD", &blob.digest)), (1, 0));
    }
    assert_eq!(hub.count("GET", "/manifests/"), 1);
    for request in hub.requests() {
        assert!(request.query.is_empty(), "{request:?}");
        assert_eq!(request.header("x-harbinger-region"), None);
    }
}

/// A scripted registry plays the topmost parent and sees what a level below says.
#[tokio::test(flavor = "multi_thread")]
async fn the_customer_and_the_region_are_known_at_every_level() {
    let top = Upstream::start().await;
    let image = Image::small(1);
    top.holds_image(NAME, "v1", &image);
    let global = Setup::with_upstreams(vec![by_way_of(top.address(), "docker.io")]);
    let global = global.with(|config| config.server.region = "world".to_owned()).start().await;
    let region = below(&global).with(|config| config.server.region = "eu-1".to_owned()).start().await;

    get_as(&region, "acme", &manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
    get_as(&region, "other", &blob_path(NAME, &image.blobs[0])).await.is_exactly(&image.blobs[0].bytes);
    region.get(&blob_path(NAME, &image.blobs[1])).await.is_exactly(&image.blobs[1].bytes);
    region.get(&format!("/v2/{NAME}/tags/list")).await;
    let from = |customer: Option<&str>, part: &str| {
        let asked = top.asked("*", part);
        assert!(!asked.is_empty(), "nobody asked for {part}");
        for request in asked {
            assert_eq!(request.header("x-harbinger-customer"), customer, "{request:?}");
            assert_eq!(request.header("x-harbinger-region"), Some("eu-1"));
            assert_eq!(request.query("ns").as_deref(), Some("docker.io"));
            assert_eq!(request.header("via").unwrap().split(", ").count(), 2, "{request:?}");
        }
    };
    from(Some("acme"), "/manifests/");
    from(Some("other"), &image.blobs[0].digest);
    from(None, &image.blobs[1].digest);
    from(None, "/tags/");

    // What is wanted at the middle itself comes from there.
    let second = Image::small(2);
    top.holds_image(NAME, "v2", &second);
    top.forgets_requests();
    get_as(&global, "acme", &manifest_path(NAME, "v2")).await.is_exactly(&second.manifest.bytes);
    let asked = top.requests().pop().unwrap();
    assert_eq!((asked.header("x-harbinger-region"), asked.header("x-harbinger-customer")), (Some("world"), Some("acme")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_in_two_registries_stays_apart() {
    let (hub, other) = (Upstream::start().await, Upstream::start().await);
    let images = [Image::small(1), Image::small(2)];
    hub.holds_image(NAME, "v1", &images[0]);
    other.holds_image(NAME, "v1", &images[1]);
    other.holds_image("plain", "v1", &images[1]);
    let second = UpstreamConfig { aliases: vec!["other".to_owned()], ..mirror("registry.example:5000", &other) };
    let global = Setup::with_upstreams(vec![mirror("docker.io", &hub), second]).start().await;
    // In another order than at the parent, and by another of its names.
    let region = Setup::with_upstreams(vec![by_way_of(global.address(), "other"), by_way_of(global.address(), "docker.io")]);
    let region = region.start().await;
    for (namespace, image, foreign) in [("docker.io", &images[0], &images[1]), ("other", &images[1], &images[0])] {
        let path = format!("{}?ns={namespace}", manifest_path(NAME, "v1"));
        region.get(&path).await.is_exactly(&image.manifest.bytes);
        let blob = |image: &Image| format!("{}?ns={namespace}", blob_path(NAME, &image.blobs[0]));
        region.get(&blob(image)).await.is_exactly(&image.blobs[0].bytes);
        region.get(&blob(foreign)).await.is_error(&[404]);
        let tags = region.get(&format!("/v2/{NAME}/tags/list?ns={namespace}")).await.json();
        assert_eq!(tags["tags"], json!(["v1"]));
    }
    region.get("/v2/plain/manifests/v1?ns=other").await.is_exactly(&images[1].manifest.bytes);
    assert!(other.count("*", "/v2/plain/manifests/v1") > 0);
}

/// A registry that the parent does not mirror does not exist, and the parent dials nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_knows_only_what_it_is_configured_for() {
    let hub = Upstream::start().await;
    let image = Image::small(1);
    hub.holds_image(NAME, "v1", &image);
    let global = Proxy::in_front_of(&hub).await;
    let region = Setup::with_upstreams(vec![by_way_of(global.address(), "ghcr.io")]).start().await;
    region.get(&manifest_path(NAME, "v1")).await.is_error(&[404]);
    region.get(&blob_path(NAME, &image.blobs[0])).await.is_error(&[404]);
    assert_eq!(hub.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parents_of_each_other_notice() {
    let (to_second, target, connections) = relay().await;
    for kind in [UpstreamKind::Parent, UpstreamKind::Registry] {
        let upstream = |address| UpstreamConfig { kind, retries: 2, ..by_way_of(address, "docker.io") };
        let first = Setup::with_upstreams(vec![upstream(to_second)]).start().await;
        let second = Setup::with_upstreams(vec![upstream(first.address())]).start().await;
        target.send_replace(Some(second.address()));
        let image = Image::small(1);
        for server in [&first, &second] {
            for path in [manifest_path(NAME, "v1"), blob_path(NAME, &image.blobs[0]), format!("/v2/{NAME}/tags/list")] {
                let answer = server.get(&path).await;
                answer.is_error(&[508]);
                assert!(answer.text().contains("loop"), "{}", answer.text());
            }
        }
        // A manifest and a blob by digest, a tag list; from either side: nothing went round twice, nothing was tried again.
        let sent = sent(&first, "GET manifest").await + sent(&first, "HEAD manifest").await;
        assert!(sent <= 4, "{sent} requests for a manifest");
        for server in [first, second] {
            server.still_answers().await;
        }
    }
    assert!(connections.load(std::sync::atomic::Ordering::Relaxed) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_is_too_long_ends() {
    let hub = Upstream::start().await;
    let proxy = Proxy::in_front_of(&hub).await;
    let way = |hops: usize| (0..hops).map(|hop| format!("1.1 harbinger-{hop}")).collect::<Vec<_>>().join(", ");
    let ask = |hops| proxy.ask("GET", &manifest_path(NAME, "v1")).header("Via", &way(hops)).send();
    ask(16).await.is_error(&[508]);
    assert_eq!(hub.requests().len(), 0);
    ask(15).await.is_error(&[404]);
    assert_eq!(hub.requests()[0].header("via").unwrap().split(", ").count(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_parent_leaves_what_is_cached() {
    let hub = Upstream::start().await;
    let image = Image::small(1);
    hub.holds_image(NAME, "v1", &image);
    let global = Proxy::in_front_of(&hub).await;
    let region = below(&global).always_revalidating().start().await;
    region.pull(NAME, "v1", &image).await;
    global.stop().await;

    let stale = region.get(&manifest_path(NAME, "v1")).await;
    stale.is_exactly(&image.manifest.bytes);
    assert!(stale.header("Warning").is_some(), "{:?}", stale.headers);
    for blob in &image.blobs {
        region.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
    }
    region.get(&manifest_path(NAME, "v2")).await.is_error(&[502, 503, 504]);
    region.get(&blob_path(NAME, &Blob::random(9, KIB))).await.is_error(&[502, 503, 504]);
    assert_eq!(hub.count("GET", "/blobs/"), image.blobs.len());
}

/// The registry is away; the parent says so, and the region does not take its answer for a fresh one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stale_at_the_parent_is_stale_below() {
    let hub = Upstream::start().await;
    let image = Image::small(1);
    hub.holds_image(NAME, "v1", &image);
    let global = Setup::in_front_of(&hub).always_revalidating().start().await;
    let [warm, cold] = [below(&global).always_revalidating().start().await, below(&global).start().await];
    warm.pull(NAME, "v1", &image).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    hub.goes_down();
    for (region, method) in [(&warm, "GET"), (&cold, "HEAD")] {
        let answer = region.ask(method, &manifest_path(NAME, "v1")).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("Docker-Content-Digest"), Some(image.manifest.digest.as_str()));
        assert_eq!(answer.header("Cache-Status"), Some("harbinger; hit; detail=upstream-error"));
        assert!(answer.header("Warning").is_some());
        assert!(answer.header("Age").unwrap().parse::<u64>().unwrap() >= 1, "{:?}", answer.headers);
    }
    cold.get(&manifest_path(NAME, "v1")).await.is_exactly(&image.manifest.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parents_failures_are_an_upstreams_failures() {
    for (code, expected) in [(429, 429), (502, 502), (503, 502), (504, 502), (403, 403), (404, 404), (508, 508)] {
        let parent = Upstream::start().await;
        parent.when("*", "/v2/*").always(status(code));
        let region = Setup::with_upstreams(vec![by_way_of(parent.address(), "docker.io")]).start().await;
        region.get(&manifest_path(NAME, "v1")).await.is_error(&[expected]);
        region.get(&blob_path(NAME, &Blob::random(1, KIB))).await.is_error(&[expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_parent_hosts_is_not_for_those_below() {
    let hub = Upstream::start().await;
    hub.holds_image(NAME, "v1", &Image::small(1));
    let global = Proxy::in_front_of(&hub).await;
    let blob = Blob::new("pushed to the parent");
    let (address, length, digest) = (global.address(), blob.bytes.len(), &blob.digest);
    let head = format!(
        "POST /v2/local/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\
         Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(address, &[head.as_bytes(), &blob.bytes].concat()).await;
    assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    global.get(&blob_path("local/app", &blob)).await.is_exactly(&blob.bytes);

    let region = below(&global).with(|config| config.hosted.prefixes = Vec::new()).start().await;
    let path = blob_path("local/app", &blob);
    for target in [path.clone(), format!("{path}?ns=docker.io"), blob_path("docker.io/local/app", &blob)] {
        Ask::new(region.address(), "GET", &target).send().await.is_error(&[404]);
        region.head(&target).await;
    }
    region.get("/v2/local/app/tags/list").await.is_error(&[404]);
    // The mirror of the name was asked for, not the repository that lives there.
    assert!(hub.count("*", "/v2/local/app/blobs/") > 0);
}
