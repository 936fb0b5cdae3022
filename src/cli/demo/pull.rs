//! A small pull client that trusts nobody: every manifest, configuration and layer is checked against its digest and size.
//!
//! It pulls as container runtimes do: the index by tag, the manifest of one architecture, then the blobs, three at a time
//! over connections that are kept open.

mod connection;

pub(super) use connection::PullError;

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::{try_join, try_join_all};
use indicatif::ProgressBar;
use parking_lot::Mutex;

use super::images::Image;
use crate::oci::{Descriptor, Digest, Manifest};
use connection::Connection;

/// Blobs that one machine downloads at once: the default of container runtimes.
const LANES: usize = 3;

/// The architecture that is pulled.
pub(super) const ARCHITECTURE: &str = "amd64";

/// A content to fetch, and what it must turn out to be.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    digest: Digest,
    size: u64,
}

/// Pulls an image as one machine would that has none of its layers. Returns the bytes of all bodies.
///
/// # Errors
/// [`PullError`]: an answer that is not there, not whole, or not what its digest says.
pub(super) async fn pull(from: SocketAddr, image: &Image, progress: &ProgressBar) -> Result<u64, PullError> {
    let mut connection = Connection::open(from).await?;
    let index = connection.manifest(&image.repository, image.tag, image.index).await?;
    let chosen = wanted(&of_architecture(&index)?)?;
    let manifest = connection.manifest(&image.repository, &chosen.digest.to_string(), chosen.digest).await?;
    let mut received = (index.len() + manifest.len()) as u64;
    progress.inc(received);

    let manifest = Manifest::read(&manifest, None).map_err(PullError::manifest)?;
    let blobs: Result<Vec<Wanted>, PullError> = manifest.config.iter().chain(&manifest.layers).map(wanted).collect();
    let blobs = blobs?;
    received += blobs.iter().map(|blob| blob.size).sum::<u64>();

    let queue = Queue { repository: &image.repository, blobs: Mutex::new(blobs.into_iter()), progress };
    let other_lanes = (1..LANES).map(|_| async {
        let connection = Connection::open(from).await?;
        queue.drain(connection).await
    });
    try_join(queue.drain(connection), try_join_all(other_lanes)).await?;
    Ok(received)
}

/// The blobs of one image that are still to be fetched.
struct Queue<'a> {
    repository: &'a str,
    blobs: Mutex<std::vec::IntoIter<Wanted>>,
    progress: &'a ProgressBar,
}

impl Queue<'_> {
    async fn drain(&self, mut connection: Connection) -> Result<(), PullError> {
        loop {
            let next = self.blobs.lock().next();
            let Some(blob) = next else {
                return Ok(());
            };
            connection.blob(self.repository, blob.digest, blob.size, self.progress).await?;
        }
    }
}

fn of_architecture(index: &Bytes) -> Result<Descriptor, PullError> {
    let index = Manifest::read(index, None).map_err(PullError::manifest)?;
    let is_ours = |descriptor: &Descriptor| {
        descriptor.platform().as_ref().is_some_and(|platform| platform.architecture().to_string() == ARCHITECTURE)
    };
    index.manifests.into_iter().find(is_ours).ok_or_else(|| PullError::manifest(format!("it names no {ARCHITECTURE} image")))
}

fn wanted(descriptor: &Descriptor) -> Result<Wanted, PullError> {
    let digest = descriptor.digest().to_string().parse().map_err(PullError::manifest)?;
    Ok(Wanted { digest, size: descriptor.size() })
}
