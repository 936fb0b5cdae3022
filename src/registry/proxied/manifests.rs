//! Manifests by digest: immutable, verified before the first byte.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use super::{ManifestInfo, Proxied, RegistryError, RegistryErrorKind, Shared, negative, purges::Moment, repository, tags::Need};
use crate::{
    catalog::{Link, Repository},
    oci::{Algorithm, Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, MediaType, Reference},
    telemetry::{CacheStatus, MissReason, TierName},
    tiers::{Content, Found, Wanted},
    upstream::{FetchedManifest, ManifestHead, Target},
};

/// A verified manifest that has just been taken in.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) media_type: MediaType,
    pub(super) bytes: Bytes,
    /// Whether the bucket that edges share had it.
    pub(super) from_bucket: bool,
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
        wanted: &Wanted,
    ) -> Result<(ManifestInfo, Bytes), RegistryError> {
        let repository = repository(target);
        let tag = match reference {
            Reference::Digest(digest) => return self.manifest_by_digest(target, &repository, digest, wanted).await,
            Reference::Tag(tag) => tag,
        };
        let (info, bytes) = self.resolve(target, &repository, tag, Need::Bytes).await?;
        if let Some(bytes) = bytes {
            return Ok((info, bytes));
        }
        let (found, bytes) = self.manifest_by_digest(target, &repository, &info.digest, wanted).await?;
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
                None => Ok(self.manifest_by_digest(target, &repository, digest, &Wanted::default()).await?.0),
            },
        }
    }

    async fn manifest_by_digest(
        &self,
        target: &Target,
        repository: &Repository,
        digest: &Digest,
        wanted: &Wanted,
    ) -> Result<(ManifestInfo, Bytes), RegistryError> {
        let shared = &*self.shared;
        if let Some((media_type, size)) = shared.linked_manifest(repository, digest)
            && let Some(found) = shared.tiers.lookup(digest, wanted).await
            && found.size == size
        {
            let status = CacheStatus::Hit(found.tier);
            if let Some(bytes) = shared.read_whole(digest, found).await {
                return Ok((ManifestInfo { digest: *digest, media_type, size, status, age: None }, bytes));
            }
        }
        let absent = negative::Wanted::Manifest(Reference::Digest(*digest));
        if shared.negative.knows(repository, absent, shared.policy.load().negative_ttl) {
            return Err(RegistryError::remembered(RegistryErrorKind::ManifestUnknown));
        }
        let (stored, joined) = self.fetch(target, repository, digest, None).await?;
        let status = match (joined, stored.from_bucket) {
            (true, _) => CacheStatus::Collapsed,
            (false, true) => CacheStatus::Hit(TierName::Object),
            (false, false) => CacheStatus::Miss(MissReason::Absent),
        };
        let size = stored.bytes.len() as u64;
        Ok((ManifestInfo { digest: *digest, media_type: stored.media_type, size, status, age: None }, stored.bytes))
    }

    /// Fetches a manifest by digest: one request for all who want it. `announced` is what the upstream has just said of it in this
    /// repository, which is its leave; without that, it takes a link to ask the bucket.
    pub(super) async fn fetch(
        &self,
        target: &Target,
        repository: &Repository,
        digest: &Digest,
        announced: Option<ManifestHead>,
    ) -> Result<(Stored, bool), RegistryError> {
        let (proxied, target, asked_for, digest) = (self.clone(), target.clone(), repository.clone(), *digest);
        let work = move || async move {
            let shared = &*proxied.shared;
            let asked = shared.purges.now();
            let reference = Reference::Digest(digest);
            if let Some(stored) = shared.manifest_in_bucket(&asked_for, &digest, announced, asked).await {
                return Ok(stored);
            }
            let result = match target.route.origin.manifest(&target.repository, &reference).await {
                Ok(fetched) => shared.take_in(&asked_for, fetched, Some(digest), asked).await,
                Err(error) => Err(RegistryError::from_upstream(error, RegistryErrorKind::ManifestUnknown)),
            };
            if let Err(error) = &result
                && error.kind == RegistryErrorKind::ManifestUnknown
            {
                shared.negative.add(&asked_for, negative::Wanted::Manifest(reference));
            }
            result
        };
        let (stored, joined) = self.shared.manifest_fetches.run((repository.clone(), digest), work).await?;
        Ok((stored?, joined))
    }
}

