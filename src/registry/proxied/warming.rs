//! Having contents here that nobody has asked for yet. The rule of links holds as for any pull.

use super::{Proxied, RegistryError, RegistryErrorKind, blobs::source, negative, repository, tags::Need};
use crate::{
    events::ManifestSeen,
    fill::Leave,
    oci::{Digest, MAX_MANIFEST_BYTES, Reference},
    registry::{Warmed, Wish},
    telemetry::CacheStatus,
    tiers::Wanted,
    upstream::Target,
};

impl Proxied {
    /// Whether a content is here and has a link.
    pub(in crate::registry) async fn is_warm(&self, target: &Target, digest: &Digest) -> bool {
        self.shared.link(&repository(target), digest).is_some() && self.shared.tiers.contains(digest).await
    }

    /// Number of transfers that clients wait for.
    pub(in crate::registry) fn demand(&self) -> usize {
        self.shared.fills.demand()
    }

    /// Bytes per second of transfers of what is expected later.
    pub(in crate::registry) fn set_prefetch_rate(&self, rate: u64) {
        self.shared.fills.set_rate(rate);
    }

    /// Has a blob here.
    pub(in crate::registry) async fn warm_blob(
        &self,
        target: &Target,
        digest: &Digest,
        wanted: &Wanted,
        wish: &Wish,
    ) -> Result<Warmed, RegistryError> {
        let shared = &*self.shared;
        let repository = repository(target);
        let link = shared.own_or_adopted_link(&repository, digest).await?;
        let is_here = shared.is_here(digest).await;
        if !is_here {
            shared.tiers.expect(digest, wanted);
        }
        let coming = match link {
            Some(_) if is_here => return Ok(Warmed::Here),
            Some(link) => shared.fills.bring(digest, source(target, Leave::Given { size: link.size }), wish.haste, wish.most),
            None => {
                let own = if is_here {
                    None
                } else {
                    shared.fills.bring_own(digest, source(target, Leave::ToBeAsked), wish.haste, wish.most)
                };
                match own {
                    Some(coming) => coming,
                    // The bytes are here or on their way because of another repository: the leave is asked for first.
                    None => {
                        self.ask_leave(target, &repository, digest).await?;
                        if shared.is_here(digest).await {
                            return Ok(Warmed::Here);
                        }
                        shared.fills.bring(digest, source(target, Leave::Given { size: None }), wish.haste, wish.most)
                    }
                }
            }
        };
        let joined = coming.joined();
        let bytes = coming.landed().await?;
        Ok(if joined { Warmed::Joined } else { Warmed::Fetched { bytes, pulls: 0 } })
    }

    /// Has the leave to read a blob that is here because of other repositories.
    pub(in crate::registry) async fn warm_leave(&self, target: &Target, digest: &Digest) -> Result<(), RegistryError> {
        let (shared, repository) = (&*self.shared, repository(target));
        if shared.tiers.contains(digest).await && shared.own_or_adopted_link(&repository, digest).await?.is_none() {
            self.ask_leave(target, &repository, digest).await?;
        }
        Ok(())
    }

    /// Has a manifest here, and reads it.
    pub(in crate::registry) async fn warm_manifest(
        &self,
        target: &Target,
        reference: &Reference,
        wanted: &Wanted,
    ) -> Result<(Warmed, ManifestSeen), RegistryError> {
        let shared = &*self.shared;
        let repository = repository(target);
        let seen = |digest, bytes: &[u8], media_type: &str| {
            ManifestSeen::read(shared.observer.mirrored(&repository), digest, bytes, Some(media_type))
                .map_err(|error| RegistryError::bad_answer(error.to_string()))
        };
        let fetched = |bytes: usize, pulls| Warmed::Fetched { bytes: bytes as u64, pulls };
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => {
                let (info, bytes) = self.resolve(target, &repository, tag, Need::Bytes).await?;
                if let Some(bytes) = bytes {
                    let pulls = u64::from(matches!(info.status, CacheStatus::Miss(_)));
                    let warmed = if info.status == CacheStatus::Collapsed { Warmed::Joined } else { fetched(bytes.len(), pulls) };
                    return Ok((warmed, seen(info.digest, &bytes, info.media_type.as_str())?));
                }
                info.digest
            }
        };
        if let Some((media_type, _)) = shared.linked_manifest(&repository, &digest)
            && let Some(bytes) = shared.tiers.peek(&digest, MAX_MANIFEST_BYTES as u64).await
        {
            return Ok((Warmed::Here, seen(digest, &bytes, media_type.as_str())?));
        }
        let absent = negative::Wanted::Manifest(Reference::Digest(digest));
        if shared.negative.knows(&repository, absent, shared.policy.load().negative_ttl) {
            return Err(RegistryError::remembered(RegistryErrorKind::ManifestUnknown));
        }
        shared.tiers.expect(&digest, wanted);
        let (stored, joined) = self.fetch(target, &repository, &digest, None).await?;
        let warmed = if joined { Warmed::Joined } else { fetched(stored.bytes.len(), u64::from(!stored.from_bucket)) };
        Ok((warmed, seen(digest, &stored.bytes, stored.media_type.as_str())?))
    }
}
