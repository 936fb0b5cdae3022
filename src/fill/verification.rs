//! The task that hashes a file of the cache while it is read: what lies on a device may rot there.

use std::{io, os::unix::fs::FileExt, sync::Arc};

use super::{
    FillError, FillErrorKind, Shared, VERIFY_FIRST,
    flight::{Flight, Spill},
};
use crate::{oci::Hasher, tiers::Found};

/// Bytes read and hashed at once.
const PIECE: u64 = 1 << 20;

/// Why a file is not what it should be.
enum Fault {
    /// It holds other bytes, or fewer.
    Wrong,
    /// It cannot be read from `at` on.
    Unreadable { error: io::Error, at: u64, hasher: Box<Hasher> },
}

/// Hashes the file of a flight. A wrong one is out of the way when this returns, so that the next request begins anew.
pub(super) async fn verify(shared: &Shared, flight: &Flight, found: &Found) -> Result<(), FillError> {
    let Some(file) = found.file() else {
        // What is in memory is verified.
        return Err(FillError::new(FillErrorKind::Panicked));
    };
    // Set once: this task is the only one that does.
    let _ = flight.file.set(file.clone());
    flight.open(Some(found.size), false);
    verify_by(file, shared, flight, found).await
}

/// Verifies by reading from `file`, which is the flight's.
pub(super) async fn verify_by<F: FileExt + Send + Sync + 'static>(
    file: &Arc<F>,
    shared: &Shared,
    flight: &Flight,
    found: &Found,
) -> Result<(), FillError> {
    let fault = match hash(flight, file, found.size).await {
        Ok(()) => {
            shared.tiers.mark_verified(&flight.digest, found);
            flight.complete(found.size);
            return Ok(());
        }
        Err(fault) => fault,
    };
    let (digest, tier) = (&flight.digest, found.tier.as_str());
    shared.tiers.quarantine(digest).await;
    match fault {
        Fault::Wrong => {
            tracing::warn!(%digest, tier, "a file is damaged: it is not served, and fetched again when it is wanted");
            Err(FillError::new(FillErrorKind::DigestMismatch))
        }
        Fault::Unreadable { error, at, hasher } => {
            tracing::warn!(%digest, tier, %error, at, "a file cannot be read: what is missing comes from the upstream");
            if found.size <= VERIFY_FIRST {
                return Err(FillError::new(FillErrorKind::Unreadable));
            }
            flight.spill(Spill { at, hasher: *hasher, suppliers: flight.suppliers() });
            Ok(())
        }
    }
}

async fn hash<F: FileExt + Send + Sync + 'static>(flight: &Flight, file: &Arc<F>, size: u64) -> Result<(), Fault> {
    let (mut hasher, mut at) = (flight.digest.algorithm().hasher(), 0);
    let mut buffer = vec![0; PIECE.min(size) as usize];
    while at < size {
        let length = PIECE.min(size - at) as usize;
        let (file, before) = (file.clone(), hasher.clone());
        let reading = tokio::task::spawn_blocking(move || {
            // By position and not by a mapping: a device's error is then an error.
            let read = file.read_exact_at(&mut buffer[..length], at);
            if read.is_ok() {
                hasher.update(&buffer[..length]);
            }
            (buffer, hasher, read)
        });
        let read;
        (buffer, hasher, read) = match reading.await {
            Ok(done) => done,
            Err(error) => return Err(Fault::Unreadable { error: io::Error::other(error), at, hasher: Box::new(before) }),
        };
        match read {
            Ok(()) => at += length as u64,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Fault::Wrong),
            Err(error) => return Err(Fault::Unreadable { error, at, hasher: Box::new(hasher) }),
        }
        flight.advance(at);
    }
    if hasher.finish() == flight.digest { Ok(()) } else { Err(Fault::Wrong) }
}
