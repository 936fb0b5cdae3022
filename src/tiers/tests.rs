mod contract;

use std::{path::Path, time::Duration};

use super::*;
use crate::oci::Algorithm;

fn digest_of(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

fn open_disk(folder: &Path, limit: u64) -> io::Result<Disk> {
    Disk::open(DiskSettings::new(folder, limit), Arc::new(DecayedCounts), Arc::default())
}

fn open_tiers(disks: Vec<DiskSettings>, memory_max_entry: u64) -> Tiers {
    let hosted = ContentStore::open(&disks[0].folder).unwrap();
    let (move_rate, scrub) = (1 << 30, ScrubSettings::NEVER);
    Tiers::open(TierSettings { memory_limit: 1 << 20, memory_max_entry, disks, move_rate, scrub }, hosted).unwrap()
}

async fn listed(folder: &Path, limit: u64) -> Disk {
    let disk = open_disk(folder, limit).unwrap();
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
    let disk = open_disk(folder.path(), 1000).unwrap();
    disk.store(&digest, Content::Bytes(content.clone())).await.unwrap();
    // A process that is killed runs no destructor.
    std::mem::forget(disk.spool().await.unwrap());
    drop(disk);

    let disk = listed(folder.path(), 1000).await;
    assert_eq!(contract::read(&disk, &digest).await, Some(content));
    assert_eq!(disk.usage().bytes, 4);
    let spools: Vec<_> = std::fs::read_dir(folder.path().join("spool")).unwrap().collect();
    assert_eq!(spools.len(), 1, "only this run's folder is left");
}

#[tokio::test]
async fn disk_shrinks_to_a_smaller_limit_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_disk(folder.path(), 100_000).unwrap();
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
    let disk = open_disk(folder.path(), 1 << 30).unwrap();
    for n in 0..50_u8 {
        disk.store(&digest_of(&[n]), Content::Bytes(vec![n; 1000].into())).await.unwrap();
    }
    disk.make_room().await;
    assert_eq!(disk.usage().bytes, 45_000);
}

#[tokio::test]
async fn a_spool_that_is_dropped_never_happened() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_disk(folder.path(), 1000).unwrap();
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
    let disk = open_disk(folder.path(), 1 << 20).unwrap();
    let content = Bytes::from(vec![1; 5000]);
    let digest = digest_of(&content);
    disk.store(&digest, Content::Bytes(content)).await.unwrap();
    let path = entry_path(folder.path(), &digest);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert!(disk.lookup(&digest, &Wanted::default()).await.unwrap().is_none());
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

    let tiers = open_tiers(vec![DiskSettings::new(folder.path(), 1 << 20)], 1 << 18);
    assert!(tiers.lookup(&digest, &Wanted::default()).await.is_none());
    assert!(!tiers.contains(&digest).await);
    assert!(folder.path().join("quarantine").join(format!("sha256-{}", digest.hex())).exists());
}

#[tokio::test]
async fn what_a_crash_has_left_is_not_relied_on_before_it_was_hashed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DiskSettings::new(folder.path(), 1 << 20);
    let contents: Vec<_> = (0..10).map(|n| content(n, 10_000)).collect();
    let crashed = open_tiers(vec![settings.clone()], 1000);
    for (digest, bytes) in &contents {
        crashed.store(digest, Content::Bytes(bytes.clone())).await.unwrap();
    }
    // A process that is killed ends nothing properly.
    std::mem::forget((crashed.spool().await.unwrap(), crashed));

    let next = open_tiers(vec![settings], 1000);
    for (digest, bytes) in &contents {
        let found = next.lookup(digest, &Wanted::default()).await.unwrap();
        assert!(!found.verified, "whether it is listed by now or not");
        assert!(!next.lookup(digest, &Wanted::default()).await.unwrap().verified, "to be asked for is not to be hashed");
        assert_eq!(found.clone().read().await.unwrap(), bytes);
        next.mark_verified(digest, &found);
        assert!(next.lookup(digest, &Wanted::default()).await.unwrap().verified);
    }
}

