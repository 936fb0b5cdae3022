//! Blobs.

use super::{Blob, BlobLocation, Proxied, RegistryError, RegistryErrorKind, Shared, negative, repository};
use crate::{
    catalog::{Link, Repository},
    fill::{Follower, Leave, Opened, Source},
    oci::Digest,
    telemetry::{CacheStatus, MissReason, TierName},
    tiers::{Found, Wanted},
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
    pub(in crate::registry) async fn blob(
        &self,
        target: &Target,
        digest: &Digest,
        wanted: &Wanted,
    ) -> Result<Blob, RegistryError> {
        let shared = &*self.shared;
        let repository = repository(target);
        let link = shared.own_or_adopted_link(&repository, digest).await?;
        let mut under_way = None;
        if let Some(link) = &link {
            if let Some(blob) = shared.linked_blob(link, target, digest, wanted).await {
                return Ok(blob);
            }
            // A transfer that is not under way any more may have landed since the tiers were looked through; one that is must not
            // land before it is joined.
            under_way = shared.fills.join_under_way(digest);
            if under_way.is_none()
                && let Some(blob) = shared.linked_blob(link, target, digest, wanted).await
            {
                return Ok(blob);
            }
            shared.tiers.expect(digest, wanted);
        } else {
            shared.tiers.expect(digest, wanted);
            if !shared.is_here(digest).await
                && let Some(follower) = shared.fills.join_own(digest, source(target, Leave::ToBeAsked))
            {
                return shared.follow(follower, &repository, digest, MissReason::Absent).await;
            }
            // A transfer for this very repository may have landed since its link was looked for.
            if shared.blob_link(&repository, digest).is_none() {
                self.ask_leave(target, &repository, digest).await?;
            }
            if let Some(found) = shared.tiers.lookup(digest, wanted).await
                && let Some(blob) = shared.checked(found, target, digest, CacheStatus::Miss(MissReason::Unlinked)).await
            {
                return Ok(blob);
            }
        }
        let leave = Leave::Given { size: link.and_then(|link| link.size) };
        let source = source(target, leave);
        let follower = under_way.unwrap_or_else(|| shared.fills.join(digest, source.clone()));
        shared.fill(follower, source, &repository, digest, MissReason::Absent).await
    }

    /// Where else a linked blob of `least` bytes or more can be read.
    pub(in crate::registry) async fn blob_location(&self, target: &Target, digest: &Digest, least: u64) -> Option<BlobLocation> {
        let shared = &*self.shared;
        let object = shared.tiers.object()?;
        let size = shared.blob_link(&repository(target), digest)?.size.filter(|size| *size >= least)?;
        let url = object.location(digest, size).await?;
        Some(BlobLocation { url, size })
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
        if let Some(link) = shared.own_or_adopted_link(&repository, digest).await? {
            // Asked before the tiers: a transfer that lands in between is found in them.
            let verified = shared.fills.verified_size(digest);
            if let Some(found) = shared.linked_content(&link, digest, &Wanted::default()).await {
                return Ok((Some(found.size), CacheStatus::Hit(found.tier)));
            }
            if let Some(size) = verified.or_else(|| link.size.filter(|_| shared.fills.is_under_way(digest))) {
                return Ok((Some(size), CacheStatus::Hit(TierName::Catalog)));
            }
            if let Some(object) = shared.tiers.object()
                && let Some(size) = object.size(digest).await
                && link.size.is_none_or(|expected| expected == size)
            {
                return Ok((Some(size), CacheStatus::Hit(TierName::Object)));
            }
        }
        let (size, joined) = self.ask_size(target, &repository, digest).await?;
        Ok((size, if joined { CacheStatus::Collapsed } else { CacheStatus::Miss(MissReason::NotKept) }))
    }

    /// The bytes are here or on their way, but not for this repository: the upstream is asked for its leave first. That
    /// costs the same round trip as a blob that is not here at all, so that nobody can tell the two apart.
    pub(super) async fn ask_leave(&self, target: &Target, repository: &Repository, digest: &Digest) -> Result<(), RegistryError> {
        let asked = self.shared.purges.now();
        self.ask_size(target, repository, digest).await?;
        let link = Link { size: None, media_type: None };
        self.shared.purges.record(asked, || self.shared.put_link(repository, digest, link));
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

    /// The link of a blob: this edge's own or, where it has none, another edge's.
    ///
    /// # Errors
    /// When it is remembered that the repository has no such blob.
    pub(super) async fn own_or_adopted_link(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Link>, RegistryError> {
        if let Some(link) = self.blob_link(repository, digest) {
            return Ok(Some(link));
        }
        self.check_negative(repository, digest)?;
        Ok(self.adopt_link(repository, digest).await.filter(|link| link.media_type.is_none()))
    }

    /// Whether a content is here. A transfer that is not under way any more may have landed since the tiers were looked through.
    pub(super) async fn is_here(&self, digest: &Digest) -> bool {
        self.tiers.contains(digest).await || (!self.fills.is_under_way(digest) && self.tiers.contains(digest).await)
    }

    async fn linked_blob(&self, link: &Link, target: &Target, digest: &Digest, wanted: &Wanted) -> Option<Blob> {
        let found = self.linked_content(link, digest, wanted).await?;
        let status = CacheStatus::Hit(found.tier);
        self.checked(found, target, digest, status).await
    }

    /// A content that was found, as it may be sent: one that may have changed where it lay is hashed while it is read, a small one
    /// before. `None` when that showed, in time, that it is not to be had from there.
    async fn checked(&self, found: Found, target: &Target, digest: &Digest, status: CacheStatus) -> Option<Blob> {
        if found.verified {
            return Some(Blob::found(found, status));
        }
        let source = source(target, Leave::Given { size: Some(found.size) });
        let mut follower = self.fills.verify(digest, found.clone(), source.clone());
        if !follower.is_verification() && follower.opened().await.is_err() {
            // A transfer was under way and came to nothing; the file is still here.
            follower = self.fills.verify(digest, found, source);
        }
        let Opened { size, .. } = follower.opened().await.ok()?;
        let status = if follower.is_verification() { status } else { CacheStatus::Collapsed };
        Some(Blob::following(follower, size, status))
    }

    /// What the tiers hold of a linked blob; a content of another length than the link says is damaged.
    async fn linked_content(&self, link: &Link, digest: &Digest, wanted: &Wanted) -> Option<Found> {
        let found = self.tiers.lookup(digest, wanted).await?;
        if link.size.is_some_and(|size| size != found.size) {
            tracing::warn!(%digest, "a content has the wrong length: it is not served");
            self.tiers.quarantine(digest).await;
            return None;
        }
        Some(found)
    }

    /// Follows a transfer that may be another repository's; when that one fails, one of this repository's own is tried.
    async fn fill(
        &self,
        mut follower: Follower,
        source: Source,
        repository: &Repository,
        digest: &Digest,
        reason: MissReason,
    ) -> Result<Blob, RegistryError> {
        for _ in 0..FOREIGN_FAILURES {
            if follower.is_of(&source) || follower.opened().await.is_ok() {
                break;
            }
            follower = self.fills.join(digest, source.clone());
        }
        self.follow(follower, repository, digest, reason).await
    }

    /// Waits until it is known that the blob will come. Where there was no leave to read it, the upstream's answer is that too.
    async fn follow(
        &self,
        mut follower: Follower,
        repository: &Repository,
        digest: &Digest,
        reason: MissReason,
    ) -> Result<Blob, RegistryError> {
        let Opened { size, kept, from_bucket } = match follower.opened().await {
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
            (true, false) if from_bucket => CacheStatus::Hit(TierName::Object),
            (true, false) => CacheStatus::Miss(reason),
        };
        Ok(Blob::following(follower, size, status))
    }

    fn check_negative(&self, repository: &Repository, digest: &Digest) -> Result<(), RegistryError> {
        if self.negative.knows(repository, negative::Wanted::Blob(*digest), self.policy.load().negative_ttl) {
            return Err(RegistryError::remembered(RegistryErrorKind::BlobUnknown));
        }
        Ok(())
    }

    fn remember_absence(&self, repository: &Repository, digest: &Digest, error: &RegistryError) {
        if error.kind == RegistryErrorKind::BlobUnknown {
            self.negative.add(repository, negative::Wanted::Blob(*digest));
        }
    }
}

/// Where a repository's blobs come from.
pub(super) fn source(target: &Target, leave: Leave) -> Source {
    let (origin, route) = (target.route.origin.clone(), target.route.name.clone());
    Source { origin, route, repository: target.repository.clone(), leave }
}
