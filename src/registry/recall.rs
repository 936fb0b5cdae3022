//! What is known here is told to whoever may have missed it: after a start, or when events were dropped.
//!
//! No upstream is asked, and nothing counts as wanted. One repository's rows and one manifest are in memory at a time.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;

use super::{
    Registry,
    observer::{MOST_CONFIG, Observer, config_read},
};
use crate::{
    catalog::{self, Catalog, CatalogError},
    events::{Event, ManifestSeen, Millis, Repository, What},
    oci::{Digest, MAX_MANIFEST_BYTES, MediaType, Tag},
    tiers::Tiers,
};

/// Repositories that are told of; nobody has more.
const MOST_REPOSITORIES: usize = 1_000_000;

/// Rows of one repository that are told of.
const MOST_ROWS: usize = 1_000_000;

/// Hosted repositories and manifests that are read at once.
const PAGE: usize = 1_000;

/// Events that are handed over together.
const BATCH: usize = 100;

/// Something that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A repository has a manifest.
    Manifest(Repository, Digest),
    /// A tag of a repository names a manifest.
    Tag(Repository, Tag, Digest),
}

/// Whoever may have missed something.
pub trait Learner: Send + Sync {
    /// Whether a fact is new to it.
    fn lacks(&self, fact: &Fact) -> bool;

    /// Learns from events; false when it learns no more.
    fn learn(&self, events: Vec<Event>) -> BoxFuture<'_, bool>;
}

/// What was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recalled {
    /// Facts that were looked at.
    pub looked_at: u64,
    /// Manifests that were told of.
    pub manifests: u64,
    /// Tags that were told of.
    pub tags: u64,
    /// Manifests whose bytes are not here any more.
    pub absent: u64,
}

impl Registry {
    /// Tells `learner` every manifest and tag that is known here and that it lacks.
    ///
    /// # Errors
    /// When the catalog cannot be read; what was told before stays told.
    pub async fn recall(&self, learner: &dyn Learner) -> Result<Recalled, CatalogError> {
        let (catalog, tiers) = (self.proxied.catalog(), self.tiers.clone());
        let recall = Recall { catalog, tiers, observer: &self.observer, hosted: &self.hosted, learner };
        let mut told = Told { learner, batch: Vec::new(), recalled: Recalled::default(), has_ended: false };
        recall.mirrored(&mut told).await?;
        recall.hosted(&mut told).await?;
        told.hand_over().await;
        Ok(told.recalled)
    }
}

struct Recall<'a> {
    catalog: Arc<Catalog>,
    tiers: Arc<Tiers>,
    observer: &'a Observer,
    hosted: &'a super::Hosted,
    learner: &'a dyn Learner,
}

/// What has been told so far.
struct Told<'a> {
    learner: &'a dyn Learner,
    batch: Vec<Event>,
    recalled: Recalled,
    has_ended: bool,
}

