//! Manifests to push.

use serde_json::{Value, json};

use crate::content::{Blob, Image, OCI_INDEX, OCI_MANIFEST};

pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const EMPTY_JSON: &str = "application/vnd.oci.empty.v1+json";

/// A document as bytes.
pub(crate) fn written(document: &Value) -> Blob {
    Blob::new(document.to_string())
}

/// The configuration of every artifact.
pub(crate) fn empty_json() -> Blob {
    Blob::new("{}")
}

/// An image manifest that names these blobs.
pub(crate) fn image_of(config: &Blob, layers: &[&Blob]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor(OCI_CONFIG),
        "layers": layers.iter().map(|layer| layer.descriptor(OCI_LAYER)).collect::<Vec<_>>(),
    })
}

/// A manifest that names only the empty configuration, and differs by `seed`.
pub(crate) fn bare(seed: usize) -> Blob {
    let mut document = image_of(&empty_json(), &[]);
    document["annotations"] = json!({ "seed": seed.to_string() });
    written(&document)
}

/// An artifact that refers to `subject`.
pub(crate) fn referring(subject: &Blob, artifact_type: &str, annotations: Value) -> Blob {
    written(&json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": empty_json().descriptor(EMPTY_JSON),
        "layers": [],
        "subject": subject.descriptor(OCI_MANIFEST),
        "annotations": annotations,
    }))
}

/// An index of descriptors.
pub(crate) fn index_of(descriptors: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors })
}

/// The image with one layer more than it has.
pub(crate) fn naming_one_more(image: &Image, layer: Value) -> Blob {
    let mut document: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    document["layers"].as_array_mut().unwrap().push(layer);
    written(&document)
}
