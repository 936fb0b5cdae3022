//! Bringing back what was found damaged, before anybody asks for it.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::proxied::Proxied;
use crate::{
    catalog::{Catalog, CatalogError, Link, Repository},
    oci::Digest,
    upstream::Routes,
};

/// Contents that wait, at most: more are brought back when somebody asks for them.
const WAITING: usize = 10_000;

/// Contents under way at once: clients come first.
const AT_ONCE: usize = 2;

/// Repositories that are tried for one content.
const HOLDERS: usize = 3;

/// What waits to be healed. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Healing {
    handle: Handle,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    digests: HashSet<Digest>,
    is_running: bool,
}

impl Healing {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, waiting: Arc::default() }
    }

    /// Has contents fetched again, behind. Returns at once.
    pub(super) fn request(&self, digests: Vec<Digest>, proxied: &Proxied, routes: Arc<Routes>) {
        let mut waiting = self.waiting.lock();
        let room = WAITING.saturating_sub(waiting.digests.len());
        waiting.digests.extend(digests.into_iter().take(room));
        if !mem::replace(&mut waiting.is_running, true) {
            self.handle.spawn(run(self.waiting.clone(), proxied.clone(), routes));
        }
    }
}

/// Heals until nothing waits any more.
async fn run(waiting: Arc<Mutex<Waiting>>, proxied: Proxied, routes: Arc<Routes>) {
    loop {
        let digests = {
            let mut waiting = waiting.lock();
            waiting.is_running = !waiting.digests.is_empty();
            mem::take(&mut waiting.digests)
        };
        if digests.is_empty() {
            return;
        }
        let catalog = proxied.catalog();
        let found = tokio::task::spawn_blocking(move || holders(&catalog, &digests)).await;
        let holders = match found {
            Ok(Ok(holders)) => holders,
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot look for what could heal a damaged content");
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "cannot look for what could heal a damaged content");
                continue;
            }
        };
        let healing = stream::iter(holders).for_each_concurrent(AT_ONCE, |(digest, holders)| {
            let (proxied, routes) = (&proxied, &routes);
            async move {
                let healed = proxied.heal(routes, &digest, holders).await;
                tracing::info!(%digest, healed, "a damaged content was fetched again");
            }
        });
        healing.await;
    }
}

/// The mirrored repositories that may read each of these contents, some of them. One walk through all links. Blocks.
fn holders(catalog: &Catalog, digests: &HashSet<Digest>) -> Result<HashMap<Digest, Vec<(Repository, Link)>>, CatalogError> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    catalog.visit_links(|linked| {
        if digests.contains(&linked.digest) {
            let holders = found.entry(linked.digest).or_default();
            if holders.len() < HOLDERS
                && let Some(repository) = linked.repository()
            {
                holders.push((repository, linked.link));
            }
        }
    })?;
    Ok(found)
}
