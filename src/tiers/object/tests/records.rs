use std::time::UNIX_EPOCH;

use super::*;

fn at(stamp: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(stamp)
}

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

impl Edge {
    /// Puts a record, and waits until it is done with.
    async fn put(&self, key: &str, text: &str, stamp: u64) {
        let outcomes = || self.done();
        let before = outcomes();
        self.tier.put_record(key, body(text), at(stamp));
        until(|| outcomes() > before && self.tier.shared.records.waiting() == 0).await;
    }

    /// Records that were stored, found to be old, or dropped.
    fn done(&self) -> u64 {
        ["stored", "superseded", "dropped"].iter().map(|outcome| self.tier.shared.figures.records(outcome)).sum()
    }

    fn object(&self, key: &str) -> object_store::path::Path {
        self.tier.shared.bucket.record(key).unwrap()
    }
}

#[tokio::test]
async fn a_record_is_read_by_another_edge_byte_by_byte() {
    let one = Edge::new();
    let other = Edge::over(one.store.clone());
    assert_eq!(other.tier.record("tags/nginx/1.27").await, None);
    let text = r#"{"z": 1.0, "a": "\u00e9"}"#;
    one.put("tags/nginx/1.27", text, 1000).await;
    assert_eq!(other.tier.record("tags/nginx/1.27").await.unwrap(), text);
    let path = one.object("tags/nginx/1.27");
    let stored = one.store.inner.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(stored, format!(r#"{{"stamp":1000,"record":{text}}}"#));
    assert_eq!(path.to_string(), "p/records/tags/nginx/1.27");
}

#[tokio::test]
async fn the_newest_stamp_stays_whoever_writes_last() {
    let one = Edge::new();
    let other = Edge::over(one.store.clone());
    one.put("k", "2", 2000).await;
    other.put("k", "1", 1000).await;
    assert_eq!(one.tier.record("k").await.unwrap(), "2");
    assert_eq!(other.tier.shared.figures.records("superseded"), 1);
    other.put("k", "3", 3000).await;
    assert_eq!(one.tier.record("k").await.unwrap(), "3");
    one.put("k", "4", 3000).await;
    assert_eq!(one.tier.record("k").await.unwrap(), "3", "the first of two of the same moment stays");
}

#[tokio::test(start_paused = true)]
async fn while_they_wait_the_newest_of_a_key_stays_and_survives_a_crash() {
    let store = Arc::new(Faulty::new());
    store.fail_all(Fault::Unreachable);
    let edge = Edge::over(store);
    pass(Duration::from_millis(1)).await;
    for (key, text, stamp) in [("a", "1", 1), ("b", "5", 5), ("a", "3", 3), ("a", "2", 2)] {
        edge.tier.put_record(key, body(text), at(stamp));
    }
    let folder = edge.folder.path().join("outbox/records");
    until(|| edge.tier.shared.figures.records("superseded") == 1).await;
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    fs::write(folder.join("half"), "{\"key\":\"a\",\"sta").unwrap();

    edge.store.heal();
    let edge = edge.restart();
    until(|| edge.tier.shared.figures.records("stored") == 2 && edge.tier.shared.records.waiting() == 0).await;
    assert_eq!(edge.tier.record("a").await.unwrap(), "3");
    assert_eq!(edge.tier.record("b").await.unwrap(), "5");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_newer_record_that_comes_during_the_upload_is_next() {
    let edge = Edge::new();
    edge.store.fail_times("put", Fault::Slow(Duration::from_secs(100)), 1);
    edge.tier.put_record("k", body("1"), at(1));
    until(|| edge.store.calls("put") == 1).await;
    edge.tier.put_record("k", body("2"), at(2));
    until(|| edge.tier.shared.figures.records("stored") == 2 && edge.tier.shared.records.waiting() == 0).await;
    assert_eq!(edge.tier.record("k").await.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn races_are_run_again_and_servers_without_conditions_are_lived_with() {
    let edge = Edge::new();
    edge.store.fail_times("conditional", Fault::Conflict, 3);
    edge.put("k", "1", 1).await;
    assert_eq!((edge.store.calls("conditional"), edge.store.calls("get")), (4, 4), "read anew before each try");
    assert_eq!(edge.tier.record("k").await.unwrap(), "1");
    edge.store.fail("conditional", Fault::Refused);
    edge.put("k", "2", 2).await;
    assert_eq!(edge.tier.record("k").await.unwrap(), "2");
    edge.store.heal();
    edge.store.fail_times("conditional", Fault::Conflict, 8);
    edge.put("k", "3", 3).await;
    assert_eq!(edge.tier.shared.figures.records("failed"), 1, "a race that is lost too often waits");
    assert_eq!(edge.tier.record("k").await.unwrap(), "3");
}

#[tokio::test(start_paused = true)]
async fn a_record_is_tried_until_the_bucket_takes_it() {
    for fault in [Fault::Unreachable, Fault::Unwell, Fault::Denied] {
        let edge = Edge::new();
        edge.store.fail_times("put", fault, 3);
        edge.put("k", "1", 1).await;
        assert_eq!(edge.tier.shared.figures.records("failed"), 3);
        until(|| !edge.tier.shared.breaker.is_open()).await;
        assert_eq!(edge.tier.record("k").await.unwrap(), "1");
    }
    let edge = Edge::new();
    edge.store.fail("put", Fault::Refused);
    edge.put("k", "1", 1).await;
    assert_eq!(edge.tier.shared.figures.records("dropped"), 1, "not for ever when it is refused");
}

#[tokio::test]
async fn what_is_no_record_is_not_taken() {
    let edge = Edge::new();
    let long = format!("\"{}\"", "x".repeat(64 << 10));
    let nearly = format!("\"{}\"", "x".repeat((64 << 10) - 8));
    let key = "k".repeat(701);
    for (key, text) in
        [("k", "no json"), ("k", ""), ("k", "1 2"), ("k", &long), ("k", &nearly), ("", "1"), ("a//b", "1"), (&key, "1")]
    {
        edge.put(key, text, 1).await;
    }
    assert_eq!(edge.tier.shared.figures.records("dropped"), 8);
    assert_eq!(edge.store.calls("put"), 0);
}

#[tokio::test(start_paused = true)]
async fn too_many_records_are_dropped() {
    let store = Arc::new(Faulty::new());
    store.fail_all(Fault::Unreachable);
    let edge = Edge::over(store);
    pass(Duration::from_millis(1)).await;
    for n in 0..7 {
        edge.tier.put_record(&format!("k{n}"), body("1"), at(1));
    }
    until(|| edge.tier.shared.figures.records("dropped") == 2).await;
    edge.tier.put_record("k1", body("2"), at(2));
    until(|| edge.done() == 2 && edge.tier.shared.records.waiting() == 5).await;
}

#[tokio::test]
async fn what_others_put_there_is_ignored_and_written_over() {
    let edge = Edge::new();
    let path = edge.object("k");
    let huge = format!(r#"{{"stamp":9,"record":"{}"}}"#, "x".repeat(64 << 10));
    for (stamp, text) in [r#"{"stamp":"9","record":1}"#, "{", "", &huge].iter().enumerate() {
        edge.store.inner.put(&path, text.as_bytes().to_vec().into()).await.unwrap();
        assert_eq!(edge.tier.record("k").await, None, "{stamp}");
        edge.put("k", "1", stamp as u64).await;
        assert_eq!(edge.tier.record("k").await.unwrap(), "1");
    }
    edge.store.fail("body", Fault::Long);
    let _ = edge.tier.record("k").await;
    assert_eq!(edge.tier.record("absent").await, None);
}
