//! What was forgotten is told to whoever learns from it.

use std::{thread, time::Duration};

use super::{Plan, Proxied};
use crate::{
    catalog::{Repository, TagKey},
    events::What,
    oci::Digest,
    registry::proxied::Shared,
};

/// How many are told before whoever hears gets time to breathe.
const AT_ONCE: usize = 1000;

impl Proxied {
    /// Tells of all that a plan has forgotten, behind.
    pub(super) fn tell_forgotten(&self, plan: &Plan) {
        if !self.shared.observer.is_heard() {
            return;
        }
        let proxied = self.clone();
        let tags = plan.tags.clone();
        let manifests = plan.links.iter().filter(|(.., link)| link.media_type.is_some());
        let manifests: Vec<_> = manifests.map(|(repository, digest, _)| (repository.clone(), *digest)).collect();
        self.shared.handle.spawn_blocking(move || {
            let told = tags.iter().map(Forgotten::Tag);
            let told = told.chain(manifests.iter().map(|(repository, digest)| Forgotten::Manifest(repository, digest)));
            for (count, forgotten) in told.enumerate() {
                match forgotten {
                    Forgotten::Tag(key) => proxied.shared.tell_untagged(key),
                    Forgotten::Manifest(repository, digest) => proxied.shared.tell_deleted(repository, digest),
                }
                if count % AT_ONCE == AT_ONCE - 1 {
                    thread::sleep(Duration::from_millis(5));
                }
            }
        });
    }
}

enum Forgotten<'a> {
    Tag(&'a TagKey),
    Manifest(&'a Repository, &'a Digest),
}

impl Shared {
    /// A tag was forgotten, unless it is there again.
    pub(in crate::registry::proxied) fn tell_untagged(&self, key: &TagKey) {
        if let Some(turn) = self.observer.turn()
            && matches!(self.catalog.tag(key), Ok(None))
        {
            turn.tag(self.observer.mirrored(&key.repository), &key.tag, None);
        }
    }

    /// A manifest was forgotten, unless it is there again.
    fn tell_deleted(&self, repository: &Repository, digest: &Digest) {
        if let Some(turn) = self.observer.turn()
            && matches!(self.catalog.link(repository, digest), Ok(None))
        {
            turn.tell(What::ManifestDeleted { repository: self.observer.mirrored(repository), digest: *digest });
        }
    }
}
