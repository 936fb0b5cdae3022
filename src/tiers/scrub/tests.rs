use std::{fs, os::unix::fs::FileExt, path::Path};

use bytes::Bytes;
use tokio::task::yield_now;

use super::{
    super::{Content, DiskSettings, TierSettings, Tiers, file_state},
    *,
};
use crate::oci::Algorithm;

const MIB: usize = 1 << 20;

/// Several pieces, the last of which is not full.
const SIZE: usize = 3 * MIB + 17;

/// How a file is damaged, and what is found then.
type Way<'a> = (&'a dyn Fn(&Path), Fault);

struct Setup {
    folder: tempfile::TempDir,
    tiers: Tiers,
    healed: Arc<Mutex<Vec<Digest>>>,
}

impl Setup {
    fn new(scrub: ScrubSettings) -> Self {
        Self::within(tempfile::tempdir().unwrap(), scrub)
    }

    /// Opens what lies in a folder.
    fn within(folder: tempfile::TempDir, scrub: ScrubSettings) -> Self {
        let disks = vec![DiskSettings::new(folder.path(), 1 << 30)];
        let settings = TierSettings { memory_limit: 1 << 20, memory_max_entry: 100, disks, move_rate: 0, scrub };
        let tiers = Tiers::open(settings, ContentStore::open(folder.path()).unwrap()).unwrap();
        let healed = Arc::<Mutex<Vec<Digest>>>::default();
        let heal = healed.clone();
        tiers.scrubber().heal_by(Arc::new(move |digests| heal.lock().extend(digests)));
        tiers.scrubber().start(&Handle::current());
        Self { folder, tiers, healed }
    }

    fn disk(&self) -> &Disk {
        &self.tiers.disks()[0]
    }

    async fn store(&self, n: u8, size: usize) -> (Digest, Bytes) {
        let bytes: Bytes = (0..size).map(|at| (at / 251) as u8 ^ n).collect::<Vec<_>>().into();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        self.tiers.store(&digest, Content::Bytes(bytes.clone())).await.unwrap();
        (digest, bytes)
    }

    /// Scrubs to the end.
    async fn scrub(&self) -> ScrubRun {
        self.tiers.scrubber().request(u64::MAX);
        self.ended().await
    }

    async fn ended(&self) -> ScrubRun {
        let mut patience = Duration::from_millis(1);
        loop {
            if let (Some(run), _) = self.tiers.scrubber().runs()
                && !run.running
            {
                return run;
            }
            sleep(patience).await;
            // Where time is cheap, much of it passes.
            patience = patience.mul_f32(1.1);
        }
    }

    /// Waits until something was hashed, without letting the time pass.
    async fn under_way(&self) {
        while self.tiers.scrubber().runs().0.is_none_or(|run| run.bytes == 0) {
            yield_now().await;
        }
    }

    fn quarantined(&self, digest: &Digest) -> bool {
        self.folder.path().join(format!("quarantine/sha256-{}", digest.hex())).exists()
    }
}

