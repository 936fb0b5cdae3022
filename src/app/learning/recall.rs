//! The graph learns what it has missed: what was pulled and pushed while it was away, or when it was behind.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::runtime::Handle;

use crate::{
    events::Event,
    graph::Graph,
    registry::{Fact, Learner, Recalled, Registry},
};

/// How often it is looked whether the graph is loaded.
const TICK: Duration = Duration::from_millis(100);

/// A tag may move while it is told what it named: then it is told once more.
const ROUNDS: usize = 3;

/// Begins, on the current runtime, and ends with the graph or the registry.
pub(super) fn start(graph: &Arc<Graph>, registry: &Arc<Registry>) {
    let (graph, registry) = (Arc::downgrade(graph), Arc::downgrade(registry));
    Handle::current().spawn(async move {
        while let Some(is_loaded) = graph.upgrade().map(|graph| graph.read(|_| ()).is_ok()) {
            if is_loaded {
                return recall(&graph, &registry).await;
            }
            tokio::time::sleep(TICK).await;
        }
    });
}

async fn recall(graph: &Weak<Graph>, registry: &Weak<Registry>) {
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        let (Some(graph), Some(registry)) = (graph.upgrade(), registry.upgrade()) else { return };
        match registry.recall(&Pupil(graph)).await {
            Ok(Recalled { looked_at, manifests, tags, absent }) => {
                let took = begun.elapsed();
                tracing::info!(looked_at, manifests, tags, absent, ?took, "the graph has been told what it lacked");
                if tags == 0 {
                    return;
                }
            }
            Err(error) => return tracing::warn!(%error, "the graph could not be told what it lacks"),
        }
    }
}

struct Pupil(Arc<Graph>);

impl Learner for Pupil {
    fn lacks(&self, fact: &Fact) -> bool {
        let known = self.0.read(|graph| match fact {
            Fact::Manifest(repository, digest) => graph.has_manifest(repository, digest),
            Fact::Tag(repository, tag, digest) => graph.named_by(repository, tag) == Some(*digest),
        });
        known == Ok(false)
    }

    fn learn(&self, events: Vec<Event>) -> BoxFuture<'_, bool> {
        let learned = self.0.apply(events);
        async move { learned.await.is_ok() }.boxed()
    }
}
