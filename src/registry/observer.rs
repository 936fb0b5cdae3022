//! Tells whoever learns from it what becomes known here: on the bus, in one line wherever something becomes known.
//!
//! When nobody hears, nothing is put together. What changes a state (a tag, a manifest) is told one at a time, each after a look
//! at how things are by then: the last word on a subject is true.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use chrono::DateTime;
use moka::sync::Cache;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::{
    catalog,
    events::{Bus, Event, ManifestSeen, Repository, What},
    oci::{Digest, Manifest, Tag},
    tiers::Tiers,
    upstream::Routes,
};

/// The largest configuration that is read. Those of images are a few KiB.
pub(super) const MOST_CONFIG: u64 = 1 << 20;

/// Configurations that are remembered until they come.
const AWAITED: u64 = 10_000;

/// Tells of all repositories of a registry. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bus: Arc<dyn Bus>,
    handle: Handle,
    tiers: Arc<Tiers>,
    /// The routes whose repositories everybody can read elsewhere.
    public: ArcSwap<HashSet<Arc<str>>>,
    /// Configurations of images that are known, which have not come yet.
    awaited: Cache<Digest, ()>,
    turn: Mutex<()>,
}

/// The right to tell of states, until it is dropped.
pub(super) struct Turn<'a> {
    observer: &'a Observer,
    _alone: MutexGuard<'a, ()>,
}

#[derive(Deserialize)]
struct ImageConfig {
    created: Option<String>,
}

impl Observer {
    /// Tells `bus`. What takes a while is done on `handle`.
    pub(super) fn new(bus: Arc<dyn Bus>, handle: Handle, tiers: Arc<Tiers>, routes: &Routes) -> Self {
        let (public, awaited) = (ArcSwap::from_pointee(public(routes)), Cache::new(AWAITED));
        Self { shared: Arc::new(Shared { bus, handle, tiers, public, awaited, turn: Mutex::new(()) }) }
    }

    /// Other routes may be public from now on.
    pub(super) fn reconfigure(&self, routes: &Routes) {
        self.shared.public.store(Arc::new(public(routes)));
    }

    /// Whether anybody hears.
    pub(super) fn is_heard(&self) -> bool {
        self.shared.bus.has_subscribers()
    }

    /// A mirrored repository as events name it. One of a route that is not configured any more is private.
    pub(super) fn mirrored(&self, repository: &catalog::Repository) -> Repository {
        let private = !self.shared.public.load().contains(&repository.route);
        Repository { route: repository.route.clone(), name: repository.name.clone(), private }
    }

    /// Waits for its turn, if anybody hears.
    pub(super) fn turn(&self) -> Option<Turn<'_>> {
        self.is_heard().then(|| Turn { observer: self, _alone: self.shared.turn.lock() })
    }

    /// A mirrored repository has a manifest.
    pub(super) fn taken_in(&self, repository: &catalog::Repository, digest: &Digest, size: u64, manifest: &Manifest) {
        let Some(turn) = self.turn() else { return };
        let seen = ManifestSeen::of(self.mirrored(repository), *digest, size, manifest);
        let config = seen.config.as_ref().filter(|config| config.size <= MOST_CONFIG).map(|config| config.digest);
        turn.tell(What::ManifestSeen(Arc::new(seen)));
        if let Some(config) = config {
            self.shared.awaited.insert(config, ());
            self.read_config(config);
        }
    }

    /// A mirrored repository's tag that named `old` names `new`.
    pub(super) fn tagged(&self, key: &catalog::TagKey, old: Option<Digest>, new: Digest) {
        if old == Some(new) {
            return;
        }
        if let Some(turn) = self.turn() {
            turn.tag(self.mirrored(&key.repository), &key.tag, Some(new));
        }
    }

    /// The tiers have a content that came from elsewhere.
    pub(super) fn kept(&self, digest: &Digest, size: u64) {
        if !self.is_heard() {
            return;
        }
        self.tell(What::BlobStored { digest: *digest, size });
        if self.shared.awaited.contains_key(digest) {
            self.read_config(*digest);
        }
    }

    /// Reads a configuration behind, if it is here and awaited, and tells of it.
    fn read_config(&self, digest: Digest) {
        let observer = self.clone();
        self.shared.handle.spawn(async move {
            let shared = &observer.shared;
            if let Some(bytes) = shared.tiers.peek(&digest, MOST_CONFIG).await
                && shared.awaited.remove(&digest).is_some()
            {
                observer.config_read(digest, &bytes);
            }
        });
    }

    /// A configuration has been read.
    pub(super) fn config_read(&self, digest: Digest, bytes: &Bytes) {
        if let Some(read) = config_read(digest, bytes) {
            self.tell(read);
        }
    }

    fn tell(&self, what: What) {
        self.shared.bus.publish(Event::now(what));
    }
}

impl Turn<'_> {
    /// Something is so by now.
    pub(super) fn tell(&self, what: What) {
        self.observer.tell(what);
    }

    /// A tag names something else, or nothing, by now.
    pub(super) fn tag(&self, repository: Repository, tag: &Tag, digest: Option<Digest>) {
        self.tell(What::TagMoved { repository, tag: tag.clone(), digest });
    }
}

/// What a configuration says that anybody learns from.
pub(super) fn config_read(digest: Digest, bytes: &[u8]) -> Option<What> {
    let config: ImageConfig = serde_json::from_slice(bytes).ok()?;
    let created = DateTime::parse_from_rfc3339(&config.created?).ok()?.timestamp().try_into().ok()?;
    Some(What::ConfigRead { digest, created })
}

fn public(routes: &Routes) -> HashSet<Arc<str>> {
    routes.iter().filter(|route| route.is_public()).map(|route| route.name.clone()).collect()
}