fn flip(path: &Path, at: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn set_length(path: &Path, length: usize) {
    fs::File::options().write(true).open(path).unwrap().set_len(length as u64).unwrap();
}

#[tokio::test]
async fn every_kind_of_damage_is_found_and_nothing_right_is_touched() {
    let setup = Setup::new(ScrubSettings::NEVER);
    let right = [setup.store(100, SIZE).await, setup.store(101, 1).await, setup.store(102, 0).await];
    let damages: [Way; 10] = [
        (&|path| flip(path, 0), Fault::Bytes),
        (&|path| flip(path, MIB as u64 - 1), Fault::Bytes),
        (&|path| flip(path, MIB as u64), Fault::Bytes),
        (&|path| flip(path, SIZE as u64 - 1), Fault::Bytes),
        (&|path| set_length(path, SIZE - 1), Fault::Length),
        (&|path| set_length(path, SIZE + 1), Fault::Length),
        (&|path| set_length(path, 3 * MIB), Fault::Length),
        (&|path| set_length(path, 0), Fault::Length),
        (
            &|path| {
                let file = fs::File::options().write(true).open(path).unwrap();
                file.write_all_at(&[0; 4096], 2 * MIB as u64).unwrap();
            },
            Fault::Bytes,
        ),
        (
            &|path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            Fault::Unreadable,
        ),
    ];
    let mut expected = Vec::new();
    for (n, (damage, fault)) in damages.iter().enumerate() {
        let (digest, _) = setup.store(n as u8, SIZE).await;
        damage(&setup.disk().path(&digest));
        expected.push((digest, *fault));
    }
    let swapped = [setup.store(50, SIZE).await.0, setup.store(51, SIZE).await.0];
    let paths = swapped.map(|digest| setup.disk().path(&digest));
    let aside = setup.folder.path().join("aside");
    for (from, to) in [(&paths[0], &aside), (&paths[1], &paths[0]), (&aside, &paths[1])] {
        fs::rename(from, to).unwrap();
    }
    expected.extend(swapped.map(|digest| (digest, Fault::Bytes)));
    expected.sort_by_key(|(digest, _)| *digest);

    let run = setup.scrub().await;
    let mut found: Vec<_> = run.damaged.iter().map(|damage| (damage.digest, damage.fault)).collect();
    found.sort_by_key(|(digest, _)| *digest);
    assert_eq!(found, expected);
    assert_eq!((run.damaged_count, run.checked, run.total, run.unreadable), (12, 15, 15, 0));
    assert!(run.damaged.iter().all(|damage| &*damage.tier == "disk"));
    let mut healed = setup.healed.lock().clone();
    healed.sort();
    assert_eq!(healed, expected.iter().map(|(digest, _)| *digest).collect::<Vec<_>>());
    for (digest, fault) in &expected {
        assert!(!setup.disk().contains(digest).await && setup.quarantined(digest), "{fault:?}");
    }
    assert_eq!(setup.disk().quarantined(), 12);
    for (digest, bytes) in &right {
        assert_eq!(fs::read(setup.disk().path(digest)).unwrap(), *bytes);
    }

    let again = setup.scrub().await;
    assert_eq!((again.damaged_count, again.checked, again.bytes), (0, 3, SIZE as u64 + 1));
    assert_eq!(setup.healed.lock().len(), 12);
}

#[tokio::test]
async fn what_an_earlier_run_left_is_verified_by_it() {
    let setup = Setup::new(ScrubSettings::NEVER);
    let (right, _) = setup.store(1, SIZE).await;
    let (wrong, _) = setup.store(2, SIZE).await;
    flip(&setup.disk().path(&wrong), 5);
    let Setup { folder, tiers, .. } = setup;
    drop(tiers);

    let next = Setup::within(folder, ScrubSettings::NEVER);
    let run = next.scrub().await;
    assert_eq!(run.damaged.iter().map(|damage| damage.digest).collect::<Vec<_>>(), [wrong]);
    assert!(next.disk().show(&right).unwrap().verified);
    assert_eq!(next.disk().show(&wrong), None);
}

#[tokio::test]
async fn what_was_pushed_is_told_of_and_stays() {
    let setup = Setup::new(ScrubSettings::NEVER);
    let digests = [setup.store(1, SIZE).await, setup.store(2, SIZE).await];
    let mut places = Vec::new();
    for (digest, bytes) in &digests {
        let spool = setup.tiers.spool().await.unwrap();
        spool.file().write_all_at(bytes, 0).unwrap();
        setup.tiers.hosted().store(digest, spool).await.unwrap();
        places.push(setup.folder.path().join("hosted/sha256").join(&digest.hex()[..2]).join(digest.hex()));
    }
    flip(&places[0], 7);
    let damaged = fs::read(&places[0]).unwrap();
    for _ in 0..2 {
        let run = setup.scrub().await;
        let expected = Damage { digest: digests[0].0, tier: "hosted".into(), size: SIZE as u64, fault: Fault::Bytes };
        assert_eq!((run.damaged, run.checked, run.total), (vec![expected], 4, 4));
        assert_eq!(fs::read(&places[0]).unwrap(), damaged, "it may be the only copy");
    }
    assert!(setup.healed.lock().is_empty() && !setup.quarantined(&digests[0].0));
}

#[tokio::test(start_paused = true)]
async fn what_goes_or_is_replaced_meanwhile_is_no_fault() {
    for replaced in [false, true] {
        let setup = Setup::new(ScrubSettings::NEVER);
        let (digest, bytes) = setup.store(1, SIZE).await;
        setup.tiers.scrubber().request(1);
        setup.under_way().await;
        // The rest of the file that is open is wrong, but it is not the entry any more.
        let place = setup.disk().path(&digest);
        let open = fs::File::options().write(true).open(&place).unwrap();
        setup.disk().release(&digest);
        open.write_all_at(b"wrong", 2 * MIB as u64).unwrap();
        if replaced {
            fs::write(&place, &bytes).unwrap();
        }
        let run = setup.ended().await;
        assert_eq!((run.damaged_count, run.bytes), (0, SIZE as u64));
        assert!(setup.healed.lock().is_empty() && !setup.quarantined(&digest));
        assert_eq!(fs::read(&place).ok(), replaced.then(|| bytes.to_vec()));
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_one_at_a_time() {
    let setup = Setup::new(ScrubSettings::NEVER);
    setup.store(1, SIZE).await;
    let first = setup.tiers.scrubber().request(1);
    assert!(first.running);
    setup.under_way().await;
    let second = setup.tiers.scrubber().request(u64::MAX);
    assert_eq!((second.began, second.bytes), (first.began, MIB as u64), "it has joined");
    let run = setup.ended().await;
    assert_eq!((run.began, run.checked), (first.began, 1));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(setup.tiers.scrubber().runs().0.unwrap().began, first.began, "nothing is left to be done");
    assert!(setup.scrub().await.began > first.began);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_unless_there_is_none() {
    let setup = Setup::new(ScrubSettings::NEVER);
    setup.store(1, 8 * MIB).await;
    let took = async |rate| {
        let before = Instant::now();
        setup.tiers.scrubber().request(rate);
        assert_eq!(setup.ended().await.bytes, 8 * MIB as u64);
        before.elapsed()
    };
    let slowly = took(MIB as u64).await;
    // Storing was demand, for a moment: the first pieces may have been slower.
    assert!(slowly >= Duration::from_secs(8) && slowly < Duration::from_secs(36), "{slowly:?}");
    assert!(took(u64::MAX).await < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn in_the_background_it_begins_again_after_a_while() {
    let interval = Duration::from_secs(24 * 3600);
    let setup = Setup::new(ScrubSettings { rate: 1 << 30, interval });
    let (digest, bytes) = setup.store(1, SIZE).await;
    let ended = async |checked: bool| {
        sleep(Duration::from_secs(60)).await;
        let background = setup.tiers.scrubber().runs().1;
        assert_eq!(background.as_ref().is_some_and(|run| !run.running), checked, "{background:?}");
        background.map_or(0, |run| run.damaged_count)
    };
    assert_eq!(ended(false).await, 0, "not at once");
    sleep(FIRST).await;
    assert_eq!(ended(true).await, 0);
    flip(&setup.disk().path(&digest), 9);
    sleep(interval - FIRST - Duration::from_secs(600)).await;
    assert_eq!(ended(true).await, 0, "not before it is due");
    sleep(FIRST + Duration::from_secs(600)).await;
    assert_eq!(ended(true).await, 1);
    assert_eq!(*setup.healed.lock(), [digest]);
    assert_eq!(setup.tiers.scrubber().runs().0, None, "nobody has asked for one");
    assert!(!setup.disk().path(&digest).exists(), "{}", bytes.len());
}

#[tokio::test(start_paused = true)]
async fn the_background_gives_way_to_an_operator() {
    let setup = Setup::new(ScrubSettings { rate: 1, interval: Duration::from_secs(24 * 3600) });
    setup.store(1, SIZE).await;
    sleep(FIRST + Duration::from_secs(1)).await;
    let background = || setup.tiers.scrubber().runs().1.unwrap();
    while background().bytes == 0 {
        yield_now().await;
    }
    assert!(background().running);
    let run = setup.scrub().await;
    assert_eq!((run.checked, run.bytes), (1, SIZE as u64));
    assert!(!background().running && background().bytes < SIZE as u64);
    sleep(Duration::from_secs(3600)).await;
    assert!(!background().running, "everything has been looked at");
}

#[tokio::test]
async fn a_device_that_fails_is_left_alone() {
    let setup = Setup::new(ScrubSettings::NEVER);
    for n in 0..20 {
        let (digest, _) = setup.store(n, 10).await;
        fs::remove_file(setup.disk().path(&digest)).unwrap();
        fs::create_dir(setup.disk().path(&digest)).unwrap();
    }
    let run = setup.scrub().await;
    assert_eq!((run.damaged_count, run.unreadable), (u64::from(FAILING), 1));
    assert_eq!(super::super::Tier::usage(setup.disk()).entries, 20 - u64::from(FAILING));
}

#[tokio::test]
async fn a_tier_that_cannot_be_listed_is_told() {
    let setup = Setup::new(ScrubSettings::NEVER);
    setup.store(1, 10).await;
    fs::remove_dir_all(setup.folder.path().join("blobs/sha512")).unwrap();
    let run = setup.scrub().await;
    assert_eq!((run.checked, run.unreadable), (0, 1));
}

#[test]
fn that_the_process_is_short_of_something_is_no_damage() {
    use rustix::io::Errno;
    for (errno, is_own) in [(Errno::MFILE, true), (Errno::NFILE, true), (Errno::NOMEM, true), (Errno::IO, false)] {
        assert_eq!(is_of_the_process(&errno.into()), is_own, "{errno}");
    }
    assert!(!is_of_the_process(&io::ErrorKind::UnexpectedEof.into()));
}

#[cfg(target_os = "linux")]
#[test]
fn pages_come_from_the_device_and_only_wanted_ones_stay() {
    // Not in the folder for temporary files, which may lie in memory.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(format!("scrubbed-{}", std::process::id()));
    let content = vec![7; SIZE];
    fs::write(&path, &content).unwrap();
    let file = fs::File::open(&path).unwrap();
    file.sync_all().unwrap();
    let scrubbed = || {
        // What is in memory would hide what the device has lost.
        let mut reading = file_state::patiently(|| {
            let reading = Reading::open(&path, Algorithm::Sha256).unwrap();
            (!file_state::is_resident(&file, SIZE as u64)).then_some(reading)
        });
        while reading.advance().unwrap() > 0 {}
        assert_eq!(reading.finish(), (Digest::of(Algorithm::Sha256, &content), SIZE as u64));
        file_state::is_resident(&file, SIZE as u64)
    };
    assert!(scrubbed(), "somebody had just written it");
    // What nobody had in memory does not stay there.
    file_state::patiently(|| {
        file_state::let_go(&file);
        (!scrubbed()).then_some(())
    });
    fs::remove_file(path).unwrap();
}
