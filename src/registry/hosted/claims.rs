//! Who is busy with which digest: pushes among each other are welcome, garbage collection wants to be alone.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::oci::Digest;

/// Digests share this many locks.
const STRIPES: usize = 64;

/// One lock for every digest, more or less.
#[derive(Debug)]
pub(super) struct Claims {
    stripes: Vec<Arc<RwLock<()>>>,
}

impl Claims {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Arc::default()).collect() }
    }

    /// From before bytes get their name until a row says whose they are.
    pub(super) async fn share(&self, digest: &Digest) -> OwnedRwLockReadGuard<()> {
        self.stripe(digest).read_owned().await
    }

    /// From the last look at the rows until the bytes are gone.
    pub(super) async fn take(&self, digest: &Digest) -> OwnedRwLockWriteGuard<()> {
        self.stripe(digest).write_owned().await
    }

    fn stripe(&self, digest: &Digest) -> Arc<RwLock<()>> {
        Arc::clone(&self.stripes[usize::from(digest.as_bytes()[0]) % STRIPES])
    }
}
