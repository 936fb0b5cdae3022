mod bucket;
mod haste;
mod verification;

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::{
    oci::{Algorithm, ByteRange, Reference},
    tiers::{ContentStore, DiskSettings, ObjectTier, Piece, ScrubSettings, TierSettings},
    upstream::{BlobStream, FetchedManifest, ListBounds, ManifestHead, UpstreamError, UpstreamErrorKind},
};

const MIB: u64 = 1 << 20;

/// An upstream with one blob.
#[derive(Debug)]
struct FakeOrigin {
    content: Bytes,
    gets: AtomicUsize,
    heads: AtomicUsize,
    /// What the next answers do; when it is empty, everything is as it should be.
    script: Mutex<VecDeque<Fault>>,
    /// A chunk of 64 KiB leaves for each permit.
    gate: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    BreakAt(u64),
    BreakAtWithoutRanges(u64),
    EndAt(u64),
    Corrupt,
    Refuse(UpstreamErrorKind),
    HideSize,
    SendMore,
}

fn broken() -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Unavailable, "connection reset")
}

impl Origin for FakeOrigin {
    fn blob<'a>(&'a self, _: &'a RepositoryName, _: &'a Digest, from: u64) -> BoxFuture<'a, Result<BlobStream, UpstreamError>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let fault = self.script.lock().pop_front();
        let start = if matches!(fault, Some(Fault::BreakAtWithoutRanges(_))) { 0 } else { from };
        let mut content = self.content.to_vec();
        let mut size = Some(content.len() as u64);
        let mut stop = content.len() as u64;
        let mut end = None;
        match fault {
            Some(Fault::Refuse(kind)) => return async move { Err(UpstreamError::new(kind, "refused")) }.boxed(),
            Some(Fault::BreakAt(at) | Fault::BreakAtWithoutRanges(at)) => (stop, end) = (at, Some(Err(broken()))),
            Some(Fault::EndAt(at)) => stop = at,
            Some(Fault::Corrupt) => content[0] ^= 1,
            Some(Fault::HideSize) => size = None,
            Some(Fault::SendMore) => {
                content.push(0);
                stop += 1;
            }
            None => {}
        }
        let sent = Bytes::from(content).slice(start as usize..stop as usize);
        let chunks: Vec<_> = (0..sent.len()).step_by(65536).map(|at| sent.slice(at..(at + 65536).min(sent.len()))).collect();
        let gate = self.gate.clone();
        let body = stream::iter(chunks.into_iter().map(Ok).chain(end)).then(move |chunk| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                chunk
            }
        });
        async move { Ok(BlobStream { start, size, body: body.boxed() }) }.boxed()
    }

    fn blob_size<'a>(&'a self, _: &'a RepositoryName, _: &'a Digest) -> BoxFuture<'a, Result<Option<u64>, UpstreamError>> {
        self.heads.fetch_add(1, Ordering::SeqCst);
        async { Ok(Some(self.content.len() as u64)) }.boxed()
    }

    fn manifest<'a>(&'a self, _: &'a RepositoryName, _: &'a Reference) -> BoxFuture<'a, Result<FetchedManifest, UpstreamError>> {
        unreachable!("fills fetch blobs only")
    }

    fn manifest_head<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, UpstreamError>> {
        unreachable!("fills fetch blobs only")
    }

    fn tags_within<'a>(&'a self, _: &'a RepositoryName, _: ListBounds) -> BoxFuture<'a, Result<Vec<String>, UpstreamError>> {
        unreachable!("fills fetch blobs only")
    }

    fn referrers<'a>(
        &'a self,
        _: &'a RepositoryName,
        _: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<serde_json::Value>, UpstreamError>> {
        unreachable!("fills fetch blobs only")
    }
}

/// What a transfer has told, in order.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Option<u64>>>);

impl Ledger for Told {
    fn granted(&self, _: &Source, _: &Digest) {
        self.0.lock().push(None);
    }

    fn verified(&self, _: &Source, _: &Digest, size: u64) {
        self.0.lock().push(Some(size));
    }
}

struct World {
    ledger: Arc<Told>,
    metrics: Arc<Metrics>,
    folder: tempfile::TempDir,
    origin: Arc<FakeOrigin>,
    fills: Fills,
    tiers: Arc<Tiers>,
    digest: Digest,
}

impl World {
    /// A blob of `size` bytes behind an open gate.
    fn new(size: u64) -> Self {
        Self::with(size, Semaphore::MAX_PERMITS, [])
    }

