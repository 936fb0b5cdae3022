//! Tags: what they name, for how long that is believed, and what happens when the upstream cannot say.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Looked, ManifestInfo, Proxied, RegistryError, RegistryErrorKind, Shared, negative::Wanted, purges::Moment};
use crate::{
    catalog::{Repository, TagKey, TagRow},
    config::OnDelete,
    oci::{Digest, Reference, Tag},
    telemetry::{CacheStatus, MissReason, TierName},
    upstream::{Staleness, Target},
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
        let (policy, rules) = (shared.policy.load(), shared.rules.load());
        let tag_ttl = rules.tag_ttl(repository);
        let key = TagKey { repository: repository.clone(), tag: tag.clone() };
        let known = shared.tag(&key);
        if let Some(row) = &known
            && (row.age().is_some_and(|age| age < tag_ttl) || rules.is_immutable(&key))
        {
            return Ok(answer(row.clone(), CacheStatus::Hit(TierName::Catalog), None));
        }
        if known.is_none() && shared.negative.knows(repository, wanted(tag), policy.negative_ttl) {
            return Err(RegistryError::remembered(RegistryErrorKind::ManifestUnknown));
        }
        // A row from the future, after the clock was set back, may be served while the upstream is away.
        let longest = tag_ttl.saturating_add(policy.stale_if_error);
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
                shared.slow_tags.insert(key.clone(), ());
                RegistryError::slow()
            }
        };
        let keep_deleted = error.kind == RegistryErrorKind::ManifestUnknown && policy.on_delete == OnDelete::Keep;
        match servable {
            Some(row) if error.allows_stale() || keep_deleted => Ok(answer(row, CacheStatus::Stale(error.stale_reason()), None)),
            None if error.allows_stale() => match shared.adopt_tag(&key, longest).await {
                Some(row) => Ok(answer(row, CacheStatus::Stale(error.stale_reason()), None)),
                None => Err(error),
            },
            _ => Err(error),
        }
    }

    /// Asks the upstream what a tag names by now, as for a client that has found it stale, and together with those who ask: its row
    /// is as fresh as after any question. By HEAD, unless the upstream does not tell enough by it.
    pub(in crate::registry) async fn look(
        &self,
        target: &Target,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Looked, RegistryError> {
        let key = TagKey { repository: repository.clone(), tag: tag.clone() };
        let known = self.shared.tag(&key);
        if known.is_some() && self.shared.rules.load().is_immutable(&key) {
            return Ok(Looked::Fixed);
        }
        let (resolved, _) = self.ask(target, key, known, Need::Head).await?;
        Ok(match resolved.status {
            CacheStatus::Stale(_) => Looked::Stale,
            _ if resolved.bytes.is_some() => Looked::ByGet(resolved.row.digest),
            _ => Looked::Names(resolved.row.digest),
        })
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
            let asked = proxied.shared.purges.now();
            let old = known.as_ref().map(|row| row.digest);
            let result = proxied.revalidate(&target, &tag_key, known, need, asked).await;
            proxied.shared.note(&tag_key, old, &result, asked).await;
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
        asked: Moment,
    ) -> Result<Resolved, RegistryError> {
        let origin = &target.route.origin;
        let reference = Reference::Tag(key.tag.clone());
        let unknown = |error| RegistryError::from_upstream(error, RegistryErrorKind::ManifestUnknown);
        let status = CacheStatus::Miss(if known.is_some() { MissReason::Changed } else { MissReason::Absent });
        if known.is_some() || need == Need::Head {
            let head = origin.manifest_head(&target.repository, &reference).await.map_err(unknown)?;
            let stale = head.as_ref().and_then(|head| head.stale);
            match (head, known) {
                (Some(head), Some(row)) if head.digest == row.digest => {
                    let row = TagRow { confirmed: SystemTime::now(), ..row };
                    return Ok(Resolved { row, status: CacheStatus::Revalidated, bytes: None }.marked(stale));
                }
                (Some(head), _) if need == Need::Bytes => {
                    let digest = head.digest;
                    let (stored, _) = self.fetch(target, &key.repository, &digest, Some(head)).await?;
                    return Ok(Resolved::of(stored, status).marked(stale));
                }
                (Some(head), _) => {
                    if let (Some(media_type), Some(size)) = (head.content_type, head.size) {
                        let row = TagRow { digest: head.digest, media_type, size, confirmed: SystemTime::now() };
                        return Ok(Resolved { row, status, bytes: None }.marked(stale));
                    }
                }
                (None, _) => {}
            }
        }
        let fetched = origin.manifest(&target.repository, &reference).await.map_err(unknown)?;
        let stale = fetched.stale;
        let stored = self.shared.take_in(&key.repository, fetched, None, asked).await?;
        Ok(Resolved::of(stored, status).marked(stale))
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

    /// What a parent knows only from its cache was confirmed when the parent last heard it, and is as stale here as there.
    fn marked(mut self, stale: Option<Staleness>) -> Self {
        if let Some(Staleness { reason, age }) = stale {
            let now = self.row.confirmed;
            self.row.confirmed = now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
            self.status = CacheStatus::Stale(reason);
        }
        self
    }
}

impl Shared {
    fn tag(&self, key: &TagKey) -> Option<TagRow> {
        self.catalog.tag(key).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read a tag");
            None
        })
    }

    /// What a tag names as another edge has told it, where this edge knows nothing that may be served. It is this edge's too from
    /// now on, as old as it is.
    async fn adopt_tag(&self, key: &TagKey, longest: Duration) -> Option<TagRow> {
        let asked = self.purges.now();
        let row = self.records.tag(key).await?;
        if row.age().is_some_and(|age| age >= longest) {
            return None;
        }
        self.purges.record(asked, || {
            drop(self.catalog.put_tag(key, row.clone()));
            self.observer.tagged(key, None, row.digest);
        });
        Some(row)
    }

    /// Keeps what the upstream said of a tag that named `old`, unless there was a purge since it was asked.
    async fn note(&self, key: &TagKey, old: Option<Digest>, result: &Result<Resolved, RegistryError>, asked: Moment) {
        self.slow_tags.invalidate(key);
        match result {
            Ok(Resolved { row, .. }) => {
                self.negative.announce(&key.repository, Wanted::Manifest(Reference::Digest(row.digest)));
                self.purges.record(asked, || {
                    self.records.put_tag(key, row);
                    let noted = self.catalog.put_tag(key, row.clone());
                    self.observer.tagged(key, old, row.digest);
                    // Nobody waits until it is durable: a row that a crash takes away is asked for again.
                    if let Some(old) = old.filter(|old| *old != row.digest) {
                        self.superseding.tag_moved(key.clone(), old, noted);
                    }
                });
            }
            Err(error) if error.kind == RegistryErrorKind::ManifestUnknown => {
                self.negative.add(&key.repository, wanted(&key.tag));
                if self.policy.load().on_delete == OnDelete::Follow {
                    if old.is_some() {
                        self.records.forget_tag(key);
                    }
                    match self.catalog.remove_tag(key).await {
                        Ok(()) if old.is_some() => self.tell_untagged(key),
                        Ok(()) => {}
                        Err(error) => tracing::error!(%error, "cannot forget a tag"),
                    }
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
