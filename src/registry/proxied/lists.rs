//! Lists that the upstream keeps: tags and referrers. Held in memory for a while, and longer when the upstream is away.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache;
use serde_json::Value;
use tokio::runtime::Handle;

use super::{Listing, Proxied, RegistryError, RegistryErrorKind, repository};
use crate::{
    catalog::Repository,
    coalesce::Coalesce,
    oci::Digest,
    telemetry::{CacheStatus, MissReason, TierName},
    upstream::{Target, UpstreamError, UpstreamErrorKind},
};

/// Bytes of lists held at most, per kind.
const CAPACITY: u64 = 32 << 20;

/// The lists of one server.
pub(super) struct Lists {
    tags: Kept<Repository, String>,
    referrers: Kept<(Repository, Digest), Value>,
}

impl Lists {
    pub(super) fn new(handle: Handle) -> Self {
        let length_of_value = |value: &Value| value.to_string().len();
        Self { tags: Kept::new(handle.clone(), String::len), referrers: Kept::new(handle, length_of_value) }
    }
}

impl Lists {
    /// Forgets all lists of the repositories that `meant` says yes to.
    pub(super) fn forget(&self, meant: impl Fn(&Repository) -> bool) {
        let tags: Vec<_> = self.tags.cache.iter().map(|(key, _)| key).filter(|key| meant(key)).collect();
        tags.iter().for_each(|key| self.tags.cache.invalidate(&**key));
        let referrers: Vec<_> = self.referrers.cache.iter().map(|(key, _)| key).filter(|key| meant(&key.0)).collect();
        referrers.iter().for_each(|key| self.referrers.cache.invalidate(&**key));
    }
}

impl Proxied {
    /// All tags of a repository, in byte order.
    ///
    /// # Errors
    /// `NameUnknown` when the upstream has no such repository; what it failed with, when nothing stale helps.
    pub(in crate::registry) async fn tags(&self, target: &Target) -> Result<Listing<String>, RegistryError> {
        let origin = target.route.origin.clone();
        let name = target.repository.clone();
        let ask = async move || {
            let mut tags = origin.tags(&name).await?;
            tags.sort_unstable();
            tags.dedup();
            Ok(tags)
        };
        self.list(&self.shared.lists.tags, repository(target), ask).await
    }

    /// All descriptors that refer to `subject`; empty when there are none or the repository is unknown.
    ///
    /// # Errors
    /// What the upstream failed with, when nothing stale helps.
    pub(in crate::registry) async fn referrers(
        &self,
        target: &Target,
        subject: &Digest,
    ) -> Result<Listing<Value>, RegistryError> {
        let origin = target.route.origin.clone();
        let (name, digest) = (target.repository.clone(), *subject);
        let ask = async move || match origin.referrers(&name, &digest).await {
            Err(error) if error.kind == UpstreamErrorKind::NotFound => Ok(Vec::new()),
            result => result,
        };
        self.list(&self.shared.lists.referrers, (repository(target), *subject), ask).await
    }

    async fn list<K, T, A, F>(&self, kept: &Kept<K, T>, key: K, ask: A) -> Result<Listing<T>, RegistryError>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
        T: Send + Sync + 'static,
        A: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Vec<T>, UpstreamError>> + Send + 'static,
    {
        let policy = self.shared.policy.load();
        let known = kept.cache.get(&key);
        if let Some(list) = &known {
            // An empty list may soon not be empty: it is believed no longer than an absence.
            let ttl = if list.entries.is_empty() { policy.list_ttl.min(policy.negative_ttl) } else { policy.list_ttl };
            if list.confirmed.elapsed() < ttl {
                return Ok(list.listing(CacheStatus::Hit(TierName::Memory)));
            }
        }
        let (cache, kept_as) = (kept.cache.clone(), key.clone());
        let work = move || async move {
            let entries = ask().await.map_err(|error| RegistryError::from_upstream(error, RegistryErrorKind::NameUnknown))?;
            let list = List { entries: entries.into(), confirmed: Instant::now() };
            cache.insert(kept_as, list.clone());
            Ok(list)
        };
        let longest = policy.list_ttl.saturating_add(policy.stale_if_error);
        let servable = known.filter(|list| list.confirmed.elapsed() < longest);
        let patience = if servable.is_some() { policy.stale_patience } else { Duration::MAX };
        let answer = match tokio::time::timeout(patience, kept.questions.run(key, work)).await {
            Ok(answer) => answer?,
            Err(_) => (Err(RegistryError::slow()), true),
        };
        match (answer, servable) {
            ((Ok(list), true), _) => Ok(list.listing(CacheStatus::Collapsed)),
            ((Ok(list), false), _) => Ok(list.listing(CacheStatus::Miss(MissReason::Absent))),
            ((Err(error), _), Some(list)) if error.allows_stale() => Ok(list.listing(CacheStatus::Stale(error.stale_reason()))),
            ((Err(error), _), _) => Err(error),
        }
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").finish_non_exhaustive()
    }
}

/// One kind of list.
struct Kept<K, T> {
    cache: Cache<K, List<T>>,
    questions: Coalesce<K, Result<List<T>, RegistryError>>,
}

impl<K, T> Kept<K, T>
where
    K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    fn new(handle: Handle, length: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .weigher(move |_, list: &List<T>| {
                let bytes: usize = list.entries.iter().map(|entry| length(entry) + 64).sum();
                u32::try_from(bytes + 256).unwrap_or(u32::MAX)
            })
            .build();
        Self { cache, questions: Coalesce::new(handle) }
    }
}

struct List<T> {
    entries: Arc<[T]>,
    confirmed: Instant,
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), confirmed: self.confirmed }
    }
}

impl<T> List<T> {
    fn listing(&self, status: CacheStatus) -> Listing<T> {
        Listing { entries: self.entries.clone(), status, age: self.confirmed.elapsed() }
    }
}