    fn with(size: u64, permits: usize, script: impl IntoIterator<Item = Fault>) -> Self {
        Self::beside(size, permits, script, |_| None)
    }

    /// The same beside a bucket.
    fn beside(
        size: u64,
        permits: usize,
        script: impl IntoIterator<Item = Fault>,
        bucket: impl FnOnce(&std::path::Path) -> Option<ObjectTier>,
    ) -> Self {
        let content: Bytes = (0..size).map(|n| (n * 31 + n / 251) as u8).collect();
        let folder = tempfile::tempdir().unwrap();
        let disks = vec![DiskSettings::new(folder.path(), 1 << 30)];
        let scrub = ScrubSettings::NEVER;
        let settings = TierSettings { memory_limit: 1 << 20, memory_max_entry: 1 << 16, disks, move_rate: 0, scrub };
        let mut tiers = Tiers::open(settings, ContentStore::open(folder.path()).unwrap()).unwrap();
        if let Some(object) = bucket(folder.path()) {
            tiers = tiers.with_object(object).unwrap();
        }
        let tiers = Arc::new(tiers);
        let digest = Digest::of(Algorithm::Sha256, &content);
        let script = Mutex::new(script.into_iter().collect());
        let gate = Arc::new(Semaphore::new(permits));
        let origin = FakeOrigin { content, gets: AtomicUsize::new(0), heads: AtomicUsize::new(0), script, gate };
        let ledger = Arc::new(Told::default());
        let metrics = Arc::new(Metrics::new());
        let fills = Fills::new(Handle::current(), tiers.clone(), metrics.clone(), ledger.clone(), 16);
        Self { ledger, metrics, folder, origin: Arc::new(origin), fills, tiers, digest }
    }

    fn source(&self) -> Source {
        Source { origin: self.origin.clone(), route: "r".into(), repository: "a/b".parse().unwrap(), leave: Leave::ToBeAsked }
    }

    fn join(&self) -> Follower {
        self.fills.join(&self.digest, self.source())
    }

    fn gets(&self) -> usize {
        self.origin.gets.load(Ordering::SeqCst)
    }

    fn content(&self, range: Option<ByteRange>) -> Bytes {
        range.map_or(self.origin.content.clone(), |range| self.origin.content.slice(range.start as usize..range.end as usize))
    }

    /// Lets `count` more chunks of 64 KiB through.
    fn let_through(&self, count: usize) {
        self.origin.gate.add_permits(count);
    }

    async fn landed(&self) {
        while !self.fills.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    async fn kept(&self) -> bool {
        self.landed().await;
        self.tiers.contains(&self.digest).await
    }
}

fn bytes_of(piece: Piece) -> Bytes {
    match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::File { file, range } => {
            use std::os::unix::fs::FileExt;
            let mut bytes = vec![0; range.len() as usize];
            file.read_exact_at(&mut bytes, range.start).unwrap();
            bytes.into()
        }
    }
}

/// Reads everything; on a failure, what came before it.
async fn read(mut follower: Follower, range: Option<ByteRange>) -> (Bytes, Result<(), String>) {
    if let Err(error) = follower.opened().await {
        return (Bytes::new(), Err(error.to_string()));
    }
    let mut stream = follower.into_stream(range);
    let mut bytes = BytesMut::new();
    loop {
        match stream.try_next().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&bytes_of(piece)),
            Ok(None) => return (bytes.freeze(), Ok(())),
            Err(error) => return (bytes.freeze(), Err(error.to_string())),
        }
    }
}

#[tokio::test]
async fn fifty_followers_cost_one_transfer() {
    let world = World::new(3 * MIB + 5);
    let readers: Vec<_> = (0..50).map(|_| Handle::current().spawn(read(world.join(), None))).collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), (world.content(None), Ok(())));
    }
    assert_eq!(world.gets(), 1);
    assert!(world.kept().await);
    assert_eq!(*world.ledger.0.lock(), [None, Some(3 * MIB + 5)]);
}

#[tokio::test]
async fn the_empty_blob_and_small_blobs_arrive() {
    for size in [0, 1, HOLD_BACK, HOLD_BACK + 1, VERIFY_FIRST, VERIFY_FIRST + 1] {
        let world = World::new(size);
        assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())), "{size}");
        assert!(world.kept().await);
    }
}