#[tokio::test]
async fn small_content_is_promoted_and_large_content_stays_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let tiers = open_tiers(vec![DiskSettings::new(folder.path(), 1 << 20)], 1000);
    let (small, large) = (Bytes::from(vec![1; 100]), Bytes::from(vec![2; 10_000]));
    for content in [&small, &large] {
        tiers.disks()[0].store(&digest_of(content), Content::Bytes(content.clone())).await.unwrap();
    }
    let tier = async |content: &[u8]| tiers.lookup(&digest_of(content), &Wanted::default()).await.map(|found| found.tier);
    assert_eq!(tier(&small).await, Some(TierName::Disk));
    assert_eq!(tier(&small).await, Some(TierName::Memory));
    assert_eq!(tier(&large).await, Some(TierName::Disk));
    assert_eq!(tier(&large).await, Some(TierName::Disk));
}

fn content(n: u8, size: usize) -> (Digest, Bytes) {
    let bytes = Bytes::from(vec![n; size]);
    (digest_of(&bytes), bytes)
}

#[tokio::test]
async fn what_was_stored_or_hashed_is_verified_until_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DiskSettings::new(folder.path(), 1 << 20);
    let (digest, bytes) = content(1, 10_000);
    let tiers = open_tiers(vec![settings.clone()], 1000);
    tiers.store(&digest, Content::Bytes(bytes)).await.unwrap();
    let look = async |tiers: &Tiers| tiers.lookup(&digest, &Wanted::default()).await.unwrap();
    assert!(look(&tiers).await.verified);

    let file = std::fs::File::options().write(true).open(entry_path(folder.path(), &digest)).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(!look(&tiers).await.verified, "somebody has touched it");

    let restarted = open_tiers(vec![settings], 1000);
    let found = look(&restarted).await;
    assert!(!found.verified, "an earlier run's");
    restarted.mark_verified(&digest, &found);
    assert!(look(&restarted).await.verified);
}

/// A fast and a slow disk, moving.
struct TwoDisks {
    fast: tempfile::TempDir,
    slow: tempfile::TempDir,
    tiers: Tiers,
}

impl TwoDisks {
    fn new(fast_limit: u64, slow_limit: u64) -> Self {
        let (fast, slow) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = |name: &str, kind, folder: &Path, limit, elsewhere| DiskSettings {
            name: name.to_owned(),
            kind,
            elsewhere,
            ..DiskSettings::new(folder, limit)
        };
        let disks = vec![
            disk("fast", TierName::Ssd, fast.path(), fast_limit, Some(TierName::Hdd)),
            disk("slow", TierName::Hdd, slow.path(), slow_limit, None),
        ];
        let tiers = open_tiers(disks, 100);
        tiers.start(&Handle::current());
        Self { fast, slow, tiers }
    }

