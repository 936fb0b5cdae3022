//! Manifests by digest: immutable, verified before the first byte.

use bytes::Bytes;

use super::{ManifestInfo, Proxied, RegistryError, RegistryErrorKind, Shared, negative::Wanted, repository, tags::Need};
use crate::{
    catalog::{Link, Repository},
    oci::{Algorithm, Digest, Manifest, MediaType, Reference},
    telemetry::{CacheStatus, MissReason, TierName},
    tiers::Content,
    upstream::{FetchedManifest, Target},
};

/// A verified manifest that has just been taken in.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) media_type: MediaType,
    pub(super) bytes: Bytes,
}

impl Proxied {
    /// A manifest and its exact bytes, verified.
    ///
    /// # Errors
    /// `ManifestUnknown` when the repository has no such manifest; what the upstream failed with, when nothing stale helps.
    pub(in crate::registry) async fn manifest(
        &self,
        target: &Target,
        reference: &Reference,
    ) -> Result<(ManifestInfo, Bytes), RegistryError> {
        let repository = repository(target);
        let tag = match reference {
            Reference::Digest(digest) => return self.manifest_by_digest(target, &repository, digest).await,
            Reference::Tag(tag) => tag,
        };
        let (info, bytes) = self.resolve(target, &repository, tag, Need::Bytes).await?;
        if let Some(bytes) = bytes {
            return Ok((info, bytes));
        }
        let (found, bytes) = self.manifest_by_digest(target, &repository, &info.digest).await?;
        // Where a fresh tag's bytes were says more than that its row was in the catalog.
        let status = if info.status == CacheStatus::Hit(TierName::Catalog) { found.status } else { info.status };
        Ok((ManifestInfo { status, ..info }, bytes))
    }

    /// What a reference names. Agrees with [`Self::manifest`] for as long as a tag is fresh.
    ///
    /// # Errors
    /// As [`Self::manifest`].
    pub(in crate::registry) async fn manifest_head(
        &self,
        target: &Target,
        reference: &Reference,
    ) -> Result<ManifestInfo, RegistryError> {
        let repository = repository(target);
        match reference {
            Reference::Tag(tag) => Ok(self.resolve(target, &repository, tag, Need::Head).await?.0),
            Reference::Digest(digest) => match self.shared.linked_manifest(&repository, digest) {
                Some((media_type, size)) => {
                    let status = CacheStatus::Hit(TierName::Catalog);
                    Ok(ManifestInfo { digest: *digest, media_type, size, status, age: None })
                }
                // Its media type and length are only known for certain from its bytes.
                None => Ok(self.manifest_by_digest(target, &repository, digest).await?.0),
            },
        }
    }

    async fn manifest_by_digest(
        &self,
        target: &Target,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(ManifestInfo, Bytes), RegistryError> {
        let shared = &*self.shared;
        if let Some((media_type, size)) = shared.linked_manifest(repository, digest)
            && let Some(found) = shared.tiers.lookup(digest).await
            && found.size == size
        {
            let status = CacheStatus::Hit(found.tier);
            match found.read().await {
                Ok(bytes) => return Ok((ManifestInfo { digest: *digest, media_type, size, status, age: None }, bytes)),
                Err(error) => tracing::warn!(%digest, %error, "a cached manifest cannot be read: it is fetched again"),
            }
        }
        let wanted = Wanted::Manifest(Reference::Digest(*digest));
        if shared.negative.knows(repository, wanted, shared.policy.load().negative_ttl) {
            return Err(RegistryError::remembered(RegistryErrorKind::ManifestUnknown));
        }
        let (stored, joined) = self.fetch(target, repository, digest).await?;
        let status = if joined { CacheStatus::Collapsed } else { CacheStatus::Miss(MissReason::Absent) };
        let size = stored.bytes.len() as u64;
        Ok((ManifestInfo { digest: *digest, media_type: stored.media_type, size, status, age: None }, stored.bytes))
    }

    /// Fetches a manifest by digest: one request for all who want it.
    pub(super) async fn fetch(
        &self,
        target: &Target,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(Stored, bool), RegistryError> {
        let (proxied, target, asked_for, digest) = (self.clone(), target.clone(), repository.clone(), *digest);
        let work = move || async move {
            let shared = &*proxied.shared;
            let reference = Reference::Digest(digest);
            let result = match target.route.origin.manifest(&target.repository, &reference).await {
                Ok(fetched) => shared.take_in(&asked_for, fetched, Some(digest)).await,
                Err(error) => Err(RegistryError::from_upstream(error, RegistryErrorKind::ManifestUnknown)),
            };
            if let Err(error) = &result
                && error.kind == RegistryErrorKind::ManifestUnknown
            {
                shared.negative.add(&asked_for, Wanted::Manifest(reference));
            }
            result
        };
        let (stored, joined) = self.shared.manifest_fetches.run((repository.clone(), digest), work).await?;
        Ok((stored?, joined))
    }
}

impl Shared {
    /// Media type and length of a manifest that may be read in a repository.
    fn linked_manifest(&self, repository: &Repository, digest: &Digest) -> Option<(MediaType, u64)> {
        let link = self.link(repository, digest)?;
        Some((link.media_type?, link.size?))
    }

    /// Verifies what an upstream sent, keeps it and links it. `expected` is the digest that was asked for, if one was.
    pub(super) async fn take_in(
        &self,
        repository: &Repository,
        fetched: FetchedManifest,
        expected: Option<Digest>,
    ) -> Result<Stored, RegistryError> {
        let bytes = fetched.bytes;
        let algorithm = expected.map_or(Algorithm::Sha256, |digest| digest.algorithm());
        let digest = Digest::of(algorithm, &bytes);
        if expected.is_some_and(|expected| expected != digest) {
            tracing::warn!(route = %repository.route, repository = %repository.name, ?expected, actual = %digest, "a manifest does not match its digest");
            return Err(RegistryError::bad_answer("the upstream registry sent a manifest that does not match the digest"));
        }
        let content_type = fetched.content_type.as_ref().map(MediaType::as_str);
        let manifest = Manifest::read(&bytes, content_type).map_err(|error| RegistryError::bad_answer(error.to_string()))?;
        if let Err(error) = self.tiers.store(&digest, Content::Bytes(bytes.clone())).await {
            tracing::warn!(%digest, %error, "a manifest could not be kept");
        }
        let link = Link { size: Some(bytes.len() as u64), media_type: Some(manifest.media_type.clone()) };
        self.put_link(repository, &digest, link);
        self.announce(repository, &manifest);
        Ok(Stored { digest, media_type: manifest.media_type, bytes })
    }

    /// What a manifest names will be asked for next.
    fn announce(&self, repository: &Repository, manifest: &Manifest) {
        let digest_of = |descriptor: &crate::oci::Descriptor| descriptor.digest().as_ref().parse::<Digest>().ok();
        for digest in manifest.manifests.iter().filter_map(digest_of) {
            self.negative.announce(repository, Wanted::Manifest(Reference::Digest(digest)));
        }
        for digest in manifest.config.iter().chain(&manifest.layers).filter_map(digest_of) {
            self.negative.announce(repository, Wanted::Blob(digest));
        }
    }
}
