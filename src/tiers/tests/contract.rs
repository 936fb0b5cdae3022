//! What every tier has to keep; see the contract of [`Tier`].

use std::sync::atomic::{AtomicU32, Ordering};

use object_store::memory::InMemory;

use super::*;
use crate::config;

pub(super) async fn read(tier: &dyn Tier, digest: &Digest) -> Option<Bytes> {
    match tier.lookup(digest, &Wanted::default()).await.unwrap() {
        Some(found) => Some(found.read().await.unwrap()),
        None => None,
    }
}

async fn contract(tier: &dyn Tier, spools: &Disk) {
    let (digest, bytes) = content(7, 3000);
    assert_eq!(read(tier, &digest).await, None, "nothing is there before it is stored");

    tier.store(&digest, Content::Bytes(bytes.clone())).await.unwrap();
    assert_eq!(read(tier, &digest).await, Some(bytes.clone()));
    tier.store(&digest, Content::Bytes(bytes.clone())).await.unwrap();
    assert_eq!(read(tier, &digest).await, Some(bytes.clone()), "storing twice is storing once");

    let found = tier.lookup(&digest, &Wanted::default()).await.unwrap().unwrap();
    assert_eq!((found.size, found.tier), (3000, tier.name()));
    tier.remove(&digest).await;
    assert_eq!(read(tier, &digest).await, None);
    assert_eq!(found.read().await.unwrap(), bytes, "what was handed out stays readable");
    tier.remove(&digest).await;

    let (digest, bytes) = content(8, 2000);
    tier.store(&digest, spooled(spools, &bytes).await).await.unwrap();
    assert_eq!(read(tier, &digest).await, Some(bytes));

    let empty = digest_of(b"");
    tier.store(&empty, Content::Bytes(Bytes::new())).await.unwrap();
    assert_eq!(read(tier, &empty).await, Some(Bytes::new()), "the empty blob is a blob");
}

/// What a tier of 50,000 bytes has to keep besides.
async fn bounds(tier: &dyn Tier) {
    let (digest, bytes) = content(1, 3000);
    for _ in 0..2 {
        tier.store(&digest, Content::Bytes(bytes.clone())).await.unwrap();
    }
    let before = tier.usage().entries;
    tier.remove(&digest).await;
    assert_eq!(tier.usage().entries, before - 1, "what was stored twice is there once");

    let (digest, bytes) = content(9, 100_000);
    tier.store(&digest, Content::Bytes(bytes)).await.unwrap();
    assert_eq!(read(tier, &digest).await, None, "what is too large is not taken, and no error");

    for n in 0..100_u8 {
        let (digest, bytes) = content(n, 1000);
        tier.store(&digest, Content::Bytes(bytes)).await.unwrap();
        let usage = tier.usage();
        assert!(usage.bytes <= usage.limit, "{usage:?}");
    }
    assert!(tier.usage().entries > 0);
}

/// A tier that fails when it is told to never has half of anything.
async fn failures(tier: &dyn Tier, spools: &Disk) {
    let failing = Failing { inner: tier, failures: AtomicU32::new(2) };
    let (digest, bytes) = content(11, 4000);
    for _ in 0..2 {
        let kind = failing.store(&digest, spooled(spools, &bytes).await).await.unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::StorageFull);
        assert_eq!(read(tier, &digest).await, None, "a store that failed never happened");
    }
    failing.store(&digest, spooled(spools, &bytes).await).await.unwrap();
    assert_eq!(read(&failing, &digest).await, Some(bytes));
    tier.remove(&digest).await;
}

async fn spooled(spools: &Disk, bytes: &Bytes) -> Content {
    let spool = spools.spool().await.unwrap();
    Spool::write_at(spool.file(), bytes, 0).unwrap();
    Content::Spool { spool, size: bytes.len() as u64 }
}

/// A tier that takes its time.
#[derive(Debug)]
struct Slow<'t>(&'t dyn Tier);

const PAUSE: Duration = Duration::from_millis(5);

impl Tier for Slow<'_> {
    fn name(&self) -> TierName {
        self.0.name()
    }

    fn lookup<'a>(&'a self, digest: &'a Digest, wanted: &'a Wanted) -> BoxFuture<'a, io::Result<Option<Found>>> {
        Box::pin(async move {
            tokio::time::sleep(PAUSE).await;
            self.0.lookup(digest, wanted).await
        })
    }

    fn store<'a>(&'a self, digest: &'a Digest, content: Content) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            tokio::time::sleep(PAUSE).await;
            self.0.store(digest, content).await
        })
    }

    fn remove<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tokio::time::sleep(PAUSE).await;
            self.0.remove(digest).await;
        })
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }
}

/// A tier that is full for a while.
#[derive(Debug)]
struct Failing<'t> {
    inner: &'t dyn Tier,
    failures: AtomicU32,
}

impl Tier for Failing<'_> {
    fn name(&self) -> TierName {
        self.inner.name()
    }

    fn lookup<'a>(&'a self, digest: &'a Digest, wanted: &'a Wanted) -> BoxFuture<'a, io::Result<Option<Found>>> {
        self.inner.lookup(digest, wanted)
    }

    fn store<'a>(&'a self, digest: &'a Digest, content: Content) -> BoxFuture<'a, io::Result<()>> {
        let fails = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if fails {
            return Box::pin(std::future::ready(Err(io::ErrorKind::StorageFull.into())));
        }
        self.inner.store(digest, content)
    }

    fn remove<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        self.inner.remove(digest)
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let spools = open_disk(folder.path(), 1 << 20).unwrap();
    let memory = Memory::new(50_000, 10_000);
    contract(&memory, &spools).await;
    bounds(&memory).await;
    contract(&Slow(&Memory::new(50_000, 10_000)), &spools).await;
    failures(&Memory::new(50_000, 10_000), &spools).await;
}

#[tokio::test]
async fn disk_keeps_the_contract() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let disks = folders.each_ref().map(|folder| open_disk(folder.path(), 50_000).unwrap());
    contract(&disks[0], &disks[0].clone()).await;
    bounds(&disks[0]).await;
    contract(&Slow(&disks[1]), &disks[1].clone()).await;
    failures(&disks[2], &disks[2].clone()).await;
}

#[tokio::test]
async fn a_disk_that_fails_itself_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_disk(folder.path(), 50_000).unwrap();
    let (digest, bytes) = content(1, 3000);
    // A file where the shard's folder should be: no name can be given.
    let shard = folder.path().join("blobs/sha256").join(&digest.hex()[..2]);
    std::fs::write(&shard, "in the way").unwrap();
    disk.store(&digest, Content::Bytes(bytes.clone())).await.unwrap_err();
    assert_eq!(disk.usage().entries, 0);
    std::fs::remove_file(&shard).unwrap();
    assert_eq!(read(&disk, &digest).await, None, "a store that failed never happened");
    disk.store(&digest, Content::Bytes(bytes.clone())).await.unwrap();
    assert_eq!(read(&disk, &digest).await, Some(bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_tier_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let spools = open_disk(folder.path(), 1 << 20).unwrap();
    let bucket = |prefix| Bucket::over(Arc::new(InMemory::new()), None, prefix);
    let start = |prefix| {
        let (config, data) = (config::Object::default(), folder.path().join(prefix));
        ObjectTier::start(bucket(prefix), &config, &data, &Metrics::new(), Handle::current()).unwrap()
    };
    contract(&start("plain"), &spools).await;
    contract(&Slow(&start("slow")), &spools).await;
    failures(&start("failing"), &spools).await;
}
