//! What a manifest says, as far as anybody learns from it.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::Repository;
use crate::oci::{Descriptor, Digest, Manifest, ManifestError, ManifestKind, MediaType, Platform};

/// Annotation of the image specification: when the image was made, by RFC 3339.
const CREATED: &str = "org.opencontainers.image.created";

/// Annotation of the image specification: the manifest of the image that this one is built on.
const BASE: &str = "org.opencontainers.image.base.digest";

/// Contents that are told of one manifest at most; no image in use comes near.
const MOST_NAMED: usize = 10_000;

/// A manifest of a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestSeen {
    /// The repository that has it.
    pub repository: Repository,
    /// The manifest itself.
    pub manifest: Layer,
    /// The configuration of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Layer>,
    /// The layers of an image, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// The manifests of an index. Present, if empty, for an index only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<Child>>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// The manifest of the image that this one says it is built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// When it says that it was made, in seconds since the beginning of 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
}

/// A content: digest, length and media type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes, as it is announced.
    pub size: u64,
    /// What it is.
    pub media_type: MediaType,
}

/// A manifest of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The manifest.
    #[serde(flatten)]
    pub manifest: Layer,
    /// The platform that it is for, such as `linux/arm64/v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

impl ManifestSeen {
    /// Reads the manifest `digest`, whose bytes were sent as `content_type`. What is malformed in it is left out.
    ///
    /// # Errors
    /// When the bytes are no manifest.
    pub fn read(repository: Repository, digest: Digest, bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        Ok(Self::of(repository, digest, bytes.len() as u64, &Manifest::read(bytes, content_type)?))
    }

    /// Tells of a manifest of `size` bytes that has been read.
    pub fn of(repository: Repository, digest: Digest, size: u64, manifest: &Manifest) -> Self {
        let children = manifest.manifests.iter().take(MOST_NAMED).filter_map(|descriptor| {
            let platform = descriptor.platform().as_ref();
            Some(Child { manifest: layer(descriptor)?, platform: platform.map(name) })
        });
        Self {
            repository,
            manifest: Layer { digest, size, media_type: manifest.media_type.clone() },
            config: manifest.config.as_ref().and_then(layer),
            layers: manifest.layers.iter().take(MOST_NAMED).filter_map(layer).collect(),
            manifests: (manifest.kind == ManifestKind::Index).then(|| children.collect()),
            subject: manifest.subject.as_ref().and_then(layer).map(|subject| subject.digest),
            base: manifest.annotations.get(BASE).and_then(|text| text.parse().ok()),
            created: manifest.annotations.get(CREATED).and_then(|text| seconds(text)),
        }
    }
}

fn layer(descriptor: &Descriptor) -> Option<Layer> {
    let digest = descriptor.digest().as_ref().parse().ok()?;
    Some(Layer { digest, size: descriptor.size(), media_type: descriptor.media_type().as_ref().parse().ok()? })
}

/// `os/architecture` or `os/architecture/variant`
fn name(platform: &Platform) -> String {
    let mut name = format!("{}/{}", platform.os(), platform.architecture());
    if let Some(variant) = platform.variant() {
        name.push('/');
        name.push_str(variant);
    }
    name
}

/// Seconds since the beginning of 1970 of a time by RFC 3339; earlier ones are as good as none.
pub(super) fn seconds(text: &str) -> Option<u64> {
    DateTime::parse_from_rfc3339(text).ok()?.timestamp().try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oci::Algorithm;

    fn digest(n: u8) -> String {
        Digest::of(Algorithm::Sha256, &[n]).to_string()
    }

    fn read(document: &serde_json::Value) -> ManifestSeen {
        let repository = Repository { route: "docker.io".into(), name: "library/x".parse().unwrap(), private: false };
        let bytes = document.to_string();
        ManifestSeen::read(repository, Digest::of(Algorithm::Sha256, bytes.as_bytes()), bytes.as_bytes(), None).unwrap()
    }

    #[test]
    fn an_image_is_told_with_all_that_is_learned_from() {
        let seen = read(&json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(1), "size": 5},
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(2), "size": 7},
                {"mediaType": "x", "digest": "md5:00", "size": 7},
            ],
            "subject": {"mediaType": MediaType::OCI_MANIFEST, "digest": digest(3), "size": 9},
            "annotations": {CREATED: "2024-05-01T02:00:00+02:00", BASE: digest(4)},
        }));
        assert_eq!(seen.config.as_ref().unwrap().size, 5);
        assert_eq!(seen.layers.iter().map(|layer| layer.size).collect::<Vec<_>>(), [7]);
        assert_eq!(seen.subject, Some(digest(3).parse().unwrap()));
        assert_eq!(seen.base, Some(digest(4).parse().unwrap()));
        assert_eq!((seen.created, seen.manifests.is_none()), (Some(1_714_521_600), true));
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<ManifestSeen>(&text).unwrap(), seen);
    }

    #[test]
    fn an_index_is_told_with_its_platforms() {
        let seen = read(&json!({"schemaVersion": 2, "manifests": [
            {"mediaType": MediaType::OCI_MANIFEST, "digest": digest(1), "size": 5, "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}},
            {"mediaType": MediaType::OCI_MANIFEST, "digest": digest(2), "size": 5},
        ]}));
        let platforms: Vec<_> = seen.manifests.iter().flatten().map(|child| child.platform.as_deref()).collect();
        assert_eq!(platforms, [Some("linux/arm64/v8"), None]);
        assert!(read(&json!({"schemaVersion": 2, "manifests": []})).manifests.is_some());
    }

    #[test]
    fn times() {
        for (text, time) in [
            ("1970-01-01T00:00:01Z", Some(1)),
            ("2024-05-01T00:00:00.123456789Z", Some(1_714_521_600)),
            ("0001-01-01T00:00:00Z", None),
            ("yesterday", None),
        ] {
            assert_eq!(seconds(text), time, "{text}");
        }
    }
}
