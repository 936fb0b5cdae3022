//! What a push and a deletion tell to whoever learns from it.

use std::time::Duration;

use harbinger::events::{Kind, Repository, Source, Subscription, What};
use serde_json::json;

use crate::{
    client::eventually,
    content::{Blob, Image, KIB, OCI_MANIFEST},
    hosted::ONE,
    proxy::{Proxy, Setup, manifest_path},
};

/// Waits for so many events that are no requests, and for no more.
fn changes(events: &Subscription, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let patience = if found.len() < count { Duration::from_secs(20) } else { Duration::from_millis(50) };
        match events.next(patience).unwrap() {
            None => break,
            Some(event) => found.extend(word(&event.what)),
        }
    }
    assert_eq!(found.len(), count, "{found:#?}");
    found.sort();
    found
}

fn word(what: &What) -> Option<String> {
    Some(match what {
        What::Request(request) => {
            assert!(request.repository.private && request.repository.route.is_empty());
            return None;
        }
        What::ManifestSeen(seen) => {
            assert!(seen.repository.private && seen.repository.name.as_str() == ONE);
            format!("seen {} with {}", seen.manifest.digest, seen.layers.len())
        }
        What::TagMoved { tag, digest, repository } => {
            assert!(repository.private);
            format!("tag {tag} names {}", digest.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()))
        }
        What::ManifestDeleted { digest, repository } => {
            assert!(repository.private);
            format!("deleted {digest}")
        }
        What::ConfigRead { digest, created } => format!("config {digest} {created}"),
        other => panic!("{other:?}"),
    })
}

fn dated(seed: u64) -> Image {
    let config = Blob::new(json!({"created": "2024-05-01T00:00:00Z", "seed": seed}).to_string());
    let layer = Blob::random(seed, 5 * KIB);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
    });
    Image { manifest: Blob::new(manifest.to_string()), blobs: vec![config, layer] }
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_tags_and_deletions_are_told_once() {
    let proxy = Proxy::hosted().await;
    let events = proxy.events();
    let (first, second) = (dated(1), dated(2));
    let named = |tag: &str, image: &Image| format!("tag {tag} names {}", image.manifest.digest);
    let config = |image: &Image| format!("config {} 1714521600", image.blobs[0].digest);
    let seen = |image: &Image| format!("seen {} with 1", image.manifest.digest);
    proxy.push_image(ONE, "v1", &first).await;
    assert_eq!(changes(&events, 3), [config(&first), seen(&first), named("v1", &first)]);
    // The same once more moves nothing.
    proxy.push_image(ONE, "v1", &first).await;
    assert_eq!(changes(&events, 2), [config(&first), seen(&first)]);
    proxy.push_image(ONE, "v1", &second).await;
    assert_eq!(changes(&events, 3), [config(&second), seen(&second), named("v1", &second)]);
    proxy.push_image(ONE, "v2", &second).await;
    assert_eq!(changes(&events, 3), [config(&second), seen(&second), named("v2", &second)]);

    let delete = async |reference: &str| proxy.ask("DELETE", &manifest_path(ONE, reference)).send().await.status;
    assert_eq!((delete("v2").await, delete("v2").await), (202, 404));
    assert_eq!(changes(&events, 1), ["tag v2 names nothing"]);
    assert_eq!(delete(&second.manifest.digest).await, 202);
    assert_eq!(changes(&events, 2), [format!("deleted {}", second.manifest.digest), "tag v1 names nothing".to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_push_are_told_as_such() {
    let proxy = Proxy::hosted().await;
    let events = proxy.events();
    let image = dated(1);
    proxy.push_image(ONE, "v1", &image).await;
    proxy.get(&manifest_path(ONE, "v1")).await.is_exactly(&image.manifest.bytes);
    let mut requests = Vec::new();
    while let Some(event) = events.next(Duration::from_millis(200)).unwrap() {
        if let What::Request(request) = event.what {
            requests.push(request);
        }
    }
    let (pull, pushes) = requests.split_last().unwrap();
    assert!(pushes.iter().all(|request| request.kind == Kind::Push && request.source == Source::None));
    let manifest = pushes.last().unwrap();
    assert_eq!((manifest.status, manifest.tag.as_ref().unwrap().as_str()), (201, "v1"));
    assert_eq!(manifest.digest.unwrap().to_string(), image.manifest.digest);
    assert_eq!((pull.kind, pull.bytes), (Kind::Manifest, image.manifest.bytes.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_has_missed_pushes_is_told_at_the_next_start() {
    let proxy = Setup::hosted().with(|config| config.graph.enabled = false).start().await;
    let (first, second) = (dated(1), dated(2));
    proxy.push_image(ONE, "v1", &first).await;
    proxy.push_image(ONE, "v1", &second).await;
    let proxy = proxy.stop().await.with(|config| config.graph.enabled = true).start().await;
    let repository = Repository::hosted(&ONE.parse().unwrap());
    let digest = |image: &Image| image.manifest.digest.parse().unwrap();
    eventually("the graph knows", async || {
        let knows = proxy.graph(|graph| {
            [&first, &second].iter().all(|image| graph.has_manifest(&repository, &digest(image)))
                && graph.named_by(&repository, &"v1".parse().unwrap()) == Some(digest(&second))
        });
        knows == Some(true)
    })
    .await;
}