impl Shared {
    /// Media type and length of a manifest that may be read in a repository.
    pub(super) fn linked_manifest(&self, repository: &Repository, digest: &Digest) -> Option<(MediaType, u64)> {
        let link = self.link(repository, digest)?;
        Some((link.media_type?, link.size?))
    }

    /// Reads a small content, and hashes it when it may have changed where it lay. `None`, and taken away, when it is damaged.
    async fn read_whole(&self, digest: &Digest, found: Found) -> Option<Bytes> {
        let verified = found.verified;
        let reading = async {
            let bytes = found.clone().read().await?;
            if !verified && Digest::of(digest.algorithm(), &bytes) != *digest {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the content does not match its digest"));
            }
            Ok(bytes)
        };
        match reading.await {
            Ok(bytes) => {
                if !verified {
                    self.tiers.mark_verified(digest, &found);
                }
                Some(bytes)
            }
            Err(error) => {
                tracing::warn!(%digest, %error, "a cached manifest is damaged: it is fetched again");
                self.tiers.quarantine(digest).await;
                None
            }
        }
    }

    /// Takes in a manifest that may be read in a repository from the bucket that edges share, and verifies it.
    async fn manifest_in_bucket(
        &self,
        repository: &Repository,
        digest: &Digest,
        announced: Option<ManifestHead>,
        asked: Moment,
    ) -> Option<Stored> {
        let object = self.tiers.object()?;
        let content_type = match (announced, self.link(repository, digest)) {
            (Some(head), _) => head.content_type,
            (None, Some(link)) => Some(link.media_type?),
            (None, None) => Some(self.adopt_link(repository, digest).await?.media_type?),
        };
        let stream = object.open(digest, 0).await.filter(|stream| stream.size <= MAX_MANIFEST_BYTES as u64)?;
        let bytes = stream.body.try_fold(BytesMut::new(), async |mut bytes, piece| {
            bytes.extend_from_slice(&piece);
            Ok(bytes)
        });
        let bytes = bytes.await.ok()?.freeze();
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            object.distrust(digest).await;
            return None;
        }
        let stored =
            self.take_in(repository, FetchedManifest { bytes, content_type, stale: None }, Some(*digest), asked).await.ok()?;
        Some(Stored { from_bucket: true, ..stored })
    }

    /// Verifies what an upstream sent, keeps it and links it. `expected` is the digest that was asked for, if one was; `asked`
    /// is when: after a purge, it is not linked.
    pub(super) async fn take_in(
        &self,
        repository: &Repository,
        fetched: FetchedManifest,
        expected: Option<Digest>,
        asked: Moment,
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
        self.purges.record(asked, || {
            self.put_link(repository, &digest, link);
            self.superseding.taken_in(self.catalog.put_uses(&digest, named(&manifest).collect()));
            self.observer.taken_in(repository, &digest, bytes.len() as u64, &manifest);
        });
        self.announce(repository, &manifest);
        Ok(Stored { digest, media_type: manifest.media_type, bytes, from_bucket: false })
    }

    /// What a manifest names will be asked for next.
    fn announce(&self, repository: &Repository, manifest: &Manifest) {
        for digest in manifest.manifests.iter().filter_map(digest_of) {
            self.negative.announce(repository, negative::Wanted::Manifest(Reference::Digest(digest)));
        }
        for digest in manifest.config.iter().chain(&manifest.layers).filter_map(digest_of) {
            self.negative.announce(repository, negative::Wanted::Blob(digest));
        }
    }
}

/// What a manifest names: the manifests of an index; configuration and layers of an image.
fn named(manifest: &Manifest) -> impl Iterator<Item = Digest> {
    manifest.manifests.iter().chain(&manifest.config).chain(&manifest.layers).filter_map(digest_of)
}

fn digest_of(descriptor: &Descriptor) -> Option<Digest> {
    descriptor.digest().as_ref().parse().ok()
}
