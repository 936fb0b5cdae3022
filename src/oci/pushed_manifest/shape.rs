//! What kind of document a manifest is: its media type and the fields that it has must agree.

use super::{
    super::{InvalidMediaType, ManifestError, MediaType, manifest::is_manifest_type},
    document::Document,
};

/// The longest `Content-Type` that is looked at, with its parameters, in bytes.
const MAX_CONTENT_TYPE_BYTES: usize = 1024;

const IMAGES: [&str; 2] = [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST];
const INDEXES: [&str; 2] = [MediaType::OCI_INDEX, MediaType::DOCKER_LIST];
const SCHEMA_1: [&str; 2] =
    ["application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws"];

/// The media type that a `Content-Type` header names. Parameters are dropped; a comma would start a second media type.
pub(super) fn read_content_type(header: &str) -> Result<MediaType, ManifestError> {
    if header.len() > MAX_CONTENT_TYPE_BYTES || header.contains(',') {
        return Err(ManifestError::ContentType(InvalidMediaType));
    }
    header.parse().map_err(ManifestError::ContentType)
}

/// Checks that all agree on what `document` is, and says under which media type to store it.
pub(super) fn check(document: &Document, sent_as: Option<MediaType>) -> Result<MediaType, ManifestError> {
    let own = document.media_type.as_deref().map(read_media_type).transpose()?;
    if document.has_fs_layers
        || document.schema_version == Some(1)
        || [&own, &sent_as].into_iter().flatten().any(|media_type| is_one_of(media_type, &SCHEMA_1))
    {
        return Err(ManifestError::Schema1);
    }
    let media_type = match (own, sent_as) {
        (Some(own), Some(sent_as)) if own != sent_as => return Err(ManifestError::MediaTypeMismatch { sent_as, own }),
        (Some(own), _) => own,
        (None, Some(sent_as)) if is_manifest_type(sent_as.as_str()) => sent_as,
        (None, _) => told_from_the_fields(document)?,
    };
    check_fields(document, &media_type)?;
    Ok(media_type)
}

/// A document's own media type is exactly that: no parameters. And no browser may take the document for a page.
fn read_media_type(text: &str) -> Result<MediaType, ManifestError> {
    let media_type: MediaType = text.parse().map_err(|error| malformed(format!("mediaType: {error}")))?;
    if media_type.as_str() != text {
        return Err(malformed("mediaType: it must be a media type without parameters".to_owned()));
    }
    if !text.to_ascii_lowercase().starts_with("application/") {
        return Err(malformed(format!("mediaType: a manifest is of a type application/…, not '{media_type}'")));
    }
    Ok(media_type)
}

fn told_from_the_fields(document: &Document) -> Result<MediaType, ManifestError> {
    let text = if document.manifests.is_some() {
        MediaType::OCI_INDEX
    } else if document.layers.is_some() || document.config.is_some() {
        MediaType::OCI_MANIFEST
    } else {
        return Err(malformed("it names no media type and has neither 'manifests' nor 'layers' nor 'config'".to_owned()));
    };
    text.parse().map_err(ManifestError::MediaType)
}

/// Anything but the four well-known media types is an artifact of its own kind: all fields are optional there.
fn check_fields(document: &Document, media_type: &MediaType) -> Result<(), ManifestError> {
    let is_image = is_one_of(media_type, &IMAGES);
    let is_index = is_one_of(media_type, &INDEXES);
    let of_images =
        [("config", document.config.is_some()), ("layers", document.layers.is_some()), ("blobs", document.blobs.is_some())];
    let of_image = of_images.into_iter().find_map(|(field, present)| present.then_some(field));

    match (of_image, document.manifests.is_some()) {
        (Some(field), true) => return Err(ManifestError::Ambiguous(format!("it has both 'manifests' and '{field}'"))),
        (Some(field), false) if is_index => {
            return Err(ManifestError::Ambiguous(format!("its media type '{media_type}' is an index's, but it has '{field}'")));
        }
        (None, true) if is_image => {
            return Err(ManifestError::Ambiguous(format!("its media type '{media_type}' is an image's, but it has 'manifests'")));
        }
        (None, false) if is_index => return Err(malformed("manifests: an index needs the field".to_owned())),
        _ if is_image && document.config.is_none() => {
            return Err(malformed("config: an image manifest needs the field".to_owned()));
        }
        _ => {}
    }
    match document.schema_version {
        Some(2) => Ok(()),
        None if !is_image && !is_index => Ok(()),
        None => Err(malformed(format!("schemaVersion: '{media_type}' needs the field, and it must be 2"))),
        Some(other) => Err(malformed(format!("schemaVersion: it must be 2, not {other}"))),
    }
}

/// Media types are the same in upper case: nobody shall pass by a check that way.
fn is_one_of(media_type: &MediaType, types: &[&str]) -> bool {
    types.iter().any(|known| media_type.as_str().eq_ignore_ascii_case(known))
}

fn malformed(reason: String) -> ManifestError {
    ManifestError::Malformed(reason)
}
