//! What may be pushed, and what is read of it. What may not is in `refusals`.

mod properties;
mod refusals;

use serde_json::{Value, json};

use super::*;
use crate::oci::Algorithm;

const ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn digest(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

fn descriptor(media_type: &str, content: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest(content).to_string(), "size": content.len()})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
        "config": descriptor(CONFIG, "config"), "layers": [descriptor(LAYER, "one"), descriptor(LAYER, "three")],
    })
}

fn index() -> Value {
    let mut with_platform = descriptor(MediaType::OCI_MANIFEST, "arm");
    with_platform["platform"] = json!({"os": 7, "architecture": ["nonsense"]});
    json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX,
        "manifests": [with_platform, descriptor("application/vnd.acme.thing", "thing")],
    })
}

/// `base` with `field` set.
fn with(mut base: Value, field: &str, value: impl Into<Value>) -> Value {
    base[field] = value.into();
    base
}

fn without(mut base: Value, field: &str) -> Value {
    base.as_object_mut().unwrap().remove(field).unwrap();
    base
}

/// An image with one layer, in which `field` of the layer is set.
fn with_layer(field: &str, value: impl Into<Value>) -> Value {
    with(image(), "layers", vec![with(descriptor(LAYER, "one"), field, value)])
}

fn read(document: &Value, content_type: Option<&str>) -> Result<PushedManifest, ManifestError> {
    PushedManifest::read(document.to_string().as_bytes(), content_type)
}

/// What is wrong with `text`, when it is refused as malformed.
#[track_caller]
fn malformed(text: impl AsRef<[u8]>) -> String {
    match PushedManifest::read(text.as_ref(), None) {
        Err(ManifestError::Malformed(reason)) => reason,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&text.as_ref()[..text.as_ref().len().min(300)])),
    }
}

/// What is wrong with `text`, when it is refused as ambiguous.
#[track_caller]
fn ambiguous(text: impl AsRef<[u8]>) -> String {
    match PushedManifest::read(text.as_ref(), None) {
        Err(ManifestError::Ambiguous(reason)) => reason,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(text.as_ref())),
    }
}

#[track_caller]
fn assert_begins(text: &str, beginning: &str) {
    assert!(text.starts_with(beginning), "{text:?} does not begin with {beginning:?}");
}

#[test]
fn an_image_is_read() {
    let subject = json!({"mediaType": MediaType::OCI_MANIFEST, "digest": digest("subject").to_string(), "size": 9});
    let document = with(with(image(), "subject", subject), "annotations", json!({"a": "1", "b\u{1}": "\n"}));
    let manifest = read(&document, Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).unwrap();
    assert_eq!(manifest.media_type.as_str(), MediaType::OCI_MANIFEST);
    let blob =
        |content: &str, size| PushedReference { digest: digest(content), size, kind: ReferenceKind::Blob, may_be_missing: false };
    assert_eq!(manifest.references, [blob("config", 6), blob("one", 3), blob("three", 5)]);
    assert_eq!(manifest.subject, Some(digest("subject")));
    assert_eq!(manifest.artifact_type.as_deref(), Some(CONFIG));
    assert_eq!(manifest.annotations["b\u{1}"], "\n");
    assert_eq!(manifest.annotations.len(), 2);
}

#[test]
fn an_index_is_read() {
    let manifest = read(&with(index(), "artifactType", "a/b"), None).unwrap();
    assert_eq!(manifest.references.iter().map(|item| item.kind).collect::<Vec<_>>(), [ReferenceKind::Manifest; 2]);
    assert_eq!(manifest.artifact_type.as_deref(), Some("a/b"));
    assert_eq!(read(&index(), None).unwrap().artifact_type, None);
}

#[test]
fn the_cache_of_a_build_tool_is_an_index_of_blobs() {
    let list = vec![descriptor(LAYER, "layer"), descriptor("application/vnd.buildkit.cacheconfig.v0", "cache")];
    let manifest = read(&with(index(), "manifests", list), Some(MediaType::OCI_INDEX)).unwrap();
    assert_eq!(manifest.references.iter().map(|item| item.kind).collect::<Vec<_>>(), [ReferenceKind::Blob; 2]);
}

#[test]
fn the_media_type_is_the_documents_then_the_senders_then_told_from_the_fields() {
    let bare_image = without(image(), "mediaType");
    let bare_index = without(index(), "mediaType");
    let vendor = "application/vnd.acme.rocket.v1+json";
    for (document, content_type, expected) in [
        (image(), None, MediaType::OCI_MANIFEST),
        (bare_image.clone(), None, MediaType::OCI_MANIFEST),
        (bare_index.clone(), None, MediaType::OCI_INDEX),
        (bare_image.clone(), Some(MediaType::DOCKER_MANIFEST), MediaType::DOCKER_MANIFEST),
        (bare_index, Some(MediaType::DOCKER_LIST), MediaType::DOCKER_LIST),
        (bare_image.clone(), Some("application/x-www-form-urlencoded"), MediaType::OCI_MANIFEST),
        (bare_image, Some(vendor), vendor),
        (json!({}), Some(vendor), vendor),
        (json!({"mediaType": vendor, "x": 1e3}), None, vendor),
    ] {
        assert_eq!(read(&document, content_type).unwrap().media_type.as_str(), expected, "{document} {content_type:?}");
    }
}

