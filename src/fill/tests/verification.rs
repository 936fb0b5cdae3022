//! Files that are here already and may have changed.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::*;
use crate::{
    fill::{flight::Cargo, verification::verify_by},
    tiers::{Content, Found, Wanted},
};

const SIZES: [u64; 4] = [70_000, VERIFY_FIRST, VERIFY_FIRST + 1, 2 * MIB + 5];

/// What happens to a file.
type Damage = fn(&Path, u64);

const DAMAGES: [(&str, Damage); 5] = [
    ("a flipped bit at the start", |path, _| flip(path, 0)),
    ("a flipped bit at the end", |path, size| flip(path, size - 1)),
    ("a page of zeros", |path, size| write(path, &[0; 4096], size / 2)),
    ("another content", |path, size| write(path, &vec![7; size as usize], 0)),
    ("a hole", |path, size| {
        File::options().write(true).open(path).unwrap().set_len(size / 3).unwrap();
        File::options().write(true).open(path).unwrap().set_len(size).unwrap();
    }),
];

fn flip(path: &Path, offset: u64) {
    let mut byte = [0];
    File::open(path).unwrap().read_exact_at(&mut byte, offset).unwrap();
    write(path, &[byte[0] ^ 1], offset);
}

fn write(path: &Path, bytes: &[u8], offset: u64) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

