//! Fetching an image because somebody has asked for it: in a lane of its own, one image a call.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::{
    Prefetch, Shared,
    ledger::Tally,
    queue::Entry,
    state::{Lane, led_to},
    warm::Warmed,
    worker,
};
use crate::{
    events::{self, ManifestSeen, Repository},
    oci::{Digest, Reference},
    predict::{Expected, Kind, Reason},
};

/// What somebody wants to be here.
#[derive(Debug, Clone)]
pub struct Order {
    /// The repository.
    pub repository: Repository,
    /// A tag or a digest of a manifest.
    pub reference: Reference,
    /// The platforms to choose from an index, such as `linux/amd64`; empty for those that are pulled of this repository.
    pub platforms: Vec<String>,
    /// Whether the budget of bytes does not count.
    pub beyond_budget: bool,
}

/// What came of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The manifest that was named; `None` when it could not be had, or lives here.
    pub digest: Option<Digest>,
    /// What was here.
    pub here: Tally,
    /// What came because of somebody else.
    pub joined: Tally,
    /// What was fetched.
    pub fetched: Tally,
    /// What could not be had, and why.
    pub failed: Vec<(String, String)>,
}

impl Delivered {
    fn add(&mut self, warmed: Warmed, size: u64) {
        match warmed {
            Warmed::Here => self.here.add(size),
            Warmed::Joined => self.joined.add(size),
            Warmed::Fetched { bytes, .. } => self.fetched.add(bytes),
        }
    }
}

impl Prefetch {
    /// Has an image here: the manifest that is named, of an index those of the platforms, and all that they name. Returns when that
    /// has been tried; dropping the future begins nothing more.
    pub async fn deliver(&self, order: &Order) -> Delivered {
        let shared = &self.shared;
        let mut delivered = Delivered::default();
        let name = order.reference.to_string();
        let manifest = match shared.warm.image(&order.repository, &order.reference).await {
            Ok(manifest) => manifest,
            Err(error) => {
                delivered.failed.push((name, error.to_string()));
                return delivered;
            }
        };
        if let Warmed::Fetched { pulls, .. } = manifest.warmed {
            shared.state.lock().pulled(&order.repository.route, pulls, events::now());
        }
        let Some(seen) = manifest.seen else {
            delivered.add(manifest.warmed, 0);
            return delivered;
        };
        delivered.digest = Some(seen.manifest.digest);
        delivered.add(manifest.warmed, seen.manifest.size);
        let images = images(shared, order, &seen, &mut delivered).await;
        let blobs: Vec<_> = images.iter().flat_map(|seen| led_to(&expected(&order.repository, seen), seen, &[])).collect();
        let lane = shared.state.lock().settings.prefetch.parallel;
        let fetching = stream::iter(blobs).map(|expected| async move {
            let outcome = fetch(shared, &expected, order.beyond_budget).await.map(|(warmed, _)| warmed);
            (expected, outcome)
        });
        let mut fetching = fetching.buffer_unordered(lane);
        while let Some((expected, outcome)) = fetching.next().await {
            match outcome {
                Ok(warmed) => delivered.add(warmed, expected.size),
                Err(error) => delivered.failed.push((expected.digest.to_string(), error)),
            }
        }
        delivered.failed.sort_unstable();
        delivered
    }
}

/// The images that are meant: the one that was named, or those of an index that match.
async fn images(
    shared: &Arc<Shared>,
    order: &Order,
    seen: &Arc<ManifestSeen>,
    delivered: &mut Delivered,
) -> Vec<Arc<ManifestSeen>> {
    if seen.manifests.is_none() {
        return vec![seen.clone()];
    }
    let platforms = match &order.platforms[..] {
        [] => shared.state.lock().platforms(seen),
        named => named.to_vec(),
    };
    let children = led_to(&expected(&order.repository, seen), seen, &platforms);
    if children.is_empty() {
        let why = format!("the index has no image for {}; name another platform", platforms.join(", "));
        delivered.failed.push((seen.manifest.digest.to_string(), why));
    }
    let mut images = Vec::new();
    for child in children {
        match fetch(shared, &child, order.beyond_budget).await {
            Ok((warmed, seen)) => {
                delivered.add(warmed, child.size);
                images.extend(seen);
            }
            Err(error) => delivered.failed.push((child.digest.to_string(), error)),
        }
    }
    images
}

fn expected(repository: &Repository, seen: &ManifestSeen) -> Expected {
    Expected {
        digest: seen.manifest.digest,
        size: seen.manifest.size,
        kind: Kind::Manifest,
        repository: repository.clone(),
        customer: None,
        reason: Reason::Asked,
        probability: 1.0,
        due: events::now(),
    }
}

/// Fetches one content of an order. What has begun goes on when the future is dropped.
async fn fetch(
    shared: &Arc<Shared>,
    expected: &Expected,
    beyond_budget: bool,
) -> Result<(Warmed, Option<Arc<ManifestSeen>>), String> {
    if expected.kind == Kind::Blob && shared.warm.is_here(expected).await {
        return Ok((Warmed::Here, None));
    }
    let is_own = {
        let (mut state, now) = (shared.state.lock(), events::now());
        if expected.kind == Kind::Blob && !beyond_budget && !state.may_spend(expected.size, now) {
            return Err("the bytes that may be fetched in a day before they are asked for are used up".to_owned());
        }
        state.begin(Entry { expected: expected.clone(), since: now, root: None }, Lane::Orders, now)
    };
    let (shared, expected) = (shared.clone(), expected.clone());
    let fetching = shared.handle.clone().spawn(async move {
        let outcome = worker::bring(&shared, &expected).await;
        if is_own {
            worker::note(&shared, &expected, &outcome);
        }
        outcome
    });
    let outcome = fetching.await.map_err(|_| "it failed unexpectedly".to_owned())?;
    outcome.map_err(|error| error.to_string())
}
