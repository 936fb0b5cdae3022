//! Blobs.

use super::{Blob, Proxied, RegistryError, RegistryErrorKind, Shared, negative::Wanted, repository};
use crate::{
    catalog::{Link, Repository},
    fill::{Follower, Opened, Source},
    oci::Digest,
    telemetry::{CacheStatus, MissReason, TierName},
    tiers::Found,
    upstream::Target,
};

/// How often a transfer that was started from another repository may fail before its failure is taken for this one's: it
/// says nothing about what this repository's own upstream has.
const FOREIGN_FAILURES: usize = 3;

impl Proxied {
    /// Opens a blob. Returns as soon as it is known that the bytes will come; for small ones
    /// ([`crate::fill::VERIFY_FIRST`]) only once they are verified. Dropping the future or the blob harms nobody else.
    ///
    /// # Errors
    /// `BlobUnknown` when the repository has no such blob; what the upstream failed with otherwise.
    pub(in crate::registry) async fn blob(&self, target: &Target, digest: &Digest) -> Result<Blob, RegistryError> {
        let shared = &*self.shared;
        let repository = repository(target);
        let link = shared.blob_link(&repository, digest);
        if let Some(link) = &link {
            if let Some(found) = shared.linked_content(link, digest).await {
                return Ok(Blob::hit(found));
            }
            // A transfer that is not under way any more may have landed since the tiers were looked through.
            if !shared.fills.is_under_way(digest)
                && let Some(found) = shared.linked_content(link, digest).await
            {
                return Ok(Blob::hit(found));
            }
        } else {
            shared.check_negative(&repository, digest)?;
            if !shared.tiers.contains(digest).await
                && let Some(follower) = shared.fills.join_own(digest, source(target))
            {
                return shared.follow(follower, &repository, digest, MissReason::Absent).await;
            }
            // A transfer for this very repository may have landed since its link was looked for.
            if shared.blob_link(&repository, digest).is_none() {
                self.ask_leave(target, &repository, digest).await?;
            }
            if let Some(found) = shared.tiers.lookup(digest).await {
                return Ok(Blob::found(found, CacheStatus::Miss(MissReason::Unlinked)));
            }
        }
        shared.fill(target, &repository, digest, MissReason::Absent).await
    }

    /// The size of a blob and how it was found; never transfers it.
    ///
    /// # Errors
    /// As [`Self::blob`].
    pub(in crate::registry) async fn blob_head(
        &self,
        target: &Target,
        digest: &Digest,
    ) -> Result<(Option<u64>, CacheStatus), RegistryError> {
        let shared = &*self.shared;
        let repository = repository(target);
        match shared.blob_link(&repository, digest) {
            Some(link) => {
                if let Some(found) = shared.linked_content(&link, digest).await {
                    return Ok((Some(found.size), CacheStatus::Hit(found.tier)));
                }
                if let (Some(size), true) = (link.size, shared.fills.is_under_way(digest)) {
                    return Ok((Some(size), CacheStatus::Hit(TierName::Catalog)));
                }
            }
            None => shared.check_negative(&repository, digest)?,
        }
        let (size, joined) = self.ask_size(target, &repository, digest).await?;
        Ok((size, if joined { CacheStatus::Collapsed } else { CacheStatus::Miss(MissReason::NotKept) }))
    }

    /// The bytes are here or on their way, but not for this repository: the upstream is asked for its leave first. That
    /// costs the same round trip as a blob that is not here at all, so that nobody can tell the two apart.
    async fn ask_leave(&self, target: &Target, repository: &Repository, digest: &Digest) -> Result<(), RegistryError> {
        self.ask_size(target, repository, digest).await?;
        self.shared.put_link(repository, digest, Link { size: None, media_type: None });
        Ok(())
    }

    async fn ask_size(
        &self,
        target: &Target,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(Option<u64>, bool), RegistryError> {
        let (proxied, target, asked_for, digest) = (self.clone(), target.clone(), repository.clone(), *digest);
        let question = move || async move {
            let answer = target.route.origin.blob_size(&target.repository, &digest).await;
            answer.map_err(|error| {
                let error = RegistryError::from_upstream(error, RegistryErrorKind::BlobUnknown);
                proxied.shared.remember_absence(&asked_for, &digest, &error);
                error
            })
        };
        let (size, joined) = self.shared.blob_questions.run((repository.clone(), digest), question).await?;
        Ok((size?, joined))
    }
}

impl Shared {
    /// The link of a blob. That a repository has a manifest of this digest says nothing about a blob.
    fn blob_link(&self, repository: &Repository, digest: &Digest) -> Option<Link> {
        self.link(repository, digest).filter(|link| link.media_type.is_none())
    }

    /// What the tiers hold of a linked blob; a content of another length than the link says is damaged.
    async fn linked_content(&self, link: &Link, digest: &Digest) -> Option<Found> {
        let found = self.tiers.lookup(digest).await?;
        if link.size.is_some_and(|size| size != found.size) {
            tracing::warn!(%digest, "removed a content of the wrong length");
            self.tiers.remove(digest).await;
            return None;
        }
        Some(found)
    }

    async fn fill(
        &self,
        target: &Target,
        repository: &Repository,
        digest: &Digest,
        reason: MissReason,
    ) -> Result<Blob, RegistryError> {
        let source = source(target);
        let mut follower = self.fills.join(digest, source.clone());
        for _ in 0..FOREIGN_FAILURES {
            if follower.is_of(&source) || follower.opened().await.is_ok() {
                break;
            }
            follower = self.fills.join(digest, source.clone());
        }
        self.follow(follower, repository, digest, reason).await
    }

    /// Waits for the upstream's answer, which is also its leave to read the blob in this repository.
    async fn follow(
        &self,
        mut follower: Follower,
        repository: &Repository,
        digest: &Digest,
        reason: MissReason,
    ) -> Result<Blob, RegistryError> {
        let Opened { size, kept } = match follower.opened().await {
            Ok(opened) => opened,
            Err(error) => {
                let error = RegistryError::from(error);
                self.remember_absence(repository, digest, &error);
                return Err(error);
            }
        };
        let status = match (kept, follower.joined()) {
            (false, _) => CacheStatus::Miss(MissReason::SpoolFailed),
            (true, true) => CacheStatus::Collapsed,
            (true, false) => CacheStatus::Miss(reason),
        };
        Ok(Blob::following(follower, size, status))
    }

    fn check_negative(&self, repository: &Repository, digest: &Digest) -> Result<(), RegistryError> {
        if self.negative.knows(repository, Wanted::Blob(*digest), self.policy.load().negative_ttl) {
            return Err(RegistryError::remembered(RegistryErrorKind::BlobUnknown));
        }
        Ok(())
    }

    fn remember_absence(&self, repository: &Repository, digest: &Digest, error: &RegistryError) {
        if error.kind == RegistryErrorKind::BlobUnknown {
            self.negative.add(repository, Wanted::Blob(*digest));
        }
    }
}

/// Where a repository's blobs come from.
fn source(target: &Target) -> Source {
    Source { origin: target.route.origin.clone(), route: target.route.name.clone(), repository: target.repository.clone() }
}
