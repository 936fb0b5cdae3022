//! Images made up for the demonstration: the same bytes on every run.
//!
//! Layers are pseudo-random bytes, so nothing on the way can compress them; they are told apart by digest and size, nobody
//! unpacks them. The images of the family share their base layers, as images built from one base do. One image has a second version,
//! which is released in the course of the demonstration.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::pull::ARCHITECTURE;
use crate::oci::{Algorithm, Digest, MediaType};

/// Media type of an image's configuration.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Sizes of layers in KiB, base first.
const BASE_KIB: &[usize] = &[6144, 1024];
const OWN_KIB: &[usize] = &[2560, 384, 32];
const CROWD_KIB: &[usize] = &[6144, 3072, 1024, 64];
/// Of the image with two versions, what both have, and what each has of its own.
const KEPT_KIB: &[usize] = &[4096, 512];
const CHANGED_KIB: &[usize] = &[3072, 768, 32];

/// What tags are called.
const TAG: &str = "v1";
/// The tag that moves to the second version.
const STABLE: &str = "stable";

/// One image: where it is found, and what must be found there.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) repository: String,
    pub(super) tag: &'static str,
    /// The digest of its index, which names a manifest for each architecture.
    pub(super) index: Digest,
    /// All that a machine needs of it: index, manifest, configuration and layers.
    pub(super) contents: Vec<Digest>,
}

/// Two versions of an image, under the same tag. It names the old one until [`Images::release`].
#[derive(Debug)]
pub(super) struct Versions {
    pub(super) old: Image,
    pub(super) new: Image,
}

impl Versions {
    /// What a machine needs of the new version, and not of the old one.
    pub(super) fn novel(&self) -> impl Iterator<Item = Digest> {
        self.new.contents.iter().filter(|content| !self.old.contents.contains(content)).copied()
    }
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
    pub(super) tags: Mutex<HashMap<&'static str, Digest>>,
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
    /// An image that shares nothing with the others, for the scene in another region.
    pub(super) versions: Versions,
}

impl Images {
    /// Makes `count` images on a common base, one that stands alone and one of two versions, each for two architectures, with
    /// layers `shrink` times smaller than usual.
    pub(super) fn generate(count: usize, shrink: usize) -> Self {
        let mut maker = Maker { shrink, layers: HashMap::new(), repositories: HashMap::new() };
        let family = (1..=count).map(|number| {
            let name = format!("demo/app-{number}");
            maker.image(&name, TAG, &[("base", BASE_KIB), (&name, OWN_KIB)])
        });
        let family = family.collect();
        let crowd = maker.image("demo/crowd", TAG, &[("crowd", CROWD_KIB)]);
        let mut version = |changed| maker.image("demo/shop", STABLE, &[("kept", KEPT_KIB), (changed, CHANGED_KIB)]);
        // The tag names what is made last.
        let (new, old) = (version("new"), version("old"));
        Self { repositories: maker.repositories, family, crowd, versions: Versions { old, new } }
    }

    /// Bytes of contents of the image with two versions.
    pub(super) fn size(&self, contents: impl Iterator<Item = Digest>) -> u64 {
        let Some(repository) = self.repositories.get(&self.versions.new.repository) else { return 0 };
        contents.filter_map(|content| repository.blobs.get(&content)).map(|bytes| bytes.len() as u64).sum()
    }

    /// Releases the new version: the tag names it from now on.
    pub(super) fn release(&self) {
        let Image { repository, tag, index, .. } = &self.versions.new;
        if let Some(repository) = self.repositories.get(repository) {
            repository.tags.lock().insert(tag, *index);
        }
    }
}

struct Maker {
    shrink: usize,
    /// Layers by what they are called, so that a shared one is made once.
    layers: HashMap<String, (Digest, Bytes)>,
    repositories: HashMap<String, Repository>,
}

impl Maker {
    /// An image of layers that are called by a stem and their place, under a tag.
    fn image(&mut self, name: &str, tag: &'static str, layers: &[(&str, &[usize])]) -> Image {
        let mut repository = self.repositories.remove(name).unwrap_or_default();
        let mut contents = Vec::new();
        // The second architecture is there to show that it stays where it is: nobody asks for it.
        let manifests: Vec<Value> = [(ARCHITECTURE, 1), ("arm64", 4)]
            .into_iter()
            .map(|(architecture, smaller)| {
                let sized = layers.iter().flat_map(|(stem, sizes)| sizes.iter().enumerate().map(move |sized| (stem, sized)));
                let layers = sized.map(|(stem, (position, kib))| {
                    let bytes = kib * 1024 / (self.shrink * smaller);
                    self.layer(&format!("{stem}/{architecture}/{position}"), bytes)
                });
                let layers = layers.collect();
                let (mut descriptor, named) = manifest(&mut repository, architecture, layers);
                descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
                if architecture == ARCHITECTURE {
                    contents = named;
                }
                descriptor
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests });
        let (index, _) = add_document(&mut repository, MediaType::OCI_INDEX, &index);
        contents.push(index);
        repository.tags.lock().insert(tag, index);
        self.repositories.insert(name.to_owned(), repository);
        Image { repository: name.to_owned(), tag, index, contents }
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

/// Adds one architecture's manifest, configuration and layers; returns the manifest's descriptor, and the digests of all of them.
fn manifest(repository: &mut Repository, architecture: &str, layers: Vec<(Digest, Bytes)>) -> (Value, Vec<Digest>) {
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
    let (digest, length) = add_document(repository, MediaType::OCI_MANIFEST, &manifest);
    let contents = layers.iter().map(|(layer, _)| *layer).chain([config_digest, digest]).collect();
    repository.blobs.insert(config_digest, config);
    repository.blobs.extend(layers);
    (descriptor(MediaType::OCI_MANIFEST, digest, length), contents)
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
    use std::collections::HashSet;

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
            let (mut named, mut indexes) = (HashSet::new(), Vec::new());
            for (digest, document) in &repository.manifests {
                assert_eq!(Digest::of(Algorithm::Sha256, &document.bytes), *digest);
                let manifest = Manifest::read(&document.bytes, None).unwrap();
                assert_eq!(manifest.media_type.as_str(), document.media_type);
                for descriptor in manifest.config.iter().chain(&manifest.layers) {
                    let digest: Digest = descriptor.digest().to_string().parse().unwrap();
                    let bytes = &repository.blobs[&digest];
                    assert_eq!(bytes.len() as u64, descriptor.size());
                    assert_eq!(Digest::of(Algorithm::Sha256, bytes), digest);
                    named.insert(digest);
                }
                if manifest.kind == ManifestKind::Index {
                    assert_eq!(manifest.manifests.len(), 2, "two architectures");
                    indexes.push(*digest);
                }
            }
            assert!(repository.tags.lock().values().all(|tagged| indexes.contains(tagged)));
            assert_eq!(named.len(), repository.blobs.len());
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

    #[test]
    fn a_release_moves_the_tag_and_brings_what_is_new() {
        let images = Images::generate(1, 64);
        let Versions { old, new } = &images.versions;
        let shop = &images.repositories["demo/shop"];
        assert_eq!(shop.tags.lock()["stable"], old.index);
        images.release();
        assert_eq!(shop.tags.lock()["stable"], new.index);
        let novel: Vec<Digest> = images.versions.novel().collect();
        // Index and manifest; configuration and layers.
        assert_eq!(novel.len(), 3 + CHANGED_KIB.len());
        assert_eq!(novel.iter().filter(|content| shop.blobs.contains_key(content)).count(), 1 + CHANGED_KIB.len());
    }
}
