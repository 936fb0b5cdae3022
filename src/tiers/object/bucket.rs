//! The bucket: where what lies in it, and through which clients.

use std::{fmt, sync::Arc};

use object_store::{ObjectStore, path::Path, signer::Signer};

use crate::oci::Digest;

/// Longest key of a record, in bytes: clouds end at 1,024 for the whole name.
const LONGEST_KEY: usize = 700;

/// One bucket, or a folder in it.
///
/// Reads and writes have clients of their own: a read that fails is answered from elsewhere at once, a write is tried again.
#[derive(Clone)]
pub struct Bucket {
    pub(super) reads: Arc<dyn ObjectStore>,
    pub(super) writes: Arc<dyn ObjectStore>,
    pub(super) signer: Option<Arc<dyn Signer>>,
    pub(super) prefix: Path,
}

impl Bucket {
    /// A bucket over any store; without a `signer` no client is sent there.
    pub fn over(store: Arc<dyn ObjectStore>, signer: Option<Arc<dyn Signer>>, prefix: &str) -> Self {
        Self { reads: store.clone(), writes: store, signer, prefix: Path::from(prefix) }
    }

    /// Where a content lies.
    pub(super) fn blob(&self, digest: &Digest) -> Path {
        let hex = digest.hex();
        let folder = self.prefix.clone().join("blobs").join(digest.algorithm().as_str());
        folder.join(&hex[..2]).join(hex.as_str())
    }

    /// Where a record lies. `None` for a key that cannot be one: empty, too long, or with empty parts between its slashes.
    pub(super) fn record(&self, key: &str) -> Option<Path> {
        if key.len() > LONGEST_KEY || key.split('/').any(str::is_empty) {
            return None;
        }
        Some(key.split('/').fold(self.prefix.clone().join("records"), |path, part| path.join(part)))
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} below '{}'", self.reads, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::oci::Algorithm;

    #[test]
    fn everything_has_its_place() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let hex = digest.hex();
        for (prefix, start) in [("", String::new()), ("edge/eu", "edge/eu/".to_owned())] {
            let bucket = Bucket::over(store.clone(), None, prefix);
            assert_eq!(bucket.blob(&digest).to_string(), format!("{start}blobs/sha256/{}/{hex}", &hex[..2]));
            let record = |key| bucket.record(key).map(|path| path.to_string());
            assert_eq!(record("tags/docker.io/nginx"), Some(format!("{start}records/tags/docker.io/nginx")));
            assert_eq!(record("a/../b"), Some(format!("{start}records/a/%2E%2E/b")), "no way out of the folder");
        }
        let bucket = Bucket::over(store, None, "");
        for key in ["", "/a", "a/", "a//b", &"x".repeat(701)] {
            assert_eq!(bucket.record(key), None, "{key}");
        }
    }
}
