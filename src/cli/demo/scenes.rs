//! The five scenes: the same images pulled in five situations, each measured at both ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
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
    pub(super) outage: Measured,
}

/// A scene that failed.
#[derive(Debug, thiserror::Error)]
#[error("{scene}: pulling {repository} failed: {cause}")]
pub(super) struct SceneError {
    scene: &'static str,
    repository: String,
    cause: PullError,
}

/// Plays all scenes. The origin is dead afterwards.
///
/// `tag_ttl` is how long the server behind `harbinger` believes a tag; the last scene begins when that time is over.
pub(super) async fn play(
    images: &Arc<Images>,
    origin: &mut Origin,
    harbinger: SocketAddr,
    clients: usize,
    tag_ttl: Duration,
) -> Result<Scenes, SceneError> {
    let direct = one_by_one("1/5 directly from the origin", &images.family, origin.address(), origin).await?;
    let cold = one_by_one("2/5 through Harbinger, cold", &images.family, harbinger, origin).await?;
    let warm = one_by_one("3/5 through Harbinger, warm", &images.family, harbinger, origin).await?;
    let stale_from = Instant::now() + tag_ttl;
    let crowd = at_once("4/5 many machines at once", &images.crowd, clients, harbinger, origin).await?;
    origin.stop().await;
    wait_until(stale_from).await;
    let outage = one_by_one("5/5 the origin is dead", &images.family, harbinger, origin).await?;
    Ok(Scenes { direct, cold, warm, crowd, outage })
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

async fn wait_until(when: Instant) {
    let progress = bar("5/5 the origin is dead; waiting until Harbinger would ask it again whether tags still hold");
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
    SceneError { scene, repository: image.repository.clone(), cause }
}