#[tokio::test]
async fn ranges_are_served_from_the_half_filled_spool() {
    let world = World::with(4 * MIB, 32, []);
    let mut first = world.join();
    assert_eq!(first.opened().await.unwrap(), Opened { size: Some(4 * MIB), kept: true, from_bucket: false });
    // Two of four MiB are let through: ranges in there are served while the rest is still missing.
    for range in [ByteRange { start: 0, end: 10 }, ByteRange { start: MIB, end: MIB + 100_000 }] {
        let (bytes, result) = read(world.join(), Some(range)).await;
        assert_eq!((bytes, result), (world.content(Some(range)), Ok(())));
    }
    let suffix = ByteRange { start: 4 * MIB - 9, end: 4 * MIB };
    let late = Handle::current().spawn(read(world.join(), Some(suffix)));
    let open = Handle::current().spawn(read(world.join(), Some(ByteRange { start: 3 * MIB, end: 4 * MIB })));
    world.let_through(32);
    assert_eq!(late.await.unwrap(), (world.content(Some(suffix)), Ok(())));
    assert_eq!(open.await.unwrap().0.len() as u64, MIB);
    assert_eq!(world.gets(), 1);
    drop(first);
}

#[tokio::test]
async fn a_break_is_healed_from_where_it_happened() {
    let world = World::with(5 * MIB, 1000, [Fault::BreakAt(3 * MIB), Fault::EndAt(4 * MIB)]);
    assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())));
    assert_eq!(world.gets(), 3);
}

#[tokio::test]
async fn a_break_is_healed_by_an_upstream_without_ranges() {
    let faults = [Fault::BreakAt(3 * MIB), Fault::BreakAtWithoutRanges(4 * MIB)];
    let world = World::with(5 * MIB, 1000, faults);
    assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_stays_away_is_given_up() {
    let refusals = std::iter::repeat_n(Fault::Refuse(UpstreamErrorKind::Unavailable), 20);
    let world = World::with(5 * MIB, 1000, [Fault::BreakAt(3 * MIB)].into_iter().chain(refusals));
    let (bytes, result) = read(world.join(), None).await;
    assert_eq!(bytes, world.content(Some(ByteRange { start: 0, end: 3 * MIB })));
    assert_eq!(result, Err("refused".to_owned()));
    assert_eq!(world.gets(), 5);
    assert!(!world.kept().await);
}

#[tokio::test]
async fn wrong_bytes_are_never_complete_and_never_kept() {
    for size in [10, 3 * MIB] {
        let world = World::with(size, 1000, [Fault::Corrupt]);
        let (bytes, result) = read(world.join(), None).await;
        assert!(result.unwrap_err().contains("do not match"));
        assert!(bytes.len() as u64 <= size.saturating_sub(HOLD_BACK), "the last piece is held back");
        assert!(!world.kept().await);
        assert_eq!(*world.ledger.0.lock(), [None], "the announced length is not believed");
        assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())), "the next attempt is a new one");
    }
}

#[tokio::test]
async fn more_than_was_announced_is_an_error() {
    let world = World::with(3 * MIB, 1000, [Fault::SendMore]);
    assert!(read(world.join(), None).await.1.unwrap_err().contains("more than it had announced"));
    assert!(!world.kept().await);
}

#[tokio::test]
async fn a_content_of_unknown_length_is_held_back_too() {
    let world = World::with(3 * MIB, 47, [Fault::HideSize]);
    let mut follower = world.join();
    assert_eq!(follower.opened().await.unwrap(), Opened { size: None, kept: true, from_bucket: false });
    let mut stream = follower.into_stream(None);
    let mut got = 0;
    while got < 46 * 65536 {
        got += bytes_of(stream.try_next().await.unwrap().unwrap()).len();
    }
    assert_eq!(got, 46 * 65536, "of 47 pieces one is held back");
    assert!(stream.try_next().now_or_never().is_none());
    world.let_through(1000);
    while let Some(piece) = stream.try_next().await.unwrap() {
        got += bytes_of(piece).len();
    }
    assert_eq!(got as u64, 3 * MIB);
}

#[tokio::test]
async fn who_leaves_and_who_stalls_harms_nobody() {
    let world = World::with(3 * MIB, 10, []);
    let leaver = world.join();
    let mut staller = world.join();
    staller.opened().await.unwrap();
    let _stalled = staller.into_stream(None);
    let reader = Handle::current().spawn(read(world.join(), None));
    drop(leaver);
    world.let_through(1000);
    assert_eq!(reader.await.unwrap(), (world.content(None), Ok(())));
    assert_eq!(world.gets(), 1);
}

