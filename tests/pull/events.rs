//! What a pull, a miss, a move, a purge tell to whoever learns from it; and the log that keeps it.

use std::{path::Path, sync::Arc, time::Duration};

use harbinger::{
    config::{Mode, Privacy},
    events::{
        Event, Kind, Repository, Request, Source, Subscription, What,
        log::{DemandLogSettings, Segments, TraceReader},
    },
    graph::State,
};
use serde_json::{Value, json};

use crate::{
    client::eventually,
    content::{Blob, Image, KIB, OCI_MANIFEST, index},
    proxy::{FOR_EVER, Proxy, Setup, blob_path, manifest_path, mirror},
    upstream::Upstream,
};

const NAME: &str = "library/demo";

/// Waits for so many events, and for no more than these.
fn heard(events: &Subscription, count: usize) -> Vec<What> {
    let mut found = Vec::new();
    while found.len() < count {
        let next = events.next(Duration::from_secs(20)).unwrap();
        found.push(next.unwrap_or_else(|| panic!("{} events of {count}: {found:#?}", found.len())).what);
    }
    found.extend(events.next(Duration::from_millis(50)).unwrap().map(|event| event.what));
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

/// As words, sorted: what comes from several threads comes in any order.
fn told(whats: &[What]) -> Vec<String> {
    let mut words: Vec<_> = whats.iter().map(word).collect();
    words.sort();
    words
}

fn word(what: &What) -> String {
    let private = |private| if private { " (private)" } else { "" };
    match what {
        What::Request(request) => {
            let Request { kind, status, bytes, source, repository, .. } = &**request;
            format!("request {kind:?} {status} {bytes} {source:?}{}", private(repository.private))
        }
        What::ManifestSeen(seen) => {
            let layers = seen.layers.len() + seen.manifests.as_ref().map_or(0, Vec::len);
            format!("seen {} with {layers}{}", seen.manifest.digest, private(seen.repository.private))
        }
        What::ManifestDeleted { digest, repository } => format!("deleted {digest}{}", private(repository.private)),
        What::TagMoved { tag, digest, repository } => {
            let digest = digest.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
            format!("tag {tag} names {digest}{}", private(repository.private))
        }
        What::BlobStored { digest, size } => format!("stored {digest} {size}"),
        What::BlobEvicted { digest } => format!("evicted {digest}"),
        What::ConfigRead { digest, created } => format!("config {digest} {created}"),
        What::Prefetched { digest, .. } => format!("prefetched {digest}"),
    }
}

fn requests(whats: &[What]) -> Vec<&Arc<Request>> {
    let mut requests = Vec::new();
    for what in whats {
        if let What::Request(request) = what {
            requests.push(request);
        }
    }
    requests
}

/// An image whose configuration says when it was made.
fn dated(seed: u64) -> Image {
    let config = Blob::new(json!({"created": "2024-05-01T00:00:00.5Z", "os": "linux", "seed": seed}).to_string());
    let layer = Blob::random(seed, 5 * KIB);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
    });
    Image { manifest: Blob::new(manifest.to_string()), blobs: vec![config, layer] }
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_tells_exactly_what_it_was_and_so_does_the_next_one() {
    let upstream = Upstream::start().await;
    let image = dated(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Setup::in_front_of(&upstream).with(|config| config.cache.tag_ttl = FOR_EVER).start().await;
    let events = proxy.events();
    let [manifest, config, layer] = [&image.manifest, &image.blobs[0], &image.blobs[1]];
    let ask = proxy.ask("GET", &manifest_path(NAME, "v1")).header("X-Harbinger-Customer", "acme");
    ask.send().await.is_exactly(&manifest.bytes);
    for blob in [config, layer] {
        proxy.get(&blob_path(NAME, blob)).await.is_exactly(&blob.bytes);
    }
    let first = heard(&events, 8);
    let length = |blob: &Blob| blob.bytes.len();
    let expected = [
        format!("request Manifest 200 {} Upstream", length(manifest)),
        format!("seen {} with 1", manifest.digest),
        format!("tag v1 names {}", manifest.digest),
        format!("request Blob 200 {} Upstream", length(config)),
        format!("stored {} {}", config.digest, length(config)),
        format!("config {} 1714521600", config.digest),
        format!("request Blob 200 {} Upstream", length(layer)),
        format!("stored {} {}", layer.digest, length(layer)),
    ];
    assert_eq!(told(&first), sorted(expected.to_vec()));
    let asked = requests(&first);
    let tagged = asked[0];
    assert_eq!((tagged.customer.as_deref(), tagged.tag.as_ref().unwrap().as_str()), (Some("acme"), "v1"));
    assert_eq!(tagged.digest.unwrap().to_string(), manifest.digest);
    assert!(tagged.complete && tagged.total >= tagged.first_byte && tagged.total > 0);
    assert_eq!((&*tagged.repository.route, tagged.repository.name.as_str()), ("docker.io", NAME));
    assert_eq!((&asked[1].customer, asked[1].digest.unwrap().to_string()), (&None, config.digest.clone()));
    assert!(asked.iter().all(|request| request.client == tagged.client && request.client != 0));

    eventually("the layer has landed", async || {
        proxy.head(&blob_path(NAME, layer)).await.header("Cache-Status").unwrap().contains("detail=memory")
    })
    .await;
    while events.next(Duration::from_millis(50)).unwrap().is_some() {}
    proxy.head(&manifest_path(NAME, "v1")).await;
    proxy.get(&blob_path(NAME, layer)).await;
    proxy.get(&format!("/v2/{NAME}/blobs/sha256:{}", "0".repeat(64))).await;
    let second = heard(&events, 3);
    let expected = ["request Blob 200 5120 Memory", "request Blob 404 ", "request ManifestHead 200 0 Catalog"];
    assert!(told(&second).iter().zip(expected).all(|(word, expected)| word.starts_with(expected)), "{:?}", told(&second));
    assert_eq!(requests(&second)[0].digest.unwrap().to_string(), manifest.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_goes_or_is_purged_is_told_once() {
    let upstream = Upstream::start().await;
    let (old, new) = (Image::small(1), Image::small(2));
    upstream.holds_image(NAME, "v1", &old);
    let proxy = Setup::in_front_of(&upstream).always_revalidating().start().await;
    let events = proxy.events();
    let ask = async || proxy.get(&manifest_path(NAME, "v1")).await.status;
    let states =
        |whats: Vec<What>| -> Vec<String> { told(&whats).into_iter().filter(|word| !word.starts_with("request")).collect() };
    ask().await;
    assert_eq!(states(heard(&events, 3)).len(), 2);
    ask().await;
    assert_eq!(states(heard(&events, 1)), [""; 0]);
    upstream.holds_image(NAME, "v1", &new);
    ask().await;
    let expected = [format!("seen {} with 1", new.manifest.digest), format!("tag v1 names {}", new.manifest.digest)];
    assert_eq!(states(heard(&events, 3)), expected);
    let operator: Value = serde_json::from_slice(&std::fs::read(proxy.data().join("admin.json")).unwrap()).unwrap();
    let token = format!("Bearer {}", operator["token"].as_str().unwrap());
    let purge = format!("/api/v1/purge?what=docker.io/{NAME}:v1");
    assert_eq!(proxy.ask("POST", &purge).header("Authorization", &token).send().await.status, 200);
    let expected = [
        format!("deleted {}", new.manifest.digest),
        format!("evicted {}", new.manifest.digest),
        "tag v1 names nothing".to_owned(),
    ];
    assert_eq!(states(heard(&events, 3)), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_credentials_gave_is_told_as_private_and_an_index_with_its_manifests() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    let index = index(&[&image.manifest]);
    upstream.holds_image(NAME, "pushed-first", &image);
    upstream.holds_index(NAME, "v1", &index);
    let mut shared = mirror("shared.io", &upstream);
    shared.mode = Mode::Shared;
    let setup = Setup::with_upstreams(vec![mirror("docker.io", &upstream), shared]);
    let proxy = setup.start().await;
    let events = proxy.events();
    proxy.get(&manifest_path(&format!("shared.io/{NAME}"), "v1")).await.is_exactly(&index.bytes);
    let private = heard(&events, 3);
    let expected = [
        format!("request Manifest 200 {} Upstream (private)", index.bytes.len()),
        format!("seen {} with 1 (private)", index.digest),
        format!("tag v1 names {} (private)", index.digest),
    ];
    assert_eq!(told(&private), expected);
    proxy.get(&manifest_path(NAME, "v1")).await;
    assert!(told(&heard(&events, 3)).iter().all(|word| !word.contains("private")));
}

fn kept(data: &Path) -> Vec<Event> {
    let paths = Segments::in_folder(&DemandLogSettings::folder_in(data)).paths().unwrap();
    paths.iter().flat_map(|path| TraceReader::open(path).unwrap()).map(|event| event.unwrap()).collect()
}

/// Pulls for a customer, and tells the data folder after a stop.
async fn logged(privacy: Privacy) -> (Setup, Image) {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Setup::in_front_of(&upstream).with(|config| config.demand_log.privacy = privacy).start().await;
    for path in [manifest_path(NAME, "v1"), blob_path(NAME, &image.blobs[0]), blob_path(NAME, &image.blobs[1])] {
        proxy.ask("GET", &path).header("X-Harbinger-Customer", "acme").send().await;
    }
    (proxy.stop().await, image)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_every_request_after_a_stop_and_names_whom_it_may() {
    for privacy in [Privacy::Full, Privacy::Hashed] {
        let (setup, image) = logged(privacy).await;
        let events: Vec<_> = kept(setup.data()).into_iter().map(|event| event.what).collect();
        let asked = requests(&events);
        let digests: Vec<_> = asked.iter().map(|request| request.digest.unwrap().to_string()).collect();
        let expected = [&image.manifest, &image.blobs[0], &image.blobs[1]].map(|blob| blob.digest.clone());
        assert_eq!(digests, expected);
        assert!(asked.iter().all(|request| request.source == Source::Upstream && request.status == 200));
        assert_eq!(asked.iter().map(|request| request.kind).collect::<Vec<_>>(), [Kind::Manifest, Kind::Blob, Kind::Blob]);
        let customers: Vec<_> = asked.iter().map(|request| request.customer.as_deref().unwrap()).collect();
        let is_named = customers.iter().all(|&customer| customer == "acme");
        let is_hidden = customers.iter().all(|customer| customer.starts_with("c-") && customer.len() == 18);
        assert_eq!((is_named, is_hidden), (privacy == Privacy::Full, privacy == Privacy::Hashed), "{customers:?}");
    }
    let (setup, _) = logged(Privacy::Off).await;
    assert!(!DemandLogSettings::folder_in(setup.data()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_in_the_log_soon_while_the_server_runs() {
    let upstream = Upstream::start().await;
    let image = Image::small(1);
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Proxy::in_front_of(&upstream).await;
    proxy.pull(NAME, "v1", &image).await;
    eventually("the pull in the log", async || {
        let events: Vec<_> = kept(proxy.data()).into_iter().map(|event| event.what).collect();
        requests(&events).len() == 2 + image.blobs.len()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_has_missed_something_is_told_at_the_next_start() {
    let upstream = Upstream::start().await;
    let (image, other) = (Image::small(1), Image::small(2));
    let index = index(&[&image.manifest]);
    upstream.holds_image(NAME, "pushed-first", &image);
    upstream.holds_index(NAME, "v1", &index);
    upstream.holds_image(NAME, "v2", &other);
    let proxy = Setup::in_front_of(&upstream).with(|config| config.graph.enabled = false).start().await;
    for reference in ["v1", "v2", &image.manifest.digest] {
        assert_eq!(proxy.get(&manifest_path(NAME, reference)).await.status, 200);
    }
    let setup = proxy.stop().await.with(|config| config.graph.enabled = true);
    upstream.forgets_requests();
    let repository = Repository { route: "docker.io".into(), name: NAME.parse().unwrap(), private: false };
    let digest = |blob: &Blob| blob.digest.parse().unwrap();
    let knows = |proxy: &Proxy| {
        proxy.graph(|graph| {
            let manifests = [&index, &image.manifest, &other.manifest];
            let tags = [("v1", &index), ("v2", &other.manifest)];
            manifests.iter().all(|manifest| graph.has_manifest(&repository, &digest(manifest)))
                && tags.iter().all(|(tag, named)| graph.named_by(&repository, &tag.parse().unwrap()) == Some(digest(named)))
        })
    };
    let proxy = setup.start().await;
    eventually("the graph knows", async || knows(&proxy) == Some(true)).await;
    assert_eq!(upstream.requests().len(), 0);
    // What it knows, it is not told again.
    let before = proxy.graph(State::sequence).unwrap();
    let proxy = proxy.stop().await.start().await;
    eventually("the graph knows still", async || knows(&proxy) == Some(true)).await;
    assert_eq!(proxy.graph(State::sequence).unwrap(), before);
}
