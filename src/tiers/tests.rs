use std::{path::Path, time::Duration};

use super::*;
use crate::oci::Algorithm;

fn digest_of(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

async fn read(tier: &dyn Tier, digest: &Digest) -> Option<Bytes> {
    match tier.lookup(digest).await.unwrap() {
        Some(found) => Some(found.read().await.unwrap()),
        None => None,
    }
}

/// What every tier has to keep; see the contract of [`Tier`].
async fn contract(tier: &dyn Tier, spools: &Disk) {
    let content = Bytes::from(vec![7; 3000]);
    let digest = digest_of(&content);
    assert_eq!(read(tier, &digest).await, None, "nothing is there before it is stored");

    tier.store(&digest, Content::Bytes(content.clone())).await.unwrap();
    assert_eq!(read(tier, &digest).await, Some(content.clone()));
    tier.store(&digest, Content::Bytes(content.clone())).await.unwrap();
    assert_eq!(tier.usage().entries, 1, "storing twice is storing once");

    let found = tier.lookup(&digest).await.unwrap().unwrap();
    tier.remove(&digest).await;
    assert_eq!(read(tier, &digest).await, None);
    assert_eq!(found.read().await.unwrap(), content, "what was handed out stays readable");
    tier.remove(&digest).await;

    let spooled = Bytes::from(vec![8; 2000]);
    let spool = spools.spool().await.unwrap();
    Spool::write_at(spool.file(), &spooled, 0).unwrap();
    let digest = digest_of(&spooled);
    tier.store(&digest, Content::Spool { spool, size: 2000 }).await.unwrap();
    assert_eq!(read(tier, &digest).await, Some(spooled));

    let empty = digest_of(b"");
    tier.store(&empty, Content::Bytes(Bytes::new())).await.unwrap();
    assert_eq!(read(tier, &empty).await, Some(Bytes::new()), "the empty blob is a blob");

    let long = Bytes::from(vec![9; 100_000]);
    tier.store(&digest_of(&long), Content::Bytes(long.clone())).await.unwrap();
    assert_eq!(read(tier, &digest_of(&long)).await, None, "what is too large is not taken, and no error");

    for n in 0..100_u32 {
        let content = Bytes::from(vec![n as u8; 1000]);
        tier.store(&digest_of(&[&content[..], &n.to_be_bytes()].concat()), Content::Bytes(content)).await.unwrap();
    }
    let usage = tier.usage();
    assert!(usage.bytes <= usage.limit, "{usage:?}");
    assert!(usage.entries > 0);
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let spools = Disk::open(folder.path(), 1 << 20).unwrap();
    contract(&Memory::new(50_000, 10_000), &spools).await;
}

#[tokio::test]
async fn disk_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 50_000).unwrap();
    contract(&disk, &disk.clone()).await;
}

async fn listed(folder: &Path, limit: u64) -> Disk {
    let disk = Disk::open(folder, limit).unwrap();
    while !disk.is_listed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    disk
}

#[tokio::test]
async fn disk_finds_what_an_earlier_run_left_and_deletes_its_spools() {
    let folder = tempfile::tempdir().unwrap();
    let content = Bytes::from_static(b"kept");
    let digest = digest_of(&content);
    let disk = Disk::open(folder.path(), 1000).unwrap();
    disk.store(&digest, Content::Bytes(content.clone())).await.unwrap();
    // A process that is killed runs no destructor.
    std::mem::forget(disk.spool().await.unwrap());
    drop(disk);

    let disk = listed(folder.path(), 1000).await;
    assert_eq!(read(&disk, &digest).await, Some(content));
    assert_eq!(disk.usage().bytes, 4);
    let spools: Vec<_> = std::fs::read_dir(folder.path().join("spool")).unwrap().collect();
    assert_eq!(spools.len(), 1, "only this run's folder is left");
}

#[tokio::test]
async fn disk_shrinks_to_a_smaller_limit_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 100_000).unwrap();
    for n in 0..50_u8 {
        disk.store(&digest_of(&[n]), Content::Bytes(vec![n; 1000].into())).await.unwrap();
    }
    drop(disk);
    let disk = listed(folder.path(), 10_000).await;
    while disk.usage().bytes > 10_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(disk.usage().entries, 10);
}

#[tokio::test]
async fn room_is_made_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 30).unwrap();
    for n in 0..50_u8 {
        disk.store(&digest_of(&[n]), Content::Bytes(vec![n; 1000].into())).await.unwrap();
    }
    disk.make_room().await;
    assert_eq!(disk.usage().bytes, 45_000);
}

#[tokio::test]
async fn a_spool_that_is_dropped_never_happened() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1000).unwrap();
    let spool = disk.spool().await.unwrap();
    let file = spool.file().clone();
    Spool::write_at(&file, b"abc", 0).unwrap();
    drop(spool);
    assert_eq!(disk.usage().entries, 0);
    assert_eq!(read_file(&file, 3).unwrap(), "abc", "but who reads it can finish");
}

fn entry_path(folder: &Path, digest: &Digest) -> std::path::PathBuf {
    folder.join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_removed_and_counts_as_absent() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 20).unwrap();
    let content = Bytes::from(vec![1; 5000]);
    let digest = digest_of(&content);
    disk.store(&digest, Content::Bytes(content)).await.unwrap();
    let path = entry_path(folder.path(), &digest);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert!(disk.lookup(&digest).await.unwrap().is_none());
    assert!(!path.exists());
    assert_eq!(disk.usage().entries, 0);
}

#[tokio::test]
async fn a_small_file_that_was_changed_on_disk_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let content = Bytes::from(vec![1; 5000]);
    let digest = digest_of(&content);
    listed(folder.path(), 1 << 20).await.store(&digest, Content::Bytes(content)).await.unwrap();
    std::fs::write(entry_path(folder.path(), &digest), vec![2; 5000]).unwrap();

    let hosted = ContentStore::open(folder.path()).unwrap();
    let tiers = Tiers::new(Memory::new(1 << 20, 1 << 18), listed(folder.path(), 1 << 20).await, hosted);
    assert!(tiers.lookup(&digest).await.is_none());
    assert!(!tiers.contains(&digest).await);
}

#[tokio::test]
async fn small_content_is_promoted_and_large_content_stays_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = listed(folder.path(), 1 << 20).await;
    let (small, large) = (Bytes::from(vec![1; 100]), Bytes::from(vec![2; 10_000]));
    for content in [&small, &large] {
        disk.store(&digest_of(content), Content::Bytes(content.clone())).await.unwrap();
    }
    let tiers = Tiers::new(Memory::new(1 << 20, 1000), disk, ContentStore::open(folder.path()).unwrap());
    let tier = async |content: &[u8]| tiers.lookup(&digest_of(content)).await.map(|found| found.tier);
    assert_eq!(tier(&small).await, Some(TierName::Disk));
    assert_eq!(tier(&small).await, Some(TierName::Memory));
    assert_eq!(tier(&large).await, Some(TierName::Disk));
    assert_eq!(tier(&large).await, Some(TierName::Disk));
}
