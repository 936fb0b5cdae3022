//! Reading manifests. A manifest is stored and served as the bytes that came; what is read here is only looked at.

use std::collections::BTreeMap;

pub use oci_spec::image::{Descriptor, Platform};
use serde::Deserialize;
use serde_json::Value;

use super::{InvalidMediaType, MAX_MANIFEST_BYTES, MediaType};

/// What kind of document a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestKind {
    /// It names layers.
    Image,
    /// It names other manifests.
    Index,
}

/// A read copy of a manifest: its kind, media type and what it names.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// What kind of document it is.
    pub kind: ManifestKind,
    /// The media type to serve it under.
    pub media_type: MediaType,
    /// The manifests of an index.
    pub manifests: Vec<Descriptor>,
    /// The configuration of an image.
    pub config: Option<Descriptor>,
    /// The layers of an image, in order.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
    /// Its own annotations; empty when they are not texts.
    pub annotations: BTreeMap<String, String>,
}

/// Why bytes are not a manifest that can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than [`MAX_MANIFEST_BYTES`].
    #[error("the manifest is larger than {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// Not a JSON object with the fields of a manifest.
    #[error("the document is not a manifest: {0}")]
    Malformed(String),
    /// Two readers could see two different images in it (CVE-2021-41190): it has both `manifests` and `layers`, say.
    #[error("the document is ambiguous: {0}")]
    Ambiguous(String),
    /// Docker manifest schema 1, whose digest is not the hash of its bytes.
    #[error("manifests of schema version 1 are not supported; push the image again with a current client")]
    Schema1,
    /// The media type is malformed.
    #[error(transparent)]
    MediaType(#[from] InvalidMediaType),
    /// The sender's `Content-Type` is malformed, longer than any that is in use, or a list.
    #[error("the Content-Type header must name one media type: {0}")]
    ContentType(InvalidMediaType),
    /// The sender says one media type and the document another, so that it depends on the reader what it is.
    #[error("the Content-Type header says '{sent_as}', but the mediaType of the document is '{own}'")]
    MediaTypeMismatch {
        /// The sender's `Content-Type`.
        sent_as: MediaType,
        /// The document's `mediaType`.
        own: MediaType,
    },
}

/// The fields that are looked at. Unknown fields are none of our business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    schema_version: Option<Value>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<Vec<Value>>,
    #[serde(default)]
    config: Option<Value>,
    #[serde(default)]
    layers: Option<Vec<Value>>,
    #[serde(default)]
    subject: Option<Value>,
    #[serde(default)]
    annotations: Option<Value>,
    #[serde(default)]
    fs_layers: Option<Value>,
}

impl Manifest {
    /// Reads `bytes`. The media type is the document's own `mediaType`, else `content_type` (what the sender said, when it
    /// names a manifest type), else it is told from the document's shape.
    ///
    /// # Errors
    /// [`ManifestError`]; nothing is allocated for a document over the limit.
    pub fn read(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|error| ManifestError::Malformed(error.to_string()))?;
        if document.manifests.is_some() && (document.layers.is_some() || document.config.is_some()) {
            return Err(ManifestError::Ambiguous("it has both 'manifests' and 'layers' or 'config'".to_owned()));
        }
        if document.fs_layers.is_some() || document.schema_version == Some(1.into()) {
            return Err(ManifestError::Schema1);
        }
        let kind = if document.manifests.is_some() { ManifestKind::Index } else { ManifestKind::Image };
        if kind == ManifestKind::Image && document.config.is_none() && document.layers.is_none() && document.media_type.is_none()
        {
            return Err(ManifestError::Malformed("it has neither 'manifests' nor 'layers' nor 'config'".to_owned()));
        }
        let named = content_type.filter(|text| is_manifest_type(text));
        let media_type = match (document.media_type.as_deref(), named, kind) {
            (Some(own), ..) => own.parse()?,
            (None, Some(named), _) => named.parse()?,
            (None, None, ManifestKind::Index) => MediaType::OCI_INDEX.parse()?,
            (None, None, ManifestKind::Image) => MediaType::OCI_MANIFEST.parse()?,
        };
        Ok(Self {
            kind,
            media_type,
            manifests: descriptors(document.manifests.unwrap_or_default()),
            config: descriptors(document.config).pop(),
            layers: descriptors(document.layers.unwrap_or_default()),
            subject: descriptors(document.subject).pop(),
            annotations: document.annotations.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default(),
        })
    }
}

/// A descriptor that cannot be read (an unknown digest form, say) is left out: the manifest is served all the same.
fn descriptors(values: impl IntoIterator<Item = Value>) -> Vec<Descriptor> {
    values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect()
}

/// Whether a sender's content type says anything about a manifest: `text/plain` and friends are what servers add by habit.
pub(super) fn is_manifest_type(text: &str) -> bool {
    text.starts_with("application/vnd.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(text: &str, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
        Manifest::read(text.as_bytes(), content_type)
    }

    #[test]
    fn the_media_type_is_the_documents_own_then_the_senders_then_told_from_the_shape() {
        let image = r#"{"schemaVersion":2,"layers":[]}"#;
        assert_eq!(read(image, None).unwrap().media_type.as_str(), MediaType::OCI_MANIFEST);
        assert_eq!(read(image, Some("text/plain")).unwrap().media_type.as_str(), MediaType::OCI_MANIFEST);
        assert_eq!(read(image, Some(MediaType::DOCKER_MANIFEST)).unwrap().media_type.as_str(), MediaType::DOCKER_MANIFEST);
        let own = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, MediaType::DOCKER_LIST);
        assert_eq!(read(&own, Some(MediaType::OCI_INDEX)).unwrap().media_type.as_str(), MediaType::DOCKER_LIST);
        assert_eq!(read(r#"{"manifests":[]}"#, None).unwrap().media_type.as_str(), MediaType::OCI_INDEX);
    }

    #[test]
    fn what_it_names_is_read() {
        let text =
            format!(r#"{{"manifests":[{{"mediaType":"{}","digest":"{DIGEST}","size":7,"x":1}}]}}"#, MediaType::OCI_MANIFEST);
        let manifest = read(&text, None).unwrap();
        assert_eq!(manifest.kind, ManifestKind::Index);
        assert_eq!(manifest.manifests[0].digest().to_string(), DIGEST);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in ["", "null", "[]", "{}", "<html>", "{\"layers\":[]} x", "\u{feff}{}"] {
            assert!(matches!(read(text, None), Err(ManifestError::Malformed(_))), "{text}");
        }
        assert!(matches!(read(r#"{"manifests":[],"layers":[]}"#, None), Err(ManifestError::Ambiguous(_))));
        assert_eq!(read(r#"{"schemaVersion":1,"layers":[]}"#, None).unwrap_err(), ManifestError::Schema1);
        assert_eq!(read(r#"{"fsLayers":[]}"#, None).unwrap_err(), ManifestError::Schema1);
        let long = format!(r#"{{"layers":[],"x":"{}"}}"#, "y".repeat(MAX_MANIFEST_BYTES));
        assert_eq!(read(&long, None).unwrap_err(), ManifestError::TooLarge);
    }
}
