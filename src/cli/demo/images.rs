//! Images made up for the demonstration: the same bytes on every run.
//!
//! Layers are pseudo-random bytes, so nothing on the way can compress them; they are told apart by digest and size, nobody
//! unpacks them. All images but the last share their base layers, as images built from one base do.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::oci::{Algorithm, Digest, MediaType};

/// Media type of an image's configuration.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Sizes of layers in KiB, base first.
const BASE_KIB: &[usize] = &[6144, 1024];
const OWN_KIB: &[usize] = &[2560, 384, 32];
const CROWD_KIB: &[usize] = &[6144, 3072, 1024, 64];

/// One image: where it is found, and what must be found there.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) repository: String,
    pub(super) tag: &'static str,
    /// The digest of its index, which names a manifest for each architecture.
    pub(super) index: Digest,
}

/// A manifest or an index as it is served.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) media_type: &'static str,
    pub(super) bytes: Bytes,
}

/// What one repository of the origin holds. Layers that repositories share are the same bytes in memory.
#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) tags: HashMap<&'static str, Digest>,
    pub(super) manifests: HashMap<Digest, Document>,
    pub(super) blobs: HashMap<Digest, Bytes>,
}

/// Everything that the origin holds.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) repositories: HashMap<String, Repository>,
    /// Images on a common base.
    pub(super) family: Vec<Image>,
    /// An image that shares nothing with the others, for the scene with many machines.
    pub(super) crowd: Image,
}

impl Images {
    /// Makes `count` images on a common base and one that stands alone, each for two architectures, with layers `shrink`
    /// times smaller than usual.
    pub(super) fn generate(count: usize, shrink: usize) -> Self {
        let mut maker = Maker { shrink, layers: HashMap::new(), repositories: HashMap::new() };
        let family = (1..=count).map(|number| maker.image(&format!("demo/app-{number}"), BASE_KIB, OWN_KIB)).collect();
        let crowd = maker.image("demo/crowd", &[], CROWD_KIB);
        Self { repositories: maker.repositories, family, crowd }
    }
}

struct Maker {
    shrink: usize,
    /// Layers by what they are called, so that a shared one is made once.
    layers: HashMap<String, (Digest, Bytes)>,
    repositories: HashMap<String, Repository>,
}

impl Maker {
    fn image(&mut self, name: &str, base: &[usize], own: &[usize]) -> Image {
        let mut repository = Repository::default();
        // The second architecture is there to show that it stays where it is: nobody asks for it.
        let manifests: Vec<Value> = [("amd64", 1), ("arm64", 4)]
            .into_iter()
            .map(|(architecture, smaller)| {
                let mut layers = Vec::new();
                for (stem, sizes) in [("base", base), (name, own)] {
                    for (position, kib) in sizes.iter().enumerate() {
                        let bytes = kib * 1024 / (self.shrink * smaller);
                        layers.push(self.layer(&format!("{stem}/{architecture}/{position}"), bytes));
                    }
                }
                let mut descriptor = manifest(&mut repository, architecture, layers);
                descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
                descriptor
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests });
        let (index, _) = add_document(&mut repository, MediaType::OCI_INDEX, &index);
        repository.tags.insert("v1", index);
        self.repositories.insert(name.to_owned(), repository);
        Image { repository: name.to_owned(), tag: "v1", index }
    }

    fn layer(&mut self, called: &str, length: usize) -> (Digest, Bytes) {
        self.layers.entry(called.to_owned()).or_insert_with(|| pseudo_random(called, length)).clone()
    }
}

/// Bytes that look random and depend on nothing but the name.
fn pseudo_random(called: &str, length: usize) -> (Digest, Bytes) {
    let named = Digest::of(Algorithm::Sha256, called.as_bytes());
    let seed = named.as_bytes().iter().take(8).fold(0, |seed, &byte| seed << 8 | u64::from(byte));
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    (Digest::of(Algorithm::Sha256, &bytes), bytes.into())
}

/// Adds one architecture's manifest, configuration and layers; returns the manifest's descriptor.
fn manifest(repository: &mut Repository, architecture: &str, layers: Vec<(Digest, Bytes)>) -> Value {
    let digests: Vec<String> = layers.iter().map(|(digest, _)| digest.to_string()).collect();
    let config = json!({
        "os": "linux", "architecture": architecture, "config": {}, "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let config = Bytes::from(config.to_string());
    let config_digest = Digest::of(Algorithm::Sha256, &config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": descriptor(CONFIG, config_digest, config.len()),
        "layers": layers.iter().map(|(digest, bytes)| descriptor(LAYER, *digest, bytes.len())).collect::<Vec<_>>(),
    });
    repository.blobs.insert(config_digest, config);
    repository.blobs.extend(layers);
    let (digest, length) = add_document(repository, MediaType::OCI_MANIFEST, &manifest);
    descriptor(MediaType::OCI_MANIFEST, digest, length)
}

fn add_document(repository: &mut Repository, media_type: &'static str, document: &Value) -> (Digest, usize) {
    let bytes = Bytes::from(document.to_string());
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let length = bytes.len();
    repository.manifests.insert(digest, Document { media_type, bytes });
    (digest, length)
}

fn descriptor(media_type: &str, digest: Digest, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Manifest, ManifestKind};

    #[test]
    fn every_run_makes_the_same_images() {
        let (one, two) = (Images::generate(2, 64), Images::generate(2, 64));
        let digests = |images: &Images| images.family.iter().map(|image| image.index).collect::<Vec<_>>();
        assert_eq!(digests(&one), digests(&two));
        assert_ne!(one.family[0].index, one.family[1].index);
        assert_eq!(one.crowd.index, two.crowd.index);
    }

    #[test]
    fn everything_that_is_named_exists_under_its_digest() {
        let images = Images::generate(2, 64);
        for repository in images.repositories.values() {
            let mut named = 0;
            for (digest, document) in &repository.manifests {
                assert_eq!(Digest::of(Algorithm::Sha256, &document.bytes), *digest);
                let manifest = Manifest::read(&document.bytes, None).unwrap();
                assert_eq!(manifest.media_type.as_str(), document.media_type);
                for descriptor in manifest.config.iter().chain(&manifest.layers) {
                    let digest: Digest = descriptor.digest().to_string().parse().unwrap();
                    let bytes = &repository.blobs[&digest];
                    assert_eq!(bytes.len() as u64, descriptor.size());
                    assert_eq!(Digest::of(Algorithm::Sha256, bytes), digest);
                    named += 1;
                }
                if manifest.kind == ManifestKind::Index {
                    assert_eq!(manifest.manifests.len(), 2, "two architectures");
                    assert_eq!(repository.tags["v1"], *digest);
                }
            }
            assert_eq!(named, repository.blobs.len());
        }
    }

    #[test]
    fn images_of_the_family_share_their_base_and_the_crowd_shares_nothing() {
        let images = Images::generate(2, 64);
        let blobs = |name: &str| &images.repositories[name].blobs;
        let shared = |one: &str, other: &str| blobs(one).keys().filter(|digest| blobs(other).contains_key(digest)).count();
        assert_eq!(shared("demo/app-1", "demo/app-2"), 2 * BASE_KIB.len());
        assert_eq!(shared("demo/app-1", "demo/crowd"), 0);
    }
}
