//! The six scenes: images pulled in six situations, each measured at both ends.

pub(super) mod elsewhere;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    edge::Edges,
    images::{Image, Images},
    origin::{Origin, Seen},
    pull::{PullError, pull},
};

/// What one scene measured.
#[derive(Debug)]
pub(super) struct Measured {
    /// From the first request to the last byte.
    pub(super) took: Duration,
    /// Whole images that were pulled and verified.
    pub(super) pulls: usize,
    /// Bytes of bodies that clients received.
    pub(super) received: u64,
    /// What reached the origin meanwhile.
    pub(super) origin: Seen,
}

/// All scenes, in order.
#[derive(Debug)]
pub(super) struct Scenes {
    pub(super) direct: Measured,
    pub(super) cold: Measured,
    pub(super) warm: Measured,
    pub(super) crowd: Measured,
    pub(super) elsewhere: elsewhere::Elsewhere,
    pub(super) outage: Measured,
}

/// A scene that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SceneError {
    #[error("{scene}: pulling {repository} failed: {cause}")]
    Pull { scene: &'static str, repository: String, cause: PullError },
    #[error(
        "{scene}: of {of} contents of the new version, the region that was told of it has fetched {fetched} within {patience:?}; \
         on a busy machine, try a larger --bandwidth, or --quick"
    )]
    NotFetched { scene: &'static str, fetched: usize, of: usize, patience: Duration },
}

/// How the scenes are played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Machines that pull at the same moment.
    pub(super) clients: usize,
    /// How long the servers believe a tag: the last two scenes begin when that time is over.
    pub(super) tag_ttl: Duration,
    /// How long the other region has to fetch what it was told of.
    pub(super) patience: Duration,
}

/// Plays all scenes. The origin is dead afterwards.
pub(super) async fn play(images: &Arc<Images>, edges: &mut Edges, manner: Manner) -> Result<Scenes, SceneError> {
    elsewhere::settle(images, edges).await?;
    let settled_until = Instant::now() + manner.tag_ttl;
    let (origin, harbinger) = (edges.home.origin(), edges.home.address());
    let direct = one_by_one("1/6 directly from the origin", &images.family, origin.address(), origin).await?;
    let cold = one_by_one("2/6 through Harbinger, cold", &images.family, harbinger, origin).await?;
    let warm = one_by_one("3/6 through Harbinger, warm", &images.family, harbinger, origin).await?;
    let stale_from = Instant::now() + manner.tag_ttl;
    let crowd = at_once("4/6 many machines at once", &images.crowd, manner.clients, harbinger, origin).await?;
    wait_until(settled_until, "5/6 a new version, elsewhere; waiting until tags are due to be checked there").await;
    let elsewhere = elsewhere::release(images, edges, manner.patience).await?;
    edges.lose_origin().await;
    wait_until(stale_from, "6/6 the origin is dead; waiting until Harbinger would ask it again whether tags still hold").await;
    let outage = one_by_one("6/6 the origin is dead", &images.family, harbinger, edges.home.origin()).await?;
    Ok(Scenes { direct, cold, warm, crowd, elsewhere, outage })
}

/// Pulls images one after the other, each as a machine that has nothing yet.
async fn one_by_one(scene: &'static str, images: &[Image], from: SocketAddr, origin: &Origin) -> Result<Measured, SceneError> {
    let progress = bar(scene);
    origin.traffic().take();
    let start = Instant::now();
    let mut received = 0;
    for image in images {
        received += pull(from, image, &progress).await.map_err(|cause| failed(scene, image, cause))?;
    }
    let took = start.elapsed();
    progress.finish_and_clear();
    Ok(Measured { took, pulls: images.len(), received, origin: origin.traffic().take() })
}

/// Pulls one image on many machines at the same moment.
async fn at_once(
    scene: &'static str,
    image: &Image,
    clients: usize,
    from: SocketAddr,
    origin: &Origin,
) -> Result<Measured, SceneError> {
    let progress = bar(scene);
    origin.traffic().take();
    let start = Instant::now();
    let mut machines = JoinSet::new();
    for _ in 0..clients {
        let (image, progress) = (image.clone(), progress.clone());
        machines.spawn(async move { pull(from, &image, &progress).await });
    }
    let mut received = 0;
    while let Some(machine) = machines.join_next().await {
        match machine {
            Ok(pulled) => received += pulled.map_err(|cause| failed(scene, image, cause))?,
            // Nothing cancels a machine, so it has panicked: let that be seen.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    let took = start.elapsed();
    progress.finish_and_clear();
    Ok(Measured { took, pulls: clients, received, origin: origin.traffic().take() })
}

async fn wait_until(when: Instant, why: &'static str) {
    let progress = bar(why);
    sleep_until(when).await;
    progress.finish_and_clear();
}

/// A line that shows progress on a terminal, and nothing anywhere else.
fn bar(scene: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}  {bytes}  {bytes_per_sec}");
    let progress = ProgressBar::no_length().with_message(scene);
    if let Ok(style) = style {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

fn failed(scene: &'static str, image: &Image, cause: PullError) -> SceneError {
    SceneError::Pull { scene, repository: image.repository.clone(), cause }
}
