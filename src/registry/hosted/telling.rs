//! What pushes and deletions change is told to whoever learns from it.
//!
//! What a tag names is looked up before and after, in turn: of pushes at the same time, the last one tells what is true.

use bytes::Bytes;

use super::Hosted;
use crate::{
    events::{ManifestSeen, Repository, What},
    oci::{Digest, Reference, RepositoryName, Tag},
    registry::observer::MOST_CONFIG,
};

/// A push, as far as it is to be told.
pub(super) struct Push {
    seen: ManifestSeen,
    /// Each tag, and what it named before.
    tags: Vec<(Tag, Option<Digest>)>,
}

/// A deletion, as far as it is to be told.
pub(super) struct Deletion {
    manifest: Option<Digest>,
    tags: Vec<Tag>,
}

impl Hosted {
    /// A manifest is going to be pushed. `None` when nobody hears.
    pub(super) fn before_push(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        tags: &[Tag],
        content_type: Option<&str>,
        bytes: &Bytes,
    ) -> Option<Push> {
        if !self.shared.observer.is_heard() {
            return None;
        }
        let seen = ManifestSeen::read(Repository::hosted(name), *digest, bytes, content_type).ok()?;
        let tags = tags.iter().map(|tag| (tag.clone(), self.named(name, tag))).collect();
        Some(Push { seen, tags })
    }

    /// It has been pushed.
    pub(super) fn tell_pushed(&self, push: Option<Push>) {
        let Some(Push { seen, tags }) = push else { return };
        let Some(turn) = self.shared.observer.turn() else { return };
        let name = seen.repository.name.clone();
        let config = seen.config.as_ref().filter(|config| config.size <= MOST_CONFIG).map(|config| config.digest);
        turn.tell(What::ManifestSeen(seen.into()));
        for (tag, before) in tags {
            let now = self.named(&name, &tag);
            if now != before {
                turn.tag(Repository::hosted(&name), &tag, now);
            }
        }
        drop(turn);
        if let Some(config) = config {
            let hosted = self.clone();
            self.shared.handle.spawn(async move { hosted.tell_config(&name, &config).await });
        }
    }

    async fn tell_config(&self, name: &RepositoryName, digest: &Digest) {
        let Ok(Some(size)) = self.shared.catalog.hosted_blob(name, digest) else { return };
        if size <= MOST_CONFIG
            && let Some(bytes) = self.peek(digest, size).await
        {
            self.shared.observer.config_read(*digest, &bytes);
        }
    }

    /// The bytes of a content, which memory does not take. `None` when they are gone or damaged, which is for others to tell.
    pub(in crate::registry) async fn peek(&self, digest: &Digest, size: u64) -> Option<Bytes> {
        let bytes = if size > super::INLINE {
            self.shared.tiers.hosted().lookup(digest).await.ok()??.read().await.ok()?
        } else {
            self.shared.catalog.hosted_content(digest).ok()??
        };
        (Digest::of(digest.algorithm(), &bytes) == *digest).then_some(bytes)
    }

    /// A tag, or a manifest with its tags, is going to be deleted. `None` when nobody hears.
    pub(super) fn before_deletion(&self, name: &RepositoryName, reference: &Reference) -> Option<Deletion> {
        if !self.shared.observer.is_heard() {
            return None;
        }
        Some(match reference {
            Reference::Tag(tag) => Deletion { manifest: None, tags: vec![tag.clone()] },
            Reference::Digest(digest) => {
                let tags = self.shared.catalog.hosted_tags_naming(name, digest).unwrap_or_default();
                Deletion { manifest: Some(*digest), tags }
            }
        })
    }

    /// It has been deleted.
    pub(super) fn tell_deleted(&self, name: &RepositoryName, deletion: Option<Deletion>) {
        let Some(Deletion { manifest, tags }) = deletion else { return };
        let Some(turn) = self.shared.observer.turn() else { return };
        for tag in tags.iter().filter(|tag| self.named(name, tag).is_none()) {
            turn.tag(Repository::hosted(name), tag, None);
        }
        if let Some(digest) = manifest
            && matches!(self.shared.catalog.hosted_manifest(name, &digest), Ok(None))
        {
            turn.tell(What::ManifestDeleted { repository: Repository::hosted(name), digest });
        }
    }

    /// What a tag names. A catalog that cannot be read has been told of elsewhere.
    fn named(&self, name: &RepositoryName, tag: &Tag) -> Option<Digest> {
        self.shared.catalog.hosted_tag(name, tag).ok().flatten().map(|(digest, _)| digest)
    }
}
