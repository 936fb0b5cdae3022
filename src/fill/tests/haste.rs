//! Transfers that nobody waits for.

use tokio::time::Instant;

use super::*;

impl World {
    fn bring(&self, haste: Haste) -> Coming {
        self.fills.bring(&self.digest, self.source(), haste, u64::MAX)
    }

    /// A transfer that a client waits for and that stands still.
    async fn stuck(&self) -> (World, Follower) {
        let other = World::with(4 * MIB, 1, []);
        let mut follower = self.fills.join(&other.digest, other.source());
        follower.opened().await.unwrap();
        (other, follower)
    }
}

#[tokio::test]
async fn it_is_finished_though_nobody_follows() {
    for haste in [Haste::Later, Haste::Soon] {
        let world = World::new(3 * MIB);
        let coming = world.bring(haste);
        assert!(!coming.joined() && coming.is_of(&world.source()));
        assert_eq!(coming.landed().await.unwrap(), 3 * MIB);
        assert!(world.tiers.contains(&world.digest).await);
        assert_eq!((world.gets(), world.fills.demand()), (1, 0));
    }
}

#[tokio::test]
async fn a_large_one_is_finished_though_its_only_follower_has_left() {
    let world = World::with(65 * MIB, 10, []);
    let coming = world.bring(Haste::Later);
    let mut follower = world.join();
    follower.opened().await.unwrap();
    assert!(follower.joined());
    drop(follower);
    world.let_through(2000);
    assert_eq!(coming.landed().await.unwrap(), 65 * MIB);
    assert_eq!(world.fills.demand(), 0);
}

#[tokio::test]
async fn it_joins_what_a_client_waits_for() {
    let world = World::with(3 * MIB, 1, []);
    let reader = Handle::current().spawn(read(world.join(), None));
    let coming = world.bring(Haste::Later);
    assert!(coming.joined());
    assert_eq!(world.fills.demand(), 1);
    world.let_through(1000);
    assert_eq!(reader.await.unwrap().1, Ok(()));
    coming.landed().await.unwrap();
    assert_eq!(world.gets(), 1);
}

#[tokio::test]
async fn it_takes_no_slot_of_those_that_clients_wait_for() {
    let world = World::new(3 * MIB);
    let fills = Fills::new(Handle::current(), world.tiers.clone(), Arc::new(Metrics::new()), world.ledger.clone(), 1);
    let standing = World::with(4 * MIB, 0, []);
    let _standing = fills.bring(&standing.digest, standing.source(), Haste::Soon, u64::MAX);
    assert_eq!(read(fills.join(&world.digest, world.source()), None).await.1, Ok(()), "the slot is free");
    let demanded = World::with(5 * MIB, 0, []);
    let _demanded = fills.join(&demanded.digest, demanded.source());
    let brought = World::new(6 * MIB);
    fills.bring(&brought.digest, brought.source(), Haste::Soon, u64::MAX).landed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_expected_later_gives_way_and_a_client_who_joins_ends_that() {
    let world = World::new(8 * MIB);
    let (_other, _follower) = world.stuck().await;
    assert_eq!(world.fills.demand(), 1);
    let coming = world.bring(Haste::Later);
    let landed = Handle::current().spawn(coming.landed());
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert!(!landed.is_finished(), "a piece a second");
    let before = Instant::now();
    assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())));
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
    landed.await.unwrap().unwrap();
    assert_eq!(world.gets(), 1);
    while world.fills.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.fills.demand(), 1, "the one that stands still");
}

#[tokio::test(start_paused = true)]
async fn what_is_about_to_be_asked_for_does_not_give_way() {
    let world = World::new(8 * MIB);
    let (_other, _follower) = world.stuck().await;
    let before = Instant::now();
    world.bring(Haste::Soon).landed().await.unwrap();
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_expected_later_keeps_to_a_rate() {
    let world = World::new(8 * MIB);
    world.fills.set_rate(MIB);
    let before = Instant::now();
    world.bring(Haste::Later).landed().await.unwrap();
    assert!(before.elapsed() >= std::time::Duration::from_secs(8), "{:?}", before.elapsed());
}

#[tokio::test]
async fn what_is_expected_later_is_written_behind_the_rest_until_a_client_joins() {
    let (world, waiting, soon) = (World::new(5 * MIB), World::new(6 * MIB), World::new(7 * MIB));
    let idle = &world.fills.shared.idle;
    let (release, gate) = tokio::sync::watch::channel(());
    let stand = || {
        let mut gate = gate.clone();
        idle.run(move || Handle::current().block_on(gate.changed()), std::future::pending())
    };
    let mut standing = std::pin::pin!(futures_util::future::join(stand(), stand()));
    assert!(futures_util::poll!(&mut standing).is_pending());
    let (joined, left) =
        (world.bring(Haste::Later), world.fills.bring(&waiting.digest, waiting.source(), Haste::Later, u64::MAX));
    world.fills.bring(&soon.digest, soon.source(), Haste::Soon, u64::MAX).landed().await.unwrap();
    let is_written = |coming: &Coming| coming.flight.progress.borrow().watermark > 0;
    assert!(!is_written(&joined) && !is_written(&left), "no idle thread is free");
    assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())));
    joined.landed().await.unwrap();
    assert!(!is_written(&left));
    release.send_replace(());
    let _ = standing.await;
    assert_eq!(left.landed().await.unwrap(), 6 * MIB);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_fetched_for_nobody() {
    let world = World::new(3 * MIB);
    for folder in walk(world.folder.path()).into_iter().filter(|path| path.parent().is_some_and(|p| p.ends_with("spool"))) {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let error = world.bring(Haste::Soon).landed().await.unwrap_err();
    assert_eq!((error.kind, world.gets(), world.origin.heads.load(Ordering::SeqCst)), (FillErrorKind::NotKept, 0, 0));
    world.landed().await;
}

#[tokio::test]
async fn what_is_longer_than_was_said_is_not_fetched_for_nobody() {
    for script in [None, Some(Fault::HideSize)] {
        let world = World::with(8 * MIB, 1000, script);
        let error = world.fills.bring(&world.digest, world.source(), Haste::Soon, 3 * MIB).landed().await.unwrap_err();
        assert_eq!(error.kind, FillErrorKind::TooLong);
        world.landed().await;
        assert_eq!(read(world.join(), None).await, (world.content(None), Ok(())), "a client gets what it asks for");
    }
}

#[tokio::test]
async fn a_failure_is_told_and_forgotten() {
    let world = World::with(3 * MIB, 1000, [Fault::Refuse(UpstreamErrorKind::NotFound)]);
    let error = world.bring(Haste::Later).landed().await.unwrap_err();
    assert_eq!(error.upstream().map(|error| error.kind), Some(UpstreamErrorKind::NotFound));
    world.bring(Haste::Later).landed().await.unwrap();
}

#[tokio::test]
async fn another_repositorys_leave_is_not_this_ones() {
    let world = World::with(3 * MIB, 1, []);
    let _coming = world.bring(Haste::Later);
    let other = Source { repository: "c/d".parse().unwrap(), ..world.source() };
    assert!(world.fills.bring_own(&world.digest, other.clone(), Haste::Soon, u64::MAX).is_none());
    assert!(world.fills.join_own(&world.digest, other).is_none());
    assert_eq!(world.fills.demand(), 0, "who was turned away does not wait for it");
    assert!(world.fills.bring_own(&world.digest, world.source(), Haste::Soon, u64::MAX).is_some_and(|coming| coming.joined()));
}