impl World {
    /// A world whose disk holds the blob, though nobody has looked at it since.
    async fn with_file(size: u64, damage: Option<Damage>) -> Self {
        let world = Self::new(size);
        world.tiers.store(&world.digest, Content::Bytes(world.content(None))).await.unwrap();
        if let Some(damage) = damage {
            damage(&world.path(), size);
        }
        let file = File::options().write(true).open(world.path()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.tiers.disks()[0].path(&self.digest)
    }

    async fn found(&self) -> Option<Found> {
        self.tiers.lookup(&self.digest, &Wanted::default()).await
    }

    async fn verify(&self) -> Follower {
        let found = self.found().await.unwrap();
        assert!(!found.verified);
        self.fills.verify(&self.digest, found, self.source())
    }
}

#[tokio::test]
async fn a_right_file_is_hashed_once_for_everyone() {
    for size in SIZES {
        let world = World::with_file(size, None).await;
        let mut readers = Vec::new();
        for _ in 0..5 {
            readers.push(Handle::current().spawn(read(world.verify().await, None)));
        }
        let suffix = ByteRange { start: size - 10, end: size };
        let part = read(world.verify().await, Some(suffix)).await;
        assert_eq!(part, (world.content(Some(suffix)), Ok(())), "{size}");
        for reader in readers {
            assert_eq!(reader.await.unwrap(), (world.content(None), Ok(())), "{size}");
        }
        world.landed().await;
        assert!(world.found().await.unwrap().verified, "{size}");
        assert_eq!(world.gets(), 0);
        assert!(world.ledger.0.lock().is_empty(), "no upstream has given leave for anything");
    }
}

#[tokio::test]
async fn a_damaged_file_is_never_complete_and_the_next_request_heals_it() {
    for (n, (what, damage)) in DAMAGES.into_iter().enumerate() {
        for size in SIZES {
            let range = (n == 0).then_some(ByteRange { start: size - 10, end: size });
            let world = World::with_file(size, Some(damage)).await;
            let (bytes, result) = read(world.verify().await, range).await;
            assert!(result.unwrap_err().contains("do not match"), "{what}, {size}");
            assert!(bytes.len() as u64 <= size - HOLD_BACK, "{what}, {size}: the last piece is held back");
            assert!(size > VERIFY_FIRST || bytes.is_empty(), "{what}, {size}: a small one is verified first");
            assert!(world.found().await.is_none(), "{what}, {size}: it is out of the way");
            assert_eq!(read(world.join(), range).await, (world.content(range), Ok(())));
            assert!(world.kept().await);
        }
    }
}

#[tokio::test]
async fn a_range_that_ends_before_the_file_does_is_not_complete_when_the_file_is_wrong() {
    for size in SIZES {
        for range in [ByteRange { start: 0, end: 10 }, ByteRange { start: 1000, end: size / 2 }] {
            let world = World::with_file(size, Some(|path, size| flip(path, size - 1))).await;
            let (bytes, result) = read(world.verify().await, Some(range)).await;
            assert!(result.unwrap_err().contains("do not match"), "{range:?} of {size}");
            assert!(bytes.len() as u64 <= range.len().saturating_sub(HOLD_BACK), "{range:?} of {size}");
        }
    }
}

#[tokio::test]
async fn a_file_that_becomes_shorter_is_wrong() {
    let world = World::with_file(3 * MIB, None).await;
    let follower = world.verify().await;
    File::options().write(true).open(world.path()).unwrap().set_len(2 * MIB).unwrap();
    assert!(read(follower, None).await.1.unwrap_err().contains("do not match"));
    assert!(world.found().await.is_none());
}

#[tokio::test]
async fn a_file_that_changes_behind_the_hash_is_not_taken_for_verified() {
    let world = World::with_file(3 * MIB, None).await;
    let follower = world.verify().await;
    File::options().write(true).open(world.path()).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_eq!(read(follower, None).await.1, Ok(()));
    world.landed().await;
    assert!(!world.found().await.unwrap().verified);
}

/// A file of which the device gives nothing from a place on.
struct Unreadable {
    file: Arc<File>,
    from: u64,
}

impl FileExt for Unreadable {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset + buffer.len() as u64 > self.from {
            // EIO
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        unreachable!("it is only read")
    }
}

impl World {
    /// A flight over the file of which nothing can be read from `from` on, and its course.
    async fn unreadable(&self, from: u64) -> (Arc<Flight>, impl Future<Output = Result<(), FillError>> + use<>) {
        let found = self.found().await.unwrap();
        let file = found.file().unwrap().clone();
        let flight = Arc::new(Flight::new(self.digest, self.source(), Cargo::Here(found.clone()), u64::MAX, &self.fills.shared));
        flight.file.set(file.clone()).unwrap();
        flight.open(Some(found.size), false);
        let (shared, flying) = (self.fills.shared.clone(), flight.clone());
        let course = async move { verify_by(&Arc::new(Unreadable { file, from }), &shared, &flying, &found).await };
        (flight, course)
    }
}

#[tokio::test]
async fn what_cannot_be_read_comes_from_the_upstream() {
    for from in [0, 2 * MIB, 4 * MIB] {
        let world = World::with_file(5 * MIB, None).await;
        let (flight, course) = world.unreadable(from).await;
        let followers = [None, Some(ByteRange { start: 10, end: MIB }), Some(ByteRange { start: 3 * MIB, end: 5 * MIB })];
        let readers = followers.map(|range| (range, Handle::current().spawn(read(Follower::start(&flight), range))));
        course.await.unwrap();
        for (range, reader) in readers {
            assert_eq!(reader.await.unwrap(), (world.content(range), Ok(())), "{from}");
        }
        assert!(world.found().await.is_none(), "the next request fetches it whole");
    }
}

#[tokio::test]
async fn a_small_file_that_cannot_be_read_fails_before_anything_is_sent() {
    let world = World::with_file(VERIFY_FIRST, None).await;
    let (_flight, course) = world.unreadable(0).await;
    assert_eq!(course.await.unwrap_err().kind, FillErrorKind::Unreadable);
    assert!(world.found().await.is_none());
    assert_eq!(world.gets(), 0);
}

#[tokio::test]
async fn a_verification_gives_no_leave() {
    let world = World::with_file(3 * MIB, None).await;
    let verifying = world.verify().await;
    assert!(verifying.is_verification());
    assert!(!verifying.is_of(&world.source()));
    assert!(world.fills.join_own(&world.digest, world.source()).is_none());
    assert!(world.join().is_verification(), "but who has leave may follow it");
}

#[tokio::test]
async fn a_verification_waits_for_no_upstream() {
    let world = World::with_file(3 * MIB, None).await;
    let fills = Fills::new(Handle::current(), world.tiers.clone(), world.metrics.clone(), world.ledger.clone(), 1);
    let stalled = World::with(3 * MIB, 0, []);
    let mut first = fills.join(&Digest::of(Algorithm::Sha256, b"another"), stalled.source());
    first.opened().await.unwrap();
    let found = world.found().await.unwrap();
    let second = fills.verify(&world.digest, found, world.source());
    assert_eq!(read(second, None).await, (world.content(None), Ok(())));
}
