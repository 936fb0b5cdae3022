mod faulty;
mod queue;
mod reads;
mod records;
mod statuses;
mod uploads;

use std::{path::PathBuf, time::Duration};

use object_store::ObjectStoreExt;
use tempfile::TempDir;
use tokio::time::sleep;

use self::faulty::{Fault, Faulty};
use super::*;
use crate::oci::Algorithm;

/// An edge with its folder, over a bucket that other edges may share.
struct Edge {
    tier: ObjectTier,
    store: Arc<Faulty>,
    folder: TempDir,
}

/// Small parts, so that contents of a few hundred bytes are uploaded in several.
fn limits() -> Object {
    Object {
        multipart_above: bytesize::ByteSize::b(1000),
        part_size: bytesize::ByteSize::b(400),
        queue_entries: 5,
        queue_limit: bytesize::ByteSize::b(10_000),
        max_uploads: 1,
        ..Object::default()
    }
}

impl Edge {
    fn new() -> Self {
        Self::over(Arc::new(Faulty::new()))
    }

    fn over(store: Arc<Faulty>) -> Self {
        Self::within(tempfile::tempdir().unwrap(), store)
    }

    fn within(folder: TempDir, store: Arc<Faulty>) -> Self {
        let bucket = Bucket::over(store.clone(), None, "p");
        let tier = ObjectTier::start(bucket, &limits(), folder.path(), &Metrics::new(), Handle::current()).unwrap();
        Self { tier, store, folder }
    }

    /// Crashes, and starts again.
    fn restart(self) -> Self {
        let Self { tier, store, folder } = self;
        drop(tier);
        Self::within(folder, store)
    }

    /// A file as it lies in a disk tier.
    fn file(&self, content: &[u8]) -> (Digest, PathBuf) {
        let digest = digest_of(content);
        let hex = digest.hex();
        let shard = self.folder.path().join("blobs/sha256").join(&hex[..2]);
        fs::create_dir_all(&shard).unwrap();
        fs::write(shard.join(&hex), content).unwrap();
        (digest, shard.join(hex))
    }

    fn offer(&self, content: &[u8]) -> Digest {
        let (digest, file) = self.file(content);
        self.tier.offer(&digest, &file, content.len() as u64);
        digest
    }

    /// What waits in the outbox, by name.
    fn waiting(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join("outbox")).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("sha")).collect();
        names.sort();
        names
    }

    /// Puts an object into the bucket, past the tier.
    async fn plant(&self, digest: &Digest, content: &[u8]) {
        let path = self.tier.shared.bucket.blob(digest);
        self.store.inner.put(&path, content.to_vec().into()).await.unwrap();
    }

    /// What lies in the bucket, past the tier.
    async fn planted(&self, digest: &Digest) -> Option<Bytes> {
        let path = self.tier.shared.bucket.blob(digest);
        Some(self.store.inner.get(&path).await.ok()?.bytes().await.unwrap())
    }
}

fn digest_of(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

/// Waits for something that happens behind, in virtual time and on other threads.
async fn until(condition: impl Fn() -> bool) {
    let mut step = Duration::from_millis(1);
    while !condition() {
        std::thread::sleep(Duration::from_micros(200));
        sleep(step).await;
        step = (step * 5 / 4).min(Duration::from_secs(1));
    }
}

/// Lets virtual time pass, and everything run that becomes due in it.
async fn pass(time: Duration) {
    sleep(time).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
