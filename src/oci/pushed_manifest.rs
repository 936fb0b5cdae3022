//! Reading the manifests that clients push. What an upstream sends is read leniently, for the upstream answers for it; what is
//! stored here first must mean the same to every client that reads it later, so everything doubtful is refused.

mod document;
mod object;
mod references;
mod shape;

use std::collections::BTreeMap;

use super::{Digest, MAX_MANIFEST_BYTES, ManifestError, MediaType};
use document::Document;
use object::Object;
use references::{MAX_DESCRIPTORS, References};

/// The longest part of a parser's message that is passed on: it may quote the document.
const MAX_REASON_CHARS: usize = 300;

/// A manifest as a client pushed it, read strictly: there is one way only to read it, and all that it names is well-formed.
#[derive(Debug, Clone)]
pub struct PushedManifest {
    /// What it is stored and served under.
    pub media_type: MediaType,
    /// What it is made of (configuration, layers or blobs, or the manifests of an index), each digest once, in order.
    pub references: Vec<PushedReference>,
    /// The manifest that this one is about.
    pub subject: Option<Digest>,
    /// What the list of referrers says it is: its `artifactType`, else the media type of its configuration.
    pub artifact_type: Option<String>,
    /// Its own annotations, for the list of referrers.
    pub annotations: BTreeMap<String, String>,
}

/// Something that a manifest is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedReference {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes, as the manifest states it; below 2⁶³.
    pub size: u64,
    /// What it is.
    pub kind: ReferenceKind,
    /// Clients may fetch it elsewhere: it has `urls`, or a media type of layers that are not to be distributed.
    pub may_be_missing: bool,
}

/// What a manifest refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// A configuration, a layer, or another blob.
    Blob,
    /// Another manifest.
    Manifest,
}

impl PushedManifest {
    /// Reads `bytes`, which were sent under `content_type`. The media type is the document's own, which must be the sender's;
    /// if the document names none, the sender's (when it is one of a manifest at all); else the document's shape tells.
    ///
    /// # Errors
    /// [`ManifestError`], which names the field. The limit on the length is checked before anything is allocated.
    pub fn read(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let sent_as = content_type.map(shape::read_content_type).transpose()?;
        let Object { fields: document, ambiguous } = parse(bytes)?;
        if let Some(reason) = ambiguous {
            return Err(ManifestError::Ambiguous(reason));
        }
        let media_type = shape::check(&document, sent_as)?;

        let mut references = References::default();
        let subject = document.subject.map(|subject| references.check(subject, "subject")).transpose()?;
        let config = document.config.map(|config| references.add_config(config)).transpose()?;
        references.add_blobs(document.layers, "layers")?;
        references.add_blobs(document.blobs, "blobs")?;
        references.add_manifests(document.manifests)?;

        let artifact_type = document.artifact_type.filter(|text| !text.is_empty());
        Ok(Self {
            media_type,
            references: references.into_list(),
            subject: subject.map(|subject| subject.digest),
            artifact_type: artifact_type.or(config.map(|config| config.media_type).filter(|text| !text.is_empty())),
            annotations: document.annotations.unwrap_or_default(),
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Object<Document>, ManifestError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let mut reason = error.to_string();
        if let Some((end, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
            reason.truncate(end);
            reason.push('…');
        }
        ManifestError::Malformed(reason)
    })
}

#[cfg(test)]
mod tests;
