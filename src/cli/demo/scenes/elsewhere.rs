//! The scene in another region: a new version is released, pulled in the first region, and then pulled here for the first time. Of two
//! Harbingers here one was told of it by the first region. Nothing is staged: what it fetches, it has decided to.

use std::{slice, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Measured, SceneError, bar, one_by_one};
use crate::{
    cli::demo::{
        edge::{Edge, Edges},
        images::{Image, Images},
    },
    oci::Digest,
    prefetch::Verdict,
};

/// How often it is looked whether everything is there.
const LOOK: Duration = Duration::from_millis(5);

/// What the scene measured.
#[derive(Debug)]
pub(in super::super) struct Elsewhere {
    /// The first pull by way of who was told nothing.
    pub(in super::super) untold: Measured,
    /// What the other one did before its first pull.
    pub(in super::super) ahead: Ahead,
    /// The first pull by way of it.
    pub(in super::super) told: Measured,
}

/// What was done before anybody asked.
#[derive(Debug)]
pub(in super::super) struct Ahead {
    /// From the release to its last byte in the other region.
    pub(in super::super) took: Duration,
    /// Bytes that came from the origin.
    pub(in super::super) bytes: u64,
}

/// Machines of the other region run the old version: from now on it is known there that somebody does.
pub(super) async fn settle(images: &Images, edges: &Edges) -> Result<(), SceneError> {
    let pull = |edge| first_pull("before the scenes, an image in another region", &images.versions.old, edge);
    tokio::try_join!(pull(&edges.told), pull(&edges.untold))?;
    Ok(())
}

/// The new version is released, and pulled in one region after the other.
pub(in super::super) async fn release(images: &Images, edges: &Edges, patience: Duration) -> Result<Elsewhere, SceneError> {
    let new = &images.versions.new;
    images.release();
    edges.told.origin().traffic().take();
    let begun = Instant::now();
    first_pull("5/6 a new version, in the first region", new, &edges.home).await?;
    let novel: Vec<Digest> = images.versions.novel().collect();
    all_fetched(&novel, &edges.told, patience).await?;
    let ahead = Ahead { took: begun.elapsed(), bytes: edges.told.origin().traffic().take().bytes };
    let told = first_pull("5/6 a new version, in another region that was told", new, &edges.told).await?;
    let untold = first_pull("5/6 a new version, in another region", new, &edges.untold).await?;
    Ok(Elsewhere { untold, ahead, told })
}

async fn first_pull(scene: &'static str, image: &Image, edge: &Edge) -> Result<Measured, SceneError> {
    one_by_one(scene, slice::from_ref(image), edge.address(), edge.origin()).await
}

/// Waits until all contents have been fetched ahead.
async fn all_fetched(contents: &[Digest], edge: &Edge, patience: Duration) -> Result<(), SceneError> {
    let scene = "5/6 a new version, on its way to another region that was told";
    let progress = bar(scene);
    let until = Instant::now() + patience;
    loop {
        let fetched = contents.iter().filter(|content| is_fetched(content, edge)).count();
        if fetched == contents.len() {
            progress.finish_and_clear();
            return Ok(());
        }
        if Instant::now() > until {
            return Err(SceneError::NotFetched { scene, fetched, of: contents.len(), patience });
        }
        sleep(LOOK).await;
    }
}

fn is_fetched(content: &Digest, edge: &Edge) -> bool {
    edge.prefetch().decisions_about(content).iter().any(|decision| decision.verdict == Verdict::Fetched)
}
