//! The fields of a manifest and of its descriptors as they stand in the JSON document. `null` is the same as absent: Go writes
//! it for lists that are empty.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use super::{
    MAX_DESCRIPTORS,
    object::{Fields, Object, Skipped},
};

/// What is read of a manifest of any kind.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) schema_version: Option<u64>,
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Object<Descriptor>>,
    pub(super) layers: Option<Descriptors>,
    pub(super) manifests: Option<Descriptors>,
    pub(super) blobs: Option<Descriptors>,
    pub(super) subject: Option<Object<Descriptor>>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
    /// Only schema 1 has them.
    pub(super) has_fs_layers: bool,
}

impl Fields for Document {
    const EXPECTED: &'static str = "one JSON object";
    const KEYS: &'static [&'static str] = &[
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "blobs",
        "subject",
        "annotations",
        "fsLayers",
    ];

    fn read_value<'de, A: MapAccess<'de>>(&mut self, key: &'static str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "schemaVersion" => self.schema_version = map.next_value()?,
            "mediaType" => self.media_type = map.next_value()?,
            "artifactType" => self.artifact_type = map.next_value()?,
            "config" => self.config = map.next_value()?,
            "layers" => self.layers = map.next_value()?,
            "manifests" => self.manifests = map.next_value()?,
            "blobs" => self.blobs = map.next_value()?,
            "subject" => self.subject = map.next_value()?,
            "annotations" => self.annotations = map.next_value()?,
            _ => {
                map.next_value::<Skipped>()?;
                self.has_fs_layers = true;
            }
        }
        Ok(())
    }
}

/// What is read of a descriptor.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    pub(super) media_type: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) has_urls: bool,
}

impl Fields for Descriptor {
    const EXPECTED: &'static str = "a descriptor, which is a JSON object";
    const KEYS: &'static [&'static str] =
        &["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

    fn read_value<'de, A: MapAccess<'de>>(&mut self, key: &'static str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "mediaType" => self.media_type = map.next_value()?,
            "digest" => self.digest = map.next_value()?,
            "size" => self.size = map.next_value()?,
            "urls" => self.has_urls = map.next_value::<Option<Vec<String>>>()?.is_some_and(|urls| !urls.is_empty()),
            "annotations" => drop(map.next_value::<Option<BTreeMap<String, String>>>()?),
            _ => {
                map.next_value::<Skipped>()?;
            }
        }
        Ok(())
    }
}

/// A list of descriptors, [`MAX_DESCRIPTORS`] at most.
#[derive(Debug, Default)]
pub(super) struct Descriptors(pub(super) Vec<Object<Descriptor>>);

impl<'de> Deserialize<'de> for Descriptors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(DescriptorsVisitor)
    }
}

struct DescriptorsVisitor;

impl<'de> Visitor<'de> for DescriptorsVisitor {
    type Value = Descriptors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of descriptors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Descriptors, A::Error> {
        let mut descriptors = Vec::new();
        loop {
            let index = descriptors.len();
            let next = list.next_element().map_err(|error| A::Error::custom(format_args!("item {index}: {error}")))?;
            match next {
                None => return Ok(Descriptors(descriptors)),
                Some(_) if index == MAX_DESCRIPTORS => {
                    return Err(A::Error::custom(format_args!("there are more than {MAX_DESCRIPTORS} descriptors")));
                }
                Some(descriptor) => descriptors.push(descriptor),
            }
        }
    }
}
