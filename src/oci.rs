//! Value types of the OCI distribution and image specifications. No I/O, no knowledge of any other room.
//!
//! Everything that comes from outside (a path, a header, an upstream's answer) is parsed into one of these types once, and
//! only these types travel further: a `Digest` that exists is well-formed and safe to use in a path or a URL.

mod as_text;
mod digest;
mod error_code;
mod manifest;
mod media_type;
mod name;
mod pushed_manifest;
mod range;
mod reference;

pub use digest::{Algorithm, Digest, Hasher, InvalidDigest};
pub use error_code::ErrorCode;
pub use manifest::{Descriptor, Manifest, ManifestError, ManifestKind, Platform};
pub use media_type::{InvalidMediaType, MediaType};
pub use name::{InvalidName, RepositoryName};
pub use pushed_manifest::{PushedManifest, PushedReference, ReferenceKind};
pub use range::{ByteRange, RangeRequest, Selected};
pub use reference::{InvalidReference, Reference, Tag};

/// The largest manifest that is accepted from an upstream or a client, in bytes: the floor that the specification asks for
/// ("at least 4 megabytes") and the ceiling of most clients.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;

#[cfg(test)]
mod properties;
