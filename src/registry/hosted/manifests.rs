//! Manifests and tags of hosted repositories.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Hosted, INLINE, ManifestInfo, Pushed, RegistryError, RegistryErrorKind as Kind, catalog_failed, storage_failed};
use crate::{
    catalog::{ContentKind, HostedManifest, Missing, PutManifest, Wanted},
    config::MissingReferences,
    oci::{Algorithm, Digest, ManifestError, PushedManifest, Reference, ReferenceKind, RepositoryName, Tag},
    telemetry::{CacheStatus, TierName},
    tiers::Spool,
};

impl Hosted {
    pub(in crate::registry) async fn manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(ManifestInfo, Bytes), RegistryError> {
        let info = self.manifest_head(name, reference)?;
        let found = self.content(&info.digest, info.size).await?;
        let status = CacheStatus::Hit(found.tier);
        let bytes = found.read().await.map_err(|error| storage_failed("reading a manifest", error))?;
        Ok((ManifestInfo { status, ..info }, bytes))
    }

    pub(in crate::registry) fn manifest_head(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<ManifestInfo, RegistryError> {
        let catalog = &self.shared.catalog;
        let found = match reference {
            Reference::Tag(tag) => catalog.hosted_tag(name, tag),
            Reference::Digest(digest) => {
                catalog.hosted_manifest(name, digest).map(|found| found.map(|manifest| (*digest, manifest)))
            }
        };
        let (digest, manifest) = found.map_err(catalog_failed)?.ok_or_else(|| RegistryError::unknown(Kind::ManifestUnknown))?;
        let HostedManifest { media_type, size, .. } = manifest;
        Ok(ManifestInfo { digest, media_type, size, status: CacheStatus::Hit(TierName::Catalog), age: None })
    }

    /// Takes a manifest in under `reference` and under `tags`, which become visible at once, when bytes and rows are durable.
    /// The caller may leave; it goes on.
    ///
    /// # Errors
    /// `ManifestInvalid`, `Unsupported`, `TooLarge`; `DigestInvalid` when the bytes are not what `reference` says;
    /// `ReferenceMissing` and `SizeInvalid` when the repository does not have what it names, or not like that; `StorageFull`.
    pub async fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        mut tags: Vec<Tag>,
        content_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<Pushed, RegistryError> {
        let manifest = PushedManifest::read(&bytes, content_type).map_err(refused)?;
        let digest = match reference {
            Reference::Tag(tag) => {
                tags.push(tag.clone());
                Digest::of(Algorithm::Sha256, &bytes)
            }
            Reference::Digest(digest) if Digest::of(digest.algorithm(), &bytes) == *digest => *digest,
            Reference::Digest(_) => {
                return Err(RegistryError::new(Kind::DigestInvalid, "the manifest does not match the digest it is pushed under"));
            }
        };
        self.check_references(name, &manifest)?;
        let size = bytes.len() as u64;
        let descriptor = descriptor(&manifest, &digest, size);
        let PushedManifest { media_type, subject, .. } = manifest;
        let row = HostedManifest { media_type, size, subject };
        let content = (size <= INLINE).then(|| bytes.clone());
        let telling = self.before_push(name, &digest, &tags, content_type, &bytes);
        let put = PutManifest { name: name.clone(), digest, manifest: row, content, descriptor, tags };
        let hosted = self.clone();
        let putting = async move {
            let _claim = hosted.shared.claims.share(&digest).await;
            if size > INLINE {
                hosted.keep(&digest, bytes).await?;
            }
            hosted.shared.catalog.put_hosted_manifest(put).await.map_err(catalog_failed)?;
            hosted.tell_pushed(telling);
            Ok(())
        };
        self.detached(putting).await?;
        Ok(Pushed { digest, subject })
    }

    /// Takes a tag out of a repository, or a manifest with all tags that name it.
    ///
    /// # Errors
    /// `ManifestUnknown`.
    pub async fn delete_manifest(&self, name: &RepositoryName, reference: &Reference) -> Result<(), RegistryError> {
        let catalog = &self.shared.catalog;
        let telling = self.before_deletion(name, reference);
        let deleted = match reference {
            Reference::Tag(tag) => catalog.delete_hosted_tag(name, tag).await,
            Reference::Digest(digest) => catalog.delete_hosted_manifest(name, digest).await,
        };
        if !deleted.map_err(catalog_failed)? {
            return Err(RegistryError::unknown(Kind::ManifestUnknown));
        }
        self.tell_deleted(name, telling);
        Ok(())
    }

    fn check_references(&self, name: &RepositoryName, manifest: &PushedManifest) -> Result<(), RegistryError> {
        let is_required = self.shared.policy.load().missing_references == MissingReferences::Refuse;
        let wanted = manifest.references.iter().map(|reference| Wanted {
            kind: match reference.kind {
                ReferenceKind::Blob => ContentKind::Blob,
                ReferenceKind::Manifest => ContentKind::Manifest,
            },
            digest: reference.digest,
            size: reference.size,
            may_be_missing: reference.may_be_missing || !is_required,
        });
        match self.shared.catalog.first_missing(name, wanted).map_err(catalog_failed)? {
            None => Ok(()),
            Some(Missing::Absent(digest)) => {
                let message = format!("the manifest names {digest}, which was not pushed to this repository");
                Err(RegistryError::new(Kind::ReferenceMissing, message))
            }
            Some(Missing::OfSize(digest, size)) => {
                let message = format!("the manifest gives {digest} another size than its {size} bytes");
                Err(RegistryError::new(Kind::SizeInvalid, message))
            }
        }
    }

    /// Makes the bytes of a large manifest durable. Those that a repository has are so already.
    async fn keep(&self, digest: &Digest, bytes: Bytes) -> Result<(), RegistryError> {
        let (shared, failed) = (&self.shared, |error| storage_failed("keeping a manifest", error));
        if shared.catalog.is_hosted(digest).map_err(catalog_failed)? && shared.tiers.lookup_hosted(digest).await.is_some() {
            return Ok(());
        }
        let spool = shared.tiers.spool().await.map_err(failed)?;
        Spool::write_at(spool.file(), &bytes, 0).map_err(failed)?;
        shared.tiers.hosted().store(digest, spool).await.map_err(failed)
    }
}

fn refused(error: ManifestError) -> RegistryError {
    let kind = match error {
        ManifestError::TooLarge => Kind::TooLarge,
        ManifestError::Schema1 => Kind::Unsupported,
        _ => Kind::ManifestInvalid,
    };
    RegistryError::new(kind, error.to_string())
}

/// What a list of referrers says of a manifest (distribution specification, "Listing Referrers").
fn descriptor(manifest: &PushedManifest, digest: &Digest, size: u64) -> Vec<u8> {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".to_owned(), manifest.media_type.as_str().into());
    descriptor.insert("digest".to_owned(), digest.to_string().into());
    descriptor.insert("size".to_owned(), size.into());
    if let Some(artifact_type) = &manifest.artifact_type {
        descriptor.insert("artifactType".to_owned(), artifact_type.as_str().into());
    }
    if !manifest.annotations.is_empty() {
        descriptor.insert("annotations".to_owned(), json!(manifest.annotations));
    }
    Value::Object(descriptor).to_string().into_bytes()
}