impl Recall<'_> {
    async fn mirrored(&self, told: &mut Told<'_>) -> Result<(), CatalogError> {
        let repositories = self.read(|catalog| catalog.repositories(MOST_REPOSITORIES)).await?;
        for row in repositories {
            let repository = self.observer.mirrored(&row);
            let of = row.clone();
            for (digest, link) in self.read(move |catalog| catalog.links_in(&of, MOST_ROWS)).await? {
                let Some(media_type) = link.media_type else { continue };
                if told.has_ended || !self.is_lacking(told, Fact::Manifest(repository.clone(), digest)).await {
                    continue;
                }
                let bytes = self.tiers.peek(&digest, MAX_MANIFEST_BYTES as u64).await;
                let Some(seen) = bytes.and_then(|bytes| seen(&repository, &digest, &bytes, &media_type)) else {
                    told.recalled.absent += 1;
                    continue;
                };
                let config = seen.config.as_ref().map(|config| config.digest);
                told.manifest(seen).await;
                if let Some(config) = config
                    && let Some(bytes) = self.tiers.peek(&config, MOST_CONFIG).await
                {
                    told.config(config, &bytes);
                }
            }
            self.mirrored_tags(&row, &repository, told).await?;
        }
        Ok(())
    }

    async fn mirrored_tags(
        &self,
        row: &catalog::Repository,
        repository: &Repository,
        told: &mut Told<'_>,
    ) -> Result<(), CatalogError> {
        let of = row.clone();
        for (key, row) in self.read(move |catalog| catalog.tags_in(&of, MOST_ROWS)).await? {
            if self.is_lacking(told, Fact::Tag(repository.clone(), key.tag.clone(), row.digest)).await {
                // It was so then; what is told meanwhile is newer.
                told.tag(millis(row.confirmed), repository, key.tag, row.digest).await;
            }
        }
        Ok(())
    }

    async fn hosted(&self, told: &mut Told<'_>) -> Result<(), CatalogError> {
        let mut last = None;
        loop {
            let from = last.clone();
            let page = self.read(move |catalog| catalog.hosted_manifests(from.as_ref(), PAGE)).await?;
            let Some((name, digest, _)) = page.last() else { break };
            last = Some((*digest, name.clone()));
            for (name, digest, row) in page {
                let repository = Repository::hosted(&name);
                if told.has_ended || !self.is_lacking(told, Fact::Manifest(repository.clone(), digest)).await {
                    continue;
                }
                let bytes = self.hosted.peek(&digest, row.size).await;
                let Some(seen) = bytes.and_then(|bytes| seen(&repository, &digest, &bytes, &row.media_type)) else {
                    told.recalled.absent += 1;
                    continue;
                };
                let config = seen.config.as_ref().filter(|config| config.size <= MOST_CONFIG).cloned();
                told.manifest(seen).await;
                if let Some(config) = config
                    && let Some(bytes) = self.hosted.peek(&config.digest, config.size).await
                {
                    told.config(config.digest, &bytes);
                }
            }
        }
        self.hosted_tags(told).await
    }

    async fn hosted_tags(&self, told: &mut Told<'_>) -> Result<(), CatalogError> {
        let mut last = String::new();
        loop {
            let from = last.clone();
            let names = self.read(move |catalog| catalog.hosted_repositories(&from, PAGE)).await?;
            let Some(name) = names.last() else { return Ok(()) };
            last.clone_from(name);
            for name in names.iter().filter_map(|name| name.parse().ok()) {
                let repository = Repository::hosted(&name);
                let at = millis(SystemTime::now());
                let tags = self.read(move |catalog| {
                    let tags = catalog.hosted_tags(&name)?.unwrap_or_default();
                    let tags = tags.iter().filter_map(|tag| tag.parse::<Tag>().ok());
                    tags.map(|tag| Ok(catalog.hosted_tag(&name, &tag)?.map(|(digest, _)| (tag, digest))))
                        .collect::<Result<Vec<_>, CatalogError>>()
                });
                for (tag, digest) in tags.await?.into_iter().flatten() {
                    if self.is_lacking(told, Fact::Tag(repository.clone(), tag.clone(), digest)).await {
                        told.tag(at, &repository, tag, digest).await;
                    }
                }
            }
        }
    }

    /// Lets others have their turn before each look.
    async fn is_lacking(&self, told: &mut Told<'_>, fact: Fact) -> bool {
        tokio::task::yield_now().await;
        told.recalled.looked_at += 1;
        !told.has_ended && self.learner.lacks(&fact)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Catalog) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let catalog = self.catalog.clone();
        let reading = tokio::task::spawn_blocking(move || read(&catalog)).await;
        reading.unwrap_or_else(|error| Err(CatalogError::Writer(Arc::new(std::io::Error::other(error)))))
    }
}

impl Told<'_> {
    async fn manifest(&mut self, seen: ManifestSeen) {
        self.recalled.manifests += 1;
        self.push(Event::now(What::ManifestSeen(seen.into()))).await;
    }

    /// Goes with the manifest before it.
    fn config(&mut self, digest: Digest, bytes: &[u8]) {
        self.batch.extend(config_read(digest, bytes).map(Event::now));
    }

    async fn tag(&mut self, at: Millis, repository: &Repository, tag: Tag, digest: Digest) {
        self.recalled.tags += 1;
        self.push(Event { at, what: What::TagMoved { repository: repository.clone(), tag, digest: Some(digest) } }).await;
    }

    async fn push(&mut self, event: Event) {
        self.batch.push(event);
        if self.batch.len() >= BATCH {
            self.hand_over().await;
        }
    }

    async fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            self.has_ended |= !self.learner.learn(std::mem::take(&mut self.batch)).await;
        }
    }
}

fn seen(repository: &Repository, digest: &Digest, bytes: &[u8], media_type: &MediaType) -> Option<ManifestSeen> {
    ManifestSeen::read(repository.clone(), *digest, bytes, Some(media_type.as_str())).ok()
}

fn millis(time: SystemTime) -> Millis {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}
