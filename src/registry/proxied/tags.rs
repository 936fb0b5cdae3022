//! Tags: what they name, for how long that is believed, and what happens when the upstream cannot say.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{ManifestInfo, Proxied, RegistryError, RegistryErrorKind, Shared, negative::Wanted};
use crate::{
    catalog::{Repository, TagKey, TagRow},
    config::OnDelete,
    oci::{Reference, Tag},
    telemetry::{CacheStatus, MissReason, TierName},
    upstream::Target,
};

/// What whoever resolves a tag is going to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Digest, media type and length: a HEAD of the upstream is enough.
    Head,
    /// The manifest too.
    Bytes,
}

/// What the upstream said about a tag.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    row: TagRow,
    status: CacheStatus,
    /// The manifest, when it came along.
    bytes: Option<Bytes>,
}

impl Proxied {
    /// Tells what a tag names. All who ask while the upstream is being asked get the same answer.
    pub(super) async fn resolve(
        &self,
        target: &Target,
        repository: &Repository,
        tag: &Tag,
        need: Need,
    ) -> Result<(ManifestInfo, Option<Bytes>), RegistryError> {
        let shared = &*self.shared;
        let policy = shared.policy.load();
        let key = TagKey { repository: repository.clone(), tag: tag.clone() };
        let known = shared.tag(&key);
        if let Some(row) = &known
            && row.age().is_some_and(|age| age < policy.tag_ttl)
        {
            return Ok(answer(row.clone(), CacheStatus::Hit(TierName::Catalog), None));
        }
        if known.is_none() && shared.negative.knows(repository, wanted(tag), policy.negative_ttl) {
            return Err(RegistryError::remembered(RegistryErrorKind::ManifestUnknown));
        }
        // A row from the future, after the clock was set back, may be served while the upstream is away.
        let longest = policy.tag_ttl.saturating_add(policy.stale_if_error);
        let servable = known.clone().filter(|row| row.age().is_none_or(|age| age < longest));
        let patience = match &servable {
            None => Duration::MAX,
            Some(_) if shared.slow_tags.contains_key(&key) => Duration::ZERO,
            Some(_) => policy.stale_patience,
        };
        let error = match tokio::time::timeout(patience, self.ask(target, key.clone(), known, need)).await {
            Ok(Ok((resolved, joined))) => {
                let status = match resolved.status {
                    CacheStatus::Miss(_) if joined => CacheStatus::Collapsed,
                    status => status,
                };
                return Ok(answer(resolved.row, status, resolved.bytes));
            }
            Ok(Err(error)) => error,
            Err(_) => {
                shared.slow_tags.insert(key, ());
                RegistryError::slow()
            }
        };
        let keep_deleted = error.kind == RegistryErrorKind::ManifestUnknown && policy.on_delete == OnDelete::Keep;
        match servable {
            Some(row) if error.allows_stale() || keep_deleted => Ok(answer(row, CacheStatus::Stale(error.stale_reason()), None)),
            _ => Err(error),
        }
    }

    /// Asks the upstream, once for everyone.
    async fn ask(
        &self,
        target: &Target,
        key: TagKey,
        known: Option<TagRow>,
        need: Need,
    ) -> Result<(Resolved, bool), RegistryError> {
        let (proxied, target, tag_key) = (self.clone(), target.clone(), key.clone());
        let work = move || async move {
            let result = proxied.revalidate(&target, &tag_key, known, need).await;
            proxied.shared.note(&tag_key, &result).await;
            result
        };
        let (resolved, joined) = self.shared.tag_questions.run(key, work).await?;
        Ok((resolved?, joined))
    }

    /// A HEAD costs upstream's budget nothing, so it comes first, unless the manifest is needed in any case.
    async fn revalidate(
        &self,
        target: &Target,
        key: &TagKey,
        known: Option<TagRow>,
        need: Need,
    ) -> Result<Resolved, RegistryError> {
        let origin = &target.route.origin;
        let reference = Reference::Tag(key.tag.clone());
        let unknown = |error| RegistryError::from_upstream(error, RegistryErrorKind::ManifestUnknown);
        let status = CacheStatus::Miss(if known.is_some() { MissReason::Changed } else { MissReason::Absent });
        if known.is_some() || need == Need::Head {
            let head = origin.manifest_head(&target.repository, &reference).await.map_err(unknown)?;
            match (head, known) {
                (Some(head), Some(row)) if head.digest == row.digest => {
                    let row = TagRow { confirmed: SystemTime::now(), ..row };
                    return Ok(Resolved { row, status: CacheStatus::Revalidated, bytes: None });
                }
                (Some(head), _) if need == Need::Bytes => {
                    let (stored, _) = self.fetch(target, &key.repository, &head.digest).await?;
                    return Ok(Resolved::of(stored, status));
                }
                (Some(head), _) => {
                    if let (Some(media_type), Some(size)) = (head.content_type, head.size) {
                        let row = TagRow { digest: head.digest, media_type, size, confirmed: SystemTime::now() };
                        return Ok(Resolved { row, status, bytes: None });
                    }
                }
                (None, _) => {}
            }
        }
        let fetched = origin.manifest(&target.repository, &reference).await.map_err(unknown)?;
        let stored = self.shared.take_in(&key.repository, fetched, None).await?;
        Ok(Resolved::of(stored, status))
    }
}

impl Resolved {
    fn of(stored: super::Stored, status: CacheStatus) -> Self {
        let row = TagRow {
            digest: stored.digest,
            media_type: stored.media_type,
            size: stored.bytes.len() as u64,
            confirmed: SystemTime::now(),
        };
        Self { row, status, bytes: Some(stored.bytes) }
    }
}

impl Shared {
    fn tag(&self, key: &TagKey) -> Option<TagRow> {
        self.catalog.tag(key).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read a tag");
            None
        })
    }

    /// Keeps what the upstream said.
    async fn note(&self, key: &TagKey, result: &Result<Resolved, RegistryError>) {
        self.slow_tags.invalidate(key);
        match result {
            Ok(Resolved { row, .. }) => {
                self.negative.announce(&key.repository, Wanted::Manifest(Reference::Digest(row.digest)));
                // Nobody waits until it is durable: a row that a crash takes away is asked for again.
                drop(self.catalog.put_tag(key, row.clone()));
            }
            Err(error) if error.kind == RegistryErrorKind::ManifestUnknown => {
                self.negative.add(&key.repository, wanted(&key.tag));
                if self.policy.load().on_delete == OnDelete::Follow
                    && let Err(error) = self.catalog.remove_tag(key).await
                {
                    tracing::error!(%error, "cannot forget a tag");
                }
            }
            Err(_) => {}
        }
    }
}

fn wanted(tag: &Tag) -> Wanted {
    Wanted::Manifest(Reference::Tag(tag.clone()))
}

fn answer(row: TagRow, status: CacheStatus, bytes: Option<Bytes>) -> (ManifestInfo, Option<Bytes>) {
    let age = Some(row.age().unwrap_or_default());
    (ManifestInfo { digest: row.digest, media_type: row.media_type, size: row.size, status, age }, bytes)
}