#[test]
fn what_real_clients_push_is_taken() {
    let artifact = json!({
        "mediaType": ARTIFACT, "artifactType": "a/b", "blobs": [descriptor("text/x", "blob")],
        "subject": descriptor(MediaType::OCI_MANIFEST, "subject"),
    });
    let references = read(&artifact, Some(ARTIFACT)).unwrap().references;
    assert_eq!((references.len(), references[0].kind), (1, ReferenceKind::Blob));
    for document in [
        with(image(), "layers", json!([])),
        with(image(), "layers", Value::Null),
        without(image(), "layers"),
        with(image(), "manifests", Value::Null),
        with(index(), "layers", Value::Null),
        with(index(), "manifests", json!([])),
        with(with(image(), "subject", Value::Null), "annotations", Value::Null),
        with(image(), "org.unknown", json!({"digest": 7, "DIGEST": [], "layers": null})),
        with(image(), "__proto__", json!({"layers": []})),
        with_layer("data", "b25l"),
        with_layer("size", i64::MAX),
        with_layer("size", 0),
        with_layer("digest", Digest::of(Algorithm::Sha512, b"one").to_string()),
        with_layer("annotations", json!({"org.opencontainers.image.title": "one.txt"})),
        with(image(), "annotations", json!({"long": "x".repeat(1 << 20)})),
        with(image(), "annotations", (0..10_000).map(|n| (n.to_string(), "x".into())).collect::<serde_json::Map<_, _>>()),
    ] {
        read(&document, None).unwrap();
    }
}

#[test]
fn the_artifact_type_is_its_own_or_that_of_the_configuration() {
    for (document, expected) in [
        (with(image(), "artifactType", "a/b"), Some("a/b")),
        (with(image(), "artifactType", ""), Some(CONFIG)),
        (with(image(), "config", descriptor("", "config")), None),
        (with(index(), "artifactType", ""), None),
    ] {
        assert_eq!(read(&document, None).unwrap().artifact_type.as_deref(), expected, "{document}");
    }
}

#[test]
fn layers_that_lie_elsewhere_may_be_missing() {
    for (document, expected) in [
        (with_layer("urls", json!(["https://169.254.169.254/layer"])), true),
        (with_layer("urls", json!([])), false),
        (with_layer("urls", Value::Null), false),
        (with_layer("mediaType", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"), true),
        (with_layer("mediaType", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), true),
        (with_layer("mediaType", "application/vnd.docker.image.rootfs.diff.tar.gzip"), false),
    ] {
        assert_eq!(read(&document, None).unwrap().references[1].may_be_missing, expected, "{document}");
    }
    let elsewhere = with(descriptor(LAYER, "one"), "urls", json!(["https://example.org"]));
    for list in [[elsewhere.clone(), descriptor(LAYER, "one")], [descriptor(LAYER, "one"), elsewhere]] {
        let references = read(&with(image(), "layers", list.to_vec()), None).unwrap().references;
        assert_eq!((references.len(), references[1].may_be_missing), (2, false));
    }
    let manifests = vec![with(descriptor(MediaType::OCI_MANIFEST, "arm"), "urls", json!(["https://example.org"]))];
    assert!(!read(&with(index(), "manifests", manifests), None).unwrap().references[0].may_be_missing);
}

#[test]
fn a_digest_is_listed_once_and_counted_each_time() {
    let layers = |count| with(image(), "layers", vec![descriptor(LAYER, "config"); count]);
    assert_eq!(read(&layers(9_999), None).unwrap().references.len(), 1);
    for (document, reason) in [
        (layers(10_000), "layers: item 9999: there are more than 10000 descriptors in all"),
        (layers(10_001), "layers: there are more than 10000 descriptors"),
        (with(layers(9_999), "subject", descriptor("a/b", "s")), "layers: item 9998: there are more than 10000"),
    ] {
        assert_begins(&malformed(document.to_string()), reason);
    }
    let many = |item: &str, count| format!(r#"{{"layers":[{}{item}]}}"#, format!("{item},").repeat(count));
    assert_begins(&malformed(many("{}", 100_000)), "layers: there are more than 10000 descriptors");
    assert_begins(&malformed(many("0", 1_000_000)), "layers: item 0: invalid type");
}