#[tokio::test]
async fn the_length_of_a_verified_content_is_known_before_and_after_it_lands() {
    let world = World::with(3 * MIB, 10, []);
    let mut follower = world.join();
    follower.opened().await.unwrap();
    assert_eq!(world.fills.verified_size(&world.digest), None, "what an upstream announces is not verified");
    world.let_through(1000);
    follower.finished().await.unwrap();
    while let Some(size) = world.fills.verified_size(&world.digest) {
        assert_eq!(size, 3 * MIB);
        tokio::task::yield_now().await;
    }
    assert!(world.tiers.contains(&world.digest).await);
}

#[tokio::test]
async fn a_small_transfer_is_finished_though_everyone_has_left() {
    let world = World::with(3 * MIB, 10, []);
    let mut follower = world.join();
    follower.opened().await.unwrap();
    drop(follower);
    world.let_through(1000);
    assert!(world.kept().await);
}

#[tokio::test]
async fn a_large_transfer_is_given_up_when_everyone_has_left_early() {
    let world = World::with(65 * MIB, 10, []);
    let mut follower = world.join();
    follower.opened().await.unwrap();
    drop(follower);
    assert!(!world.kept().await);
    let leftovers = walk(world.folder.path()).into_iter().filter(|path| path.is_file()).count();
    assert_eq!(leftovers, 0, "its spool is deleted");
    assert_eq!(world.metrics.fills.get(), 0, "nothing is under way");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_range_by_range_keeps_a_large_transfer_going() {
    let world = World::with(65 * MIB, 20, []);
    for start in 0..5 {
        let mut follower = world.join();
        follower.opened().await.unwrap();
        let range = ByteRange { start: start * 65536, end: (start + 1) * 65536 };
        assert_eq!(read(follower, Some(range)).await.0, world.content(Some(range)));
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    assert_eq!(world.gets(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_waited_and_by_nobody_else() {
    let world = World::with(3 * MIB, 1000, [Fault::Refuse(UpstreamErrorKind::NotFound)]);
    let (first, second) = (world.join(), world.join());
    assert_eq!(read(first, None).await.1, Err("refused".to_owned()));
    assert_eq!(read(second, None).await.1, Err("refused".to_owned()));
    assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())));
    assert_eq!(world.gets(), 2);
}

#[tokio::test]
async fn without_a_spool_everyone_is_served_and_nothing_is_kept() {
    let world = World::new(3 * MIB + 7);
    for folder in walk(world.folder.path()).into_iter().filter(|path| path.parent().is_some_and(|p| p.ends_with("spool"))) {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let mut follower = world.join();
    assert_eq!(follower.opened().await.unwrap(), Opened { size: Some(3 * MIB + 7), kept: false, from_bucket: false });
    assert_eq!(read(follower, None).await, (world.content(None), Ok(())));
    let range = ByteRange { start: 100_000, end: 2 * MIB };
    assert_eq!(read(world.join(), Some(range)).await, (world.content(Some(range)), Ok(())));
    assert!(!world.kept().await);

    world.origin.script.lock().extend([Fault::BreakAt(MIB), Fault::BreakAtWithoutRanges(2 * MIB), Fault::EndAt(3 * MIB)]);
    assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())), "breaks are healed here too");

    world.origin.script.lock().push_back(Fault::Corrupt);
    let (bytes, result) = read(world.join(), None).await;
    assert!(result.unwrap_err().contains("do not match"));
    assert!(bytes.len() as u64 <= 3 * MIB + 7 - HOLD_BACK);
}

#[tokio::test]
async fn a_transfer_waits_for_its_turn() {
    let world = World::with(3 * MIB, 1, []);
    let fills = Fills::new(Handle::current(), world.tiers.clone(), Arc::new(Metrics::new()), world.ledger.clone(), 1);
    let source =
        Source { origin: world.origin.clone(), route: "r".into(), repository: "a".parse().unwrap(), leave: Leave::ToBeAsked };
    let mut first = fills.join(&world.digest, source.clone());
    first.opened().await.unwrap();
    let other = Digest::of(Algorithm::Sha256, b"other");
    let mut second = fills.join(&other, source);
    let (sender, mut answered) = oneshot::channel();
    Handle::current().spawn(async move {
        let _ = second.opened().await;
        let _ = sender.send(());
    });
    tokio::task::yield_now().await;
    assert!(answered.try_recv().is_err());
    assert_eq!(world.gets(), 1);
    world.let_through(1000);
    answered.await.unwrap();
    assert_eq!(world.gets(), 2);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        paths.push(entry.path());
        if entry.path().is_dir() {
            paths.extend(walk(&entry.path()));
        }
    }
    paths
}
