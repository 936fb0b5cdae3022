//! What a manifest is made of: its descriptors, checked and counted.

use std::collections::{HashMap, hash_map::Entry};

use super::{
    super::{Digest, ManifestError, MediaType},
    PushedReference, ReferenceKind,
    document::{Descriptor, Descriptors},
    object::Object,
};

/// The most descriptors that one manifest may hold.
pub(super) const MAX_DESCRIPTORS: usize = 10_000;

/// Media types (or how they begin) of blobs that build tools list in an index: the caches of BuildKit look like this.
const BLOB_TYPES: [&str; 7] = [
    "application/vnd.oci.image.layer.",
    "application/vnd.oci.image.config.",
    "application/vnd.oci.empty.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.docker.container.image.",
    "application/vnd.buildkit.cacheconfig.",
    MediaType::OCTET_STREAM,
];

/// How the media types of layers begin that are not to be distributed.
const FOREIGN_TYPES: [&str; 2] =
    ["application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign."];

/// A descriptor whose fields are all there and well-formed.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    size: u64,
    has_urls: bool,
}

/// The references of a manifest while they are collected. Repeats count, but are listed once.
#[derive(Debug, Default)]
pub(super) struct References {
    list: Vec<PushedReference>,
    places: HashMap<Digest, usize>,
    descriptors: usize,
}

impl References {
    /// Adds the configuration and gives it back.
    pub(super) fn add_config(&mut self, object: Object<Descriptor>) -> Result<Checked, ManifestError> {
        let config = self.check(object, "config")?;
        self.add(&config, ReferenceKind::Blob, "config")?;
        Ok(config)
    }

    /// Adds the blobs that are listed in `field`.
    pub(super) fn add_blobs(&mut self, list: Option<Descriptors>, field: &str) -> Result<(), ManifestError> {
        self.add_list(list, field, |_| ReferenceKind::Blob)
    }

    /// Adds what is listed in an index.
    pub(super) fn add_manifests(&mut self, list: Option<Descriptors>) -> Result<(), ManifestError> {
        self.add_list(list, "manifests", |media_type| {
            if begins_with_one_of(media_type, &BLOB_TYPES) { ReferenceKind::Blob } else { ReferenceKind::Manifest }
        })
    }

    /// The references, each digest once, in the order of the document.
    pub(super) fn into_list(self) -> Vec<PushedReference> {
        self.list
    }

    /// Counts a descriptor and checks it; `place` says where it stands.
    pub(super) fn check(&mut self, object: Object<Descriptor>, place: &str) -> Result<Checked, ManifestError> {
        self.descriptors += 1;
        if self.descriptors > MAX_DESCRIPTORS {
            return Err(ManifestError::Malformed(format!("{place}: there are more than {MAX_DESCRIPTORS} descriptors in all")));
        }
        if let Some(reason) = object.ambiguous {
            return Err(ManifestError::Ambiguous(format!("{place}: {reason}")));
        }
        let Descriptor { media_type, digest, size, has_urls } = object.fields;
        let missing = |field| ManifestError::Malformed(format!("{place}: {field}: a descriptor needs the field"));
        let media_type = media_type.ok_or_else(|| missing("mediaType"))?;
        let digest = digest.ok_or_else(|| missing("digest"))?;
        let size = size.ok_or_else(|| missing("size"))?;
        if i64::try_from(size).is_err() {
            return Err(ManifestError::Malformed(format!("{place}: size: {size} is not below 2^63")));
        }
        let digest = digest.parse().map_err(|error| ManifestError::Malformed(format!("{place}: digest: {error}")))?;
        Ok(Checked { digest, media_type, size, has_urls })
    }

    fn add_list(
        &mut self,
        list: Option<Descriptors>,
        field: &str,
        kind: impl Fn(&str) -> ReferenceKind,
    ) -> Result<(), ManifestError> {
        for (index, object) in list.unwrap_or_default().0.into_iter().enumerate() {
            let place = format!("{field}: item {index}");
            let item = self.check(object, &place)?;
            self.add(&item, kind(&item.media_type), &place)?;
        }
        Ok(())
    }

    fn add(&mut self, item: &Checked, kind: ReferenceKind, place: &str) -> Result<(), ManifestError> {
        let may_be_missing =
            kind == ReferenceKind::Blob && (item.has_urls || begins_with_one_of(&item.media_type, &FOREIGN_TYPES));
        let new = PushedReference { digest: item.digest, size: item.size, kind, may_be_missing };
        match self.places.entry(item.digest) {
            Entry::Vacant(entry) => {
                entry.insert(self.list.len());
                self.list.push(new);
            }
            Entry::Occupied(entry) => {
                let known = &mut self.list[*entry.get()];
                if known.size != new.size || known.kind != new.kind {
                    let reason = format!("{place}: {} stands in it twice, with another size or as another kind", new.digest);
                    return Err(ManifestError::Ambiguous(reason));
                }
                // One that says the bytes must be here is enough.
                known.may_be_missing &= may_be_missing;
            }
        }
        Ok(())
    }
}

fn begins_with_one_of(media_type: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| media_type.starts_with(beginning))
}
