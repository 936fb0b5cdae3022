//! Blobs, images and indexes to pull.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

/// Bytes and what they are called.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) bytes: Bytes,
    pub(crate) digest: String,
}

impl Blob {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: sha256(&bytes), bytes }
    }

    /// Bytes without any pattern, always the same for a seed.
    pub(crate) fn random(seed: u64, length: usize) -> Self {
        let mut bytes = vec![0; length];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        Self::new(bytes)
    }

    /// The same bytes under their SHA-512.
    pub(crate) fn by_sha512(self) -> Self {
        Self { digest: format!("sha512:{}", hex(&Sha512::digest(&self.bytes))), ..self }
    }

    pub(crate) fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// A manifest with all blobs that it names.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) manifest: Blob,
    pub(crate) blobs: Vec<Blob>,
}

impl Image {
    /// An image with a configuration and one layer per length.
    pub(crate) fn new(seed: u64, layers: &[usize]) -> Self {
        let config = Blob::new(format!(r#"{{"architecture":"amd64","os":"linux","seed":{seed}}}"#));
        Self::of(config, (0..).zip(layers).map(|(n, &length)| Blob::random(seed * 1000 + n, length)).collect())
    }

    /// The layers of another image, and more.
    pub(crate) fn on_top_of(base: &Self, seed: u64, layers: &[usize]) -> Self {
        let Self { blobs: own, .. } = Self::new(seed, layers);
        Self::of(own[0].clone(), base.blobs[1..].iter().chain(&own[1..]).cloned().collect())
    }

    fn of(config: Blob, layers: Vec<Blob>) -> Self {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": layers.iter().map(|layer| layer.descriptor("application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
        });
        Self { manifest: Blob::new(manifest.to_string()), blobs: [config].into_iter().chain(layers).collect() }
    }

    /// An image whose content does not matter.
    pub(crate) fn small(seed: u64) -> Self {
        Self::new(seed, &[2 * KIB])
    }
}

/// An index that names `manifests`.
pub(crate) fn index(manifests: &[&Blob]) -> Blob {
    let manifests: Vec<_> = manifests.iter().map(|manifest| manifest.descriptor(OCI_MANIFEST)).collect();
    Blob::new(json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests }).to_string())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