    /// Waits until a content lies where it should.
    async fn settled(&self, digest: &Digest, fast: bool) {
        let places = || (entry_path(self.fast.path(), digest).exists(), entry_path(self.slow.path(), digest).exists());
        while places() != (fast, !fast) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn ask(&self, digest: &Digest) -> Option<TierName> {
        self.tiers.lookup(digest, &Wanted::default()).await.map(|found| found.tier)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_worth_least_goes_down_and_is_served_from_there() {
    let disks = TwoDisks::new(100_000, 1 << 20);
    let contents: Vec<_> = (0..12).map(|n| content(n, 10_000)).collect();
    for (digest, bytes) in &contents[..9] {
        disks.tiers.store(digest, Content::Bytes(bytes.clone())).await.unwrap();
        for _ in 0..u8::from(*digest != contents[4].0) * 3 {
            disks.ask(digest).await;
        }
    }
    disks.tiers.store(&contents[9].0, Content::Bytes(contents[9].1.clone())).await.unwrap();
    disks.ask(&contents[9].0).await;
    disks.settled(&contents[4].0, false).await;
    assert_eq!(disks.ask(&contents[4].0).await, Some(TierName::Hdd));
    for (digest, _) in contents[..10].iter().filter(|(digest, _)| *digest != contents[4].0) {
        assert_eq!(disks.ask(digest).await, Some(TierName::Ssd));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_goes_up_and_displaces_what_is_not() {
    let disks = TwoDisks::new(50_000, 1 << 20);
    let (wanted, bytes) = content(1, 20_000);
    disks.tiers.disks()[1].store(&wanted, Content::Bytes(bytes)).await.unwrap();
    let cold: Vec<_> = (2..4).map(|n| content(n, 20_000)).collect();
    for (digest, bytes) in &cold {
        disks.tiers.disks()[0].store(digest, Content::Bytes(bytes.clone())).await.unwrap();
    }
    for _ in 0..8 {
        disks.ask(&wanted).await;
    }
    disks.settled(&wanted, true).await;
    assert_eq!(disks.tiers.disks()[0].usage().bytes, 40_000);
    assert_eq!(disks.tiers.disks()[1].usage().entries, 1, "one of the cold ones has gone down");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_superseded_goes_down_at_once() {
    let disks = TwoDisks::new(1 << 20, 1 << 20);
    let (digest, bytes) = content(1, 10_000);
    disks.tiers.store(&digest, Content::Bytes(bytes)).await.unwrap();
    disks.tiers.supersede(&[digest]).await;
    disks.settled(&digest, false).await;
    assert_eq!(disks.ask(&digest).await, Some(TierName::Hdd), "a rollback finds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_content_is_not_moved_but_quarantined() {
    let disks = TwoDisks::new(1 << 20, 1 << 20);
    let (digest, bytes) = content(1, 10_000);
    disks.tiers.store(&digest, Content::Bytes(bytes)).await.unwrap();
    std::fs::write(entry_path(disks.fast.path(), &digest), vec![2; 10_000]).unwrap();
    disks.tiers.supersede(&[digest]).await;
    let kept = disks.fast.path().join("quarantine").join(format!("sha256-{}", digest.hex()));
    while !kept.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(disks.ask(&digest).await, None);
    assert_eq!(disks.tiers.disks()[1].usage().entries, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_too_large_for_the_fast_disk_lands_on_the_slow_one() {
    let disks = TwoDisks::new(10_000, 1 << 20);
    let (digest, bytes) = content(1, 50_000);
    let spool = disks.tiers.spool().await.unwrap();
    Spool::write_at(spool.file(), &bytes, 0).unwrap();
    disks.tiers.store(&digest, Content::Spool { spool, size: 50_000 }).await.unwrap();
    assert_eq!(disks.ask(&digest).await, Some(TierName::Hdd));
}

#[tokio::test]
async fn a_spool_finds_another_disk_when_the_first_fails() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disks = vec![DiskSettings::new(first.path(), 1 << 20), DiskSettings::new(second.path(), 1 << 20)];
    let tiers = open_tiers(disks, 100);
    std::fs::remove_dir_all(first.path().join("spool")).unwrap();
    tiers.spool().await.unwrap();
    std::fs::remove_dir_all(second.path().join("spool")).unwrap();
    assert_eq!(tiers.spool().await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_uses_leaves() {
    let disks = TwoDisks::new(1 << 20, 1 << 20);
    let (digest, bytes) = content(1, 10_000);
    disks.tiers.store(&digest, Content::Bytes(bytes)).await.unwrap();
    let wanted = Wanted { unused_ttl: Some(Duration::ZERO), ..Wanted::default() };
    disks.tiers.lookup(&digest, &wanted).await.unwrap();
    while disks.tiers.contains(&digest).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_arrives_belongs_to_those_who_waited() {
    let folder = tempfile::tempdir().unwrap();
    let tiers = open_tiers(vec![DiskSettings::new(folder.path(), 1 << 20)], 100);
    let (digest, bytes) = content(1, 10_000);
    for customer in ["acme", "umbrella"] {
        tiers.expect(&digest, &Wanted { weight: 4.0, customer: Some(customer.into()), unused_ttl: None });
    }
    tiers.store(&digest, Content::Bytes(bytes)).await.unwrap();
    let listed = tiers.disks()[0].show(&digest).unwrap();
    assert_eq!(&*listed.customer, "umbrella");
    assert!((listed.heat - 8.0).abs() < 0.01, "{listed:?}");
}
