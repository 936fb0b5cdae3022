//! Media types of manifests.

use std::{fmt, str::FromStr, sync::Arc};

/// A media type without parameters, such as `application/vnd.oci.image.index.v1+json`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MediaType(Arc<str>);

impl MediaType {
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Blobs without a better name.
    pub const OCTET_STREAM: &str = "application/octet-stream";

    /// What is asked of an upstream for any manifest. Schema 1 is left out: its digest is not the hash of its bytes, so
    /// nothing about it can be verified.
    pub const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
         application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names an old Docker manifest of schema 1, signed or not.
    pub fn is_schema1(&self) -> bool {
        self.0.starts_with("application/vnd.docker.distribution.manifest.v1+")
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text is not a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a media type has the form type/subtype, 255 visible ASCII characters at most")]
pub struct InvalidMediaType;

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    /// Parameters (`; charset=utf-8`) are dropped.
    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = essence.split_once('/').ok_or(InvalidMediaType)?;
        let token = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        };
        if essence.len() <= 255 && token(kind) && token(subtype) { Ok(Self(essence.into())) } else { Err(InvalidMediaType) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_dropped_and_junk_is_refused() {
        assert_eq!("application/json; charset=utf-8".parse::<MediaType>().unwrap().as_str(), "application/json");
        for text in ["", "json", "a/", "/b", "a/b c", "a/b\r\nx: y", "a/é", &format!("a/{}", "b".repeat(300))] {
            assert_eq!(text.parse::<MediaType>(), Err(InvalidMediaType), "{text:?}");
        }
    }
}
