use std::time::SystemTime;

use super::*;

#[tokio::test]
async fn what_is_offered_is_uploaded_though_the_disk_tier_gives_it_up() {
    let edge = Edge::new();
    edge.store.fail("head", Fault::Hang);
    let (digest, file) = edge.file(b"content");
    edge.tier.offer(&digest, &file, 7);
    fs::remove_file(&file).unwrap();
    assert_eq!(edge.waiting(), [format!("sha256-{}", digest.hex())]);
    assert_eq!((edge.tier.shared.figures.queue_entries.get(), edge.tier.shared.figures.queue_bytes.get()), (1, 7));

    edge.store.heal();
    let edge = edge.restart();
    edge.tier.recover(&[edge.folder.path().to_owned()]).unwrap();
    until(|| edge.tier.shared.figures.uploads("stored") == 1 && edge.waiting().is_empty()).await;
    assert_eq!(edge.planted(&digest).await.unwrap(), "content");
    until(|| edge.tier.shared.figures.queue_bytes.get() == 0).await;
    assert_eq!(edge.tier.shared.figures.queue_entries.get(), 0);
    assert_eq!(edge.tier.shared.figures.upload_bytes.get(), 7);
    assert_eq!(edge.tier.size(&digest).await, Some(7));

    edge.offer(b"content");
    assert!(edge.waiting().is_empty(), "what is known to be there is not offered again");
}

#[tokio::test]
async fn earlier_runs_are_taken_up_oldest_first() {
    let edge = Edge::new();
    let outbox = edge.folder.path().join("outbox");
    let mut expected = Vec::new();
    for (content, age) in [("b", 20), ("c", 10), ("a", 30)] {
        let hex = digest_of(content.as_bytes()).hex();
        let path = outbox.join(format!("sha256-{hex}"));
        fs::write(&path, content).unwrap();
        let written = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        expected.push((std::cmp::Reverse(age), hex));
    }
    fs::write(outbox.join("sha256-stray"), "x").unwrap();
    edge.tier.recover(&[edge.folder.path().to_owned(), edge.folder.path().join("absent")]).unwrap();
    until(|| edge.store.puts().len() == 3).await;
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, hex)| hex).collect();
    assert_eq!(edge.store.puts(), expected);
    until(|| edge.waiting() == ["sha256-stray"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_entries_and_bytes() {
    let store = Arc::new(Faulty::new());
    store.fail_all(Fault::Unreachable);
    let edge = Edge::over(store);
    pass(Duration::from_millis(1)).await;
    for n in 0..8_u8 {
        edge.offer(&[n; 100]);
        edge.offer(&[n; 100]);
    }
    assert_eq!(edge.waiting().len(), 5);
    assert_eq!(edge.tier.shared.figures.uploads("dropped"), 6, "offering again is no second place");

    let edge = Edge::over(edge.store.clone());
    pass(Duration::from_millis(1)).await;
    for n in 0..4_u8 {
        edge.offer(&[n; 4000]);
    }
    assert_eq!(edge.waiting().len(), 2);
    assert_eq!(edge.tier.shared.figures.queue_bytes.get(), 8000);
    let outbox = edge.folder.path().join("outbox");
    for n in 0..8_u8 {
        let content = [n; 10];
        fs::write(outbox.join(format!("sha256-{}", digest_of(&content).hex())), content).unwrap();
    }
    let edge = edge.restart();
    edge.tier.shared.outbox.recover(&[edge.folder.path().to_owned()]);
    assert_eq!(edge.waiting().len(), 5, "what an earlier run left is bounded too");
}

#[tokio::test(start_paused = true)]
async fn while_the_bucket_is_left_alone_nothing_is_tried() {
    let store = Arc::new(Faulty::new());
    store.fail_all(Fault::Unreachable);
    let edge = Edge::over(store);
    pass(Duration::from_millis(1)).await;
    let digest = edge.offer(b"content");
    pass(Duration::from_secs(60)).await;
    assert_eq!(edge.store.calls("head"), 0);
    edge.store.heal();
    until(|| edge.waiting().is_empty()).await;
    assert_eq!(edge.planted(&digest).await.unwrap(), "content");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_takes_no_writes_can_still_be_read() {
    for fault in [Fault::Denied, Fault::Unwell] {
        let edge = Edge::new();
        edge.plant(&digest_of(b"there"), b"there").await;
        edge.store.fail("put", fault);
        let digest = edge.offer(b"content");
        until(|| edge.tier.shared.figures.uploads("failed") == 2).await;
        assert!(!edge.tier.shared.breaker.is_open());
        assert_eq!(edge.tier.size(&digest_of(b"there")).await, Some(5));
        edge.store.heal();
        until(|| edge.waiting().is_empty()).await;
        assert_eq!(edge.planted(&digest).await.unwrap(), "content");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_finds_nobody_opens_the_breaker() {
    let edge = Edge::new();
    pass(Duration::from_millis(1)).await;
    edge.store.fail("put", Fault::Unreachable);
    edge.offer(b"content");
    until(|| edge.tier.shared.breaker.is_open()).await;
    assert_eq!(edge.waiting().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_damaged_or_refused_for_good_leaves_the_queue() {
    let edge = Edge::new();
    let (digest, file) = edge.file(b"content");
    fs::write(&file, "damaged").unwrap();
    edge.tier.offer(&digest, &file, 7);
    until(|| edge.tier.shared.figures.uploads("wrong") == 1 && edge.waiting().is_empty()).await;
    assert_eq!(edge.planted(&digest).await, None);
    assert!(file.exists(), "the disk tier keeps its file");

    edge.store.fail("put", Fault::Refused);
    edge.store.fail("conditional", Fault::Refused);
    edge.offer(b"refused");
    until(|| edge.tier.shared.figures.uploads("dropped") == 1 && edge.waiting().is_empty()).await;
    assert_eq!(edge.tier.shared.figures.uploads("failed"), 9);
    until(|| edge.tier.shared.figures.queue_entries.get() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_is_no_endless_work() {
    let store = Arc::new(Faulty::new());
    store.fail_all(Fault::Unreachable);
    let edge = Edge::over(store);
    pass(Duration::from_millis(1)).await;
    edge.offer(b"content");
    fs::remove_file(edge.folder.path().join("outbox").join(&edge.waiting()[0])).unwrap();
    edge.store.heal();
    until(|| edge.tier.shared.figures.uploads("dropped") == 1).await;
    until(|| edge.tier.shared.figures.queue_entries.get() == 0).await;
}

#[tokio::test]
async fn what_cannot_be_linked_is_dropped_and_gives_its_place_back() {
    let edge = Edge::new();
    let digest = digest_of(b"content");
    edge.tier.offer(&digest, &edge.folder.path().join("blobs/sha256/aa/absent"), 7);
    edge.tier.offer(&digest, Path::new("absent"), 7);
    assert_eq!(edge.tier.shared.figures.uploads("dropped"), 1);
    assert_eq!(edge.tier.shared.figures.queue_bytes.get(), 0);
}

#[tokio::test]
async fn closing_does_not_wait_for_the_bucket() {
    let edge = Edge::new();
    edge.store.fail("complete", Fault::Hang);
    let content = vec![7; 3000];
    edge.offer(&content);
    until(|| edge.store.calls("complete") == 1).await;
    edge.tier.close().await;
    assert_eq!(edge.store.calls("abort"), 1, "no parts are left behind");
    assert_eq!(edge.waiting().len(), 1);
    edge.offer(b"content");
    assert_eq!(edge.waiting().len(), 2, "what comes after that is kept for the next run");
}
