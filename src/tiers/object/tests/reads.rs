use futures_util::{StreamExt, TryStreamExt};
use object_store::{
    path::Path as ObjectPath,
    signer::{Method, Signer},
};
use secrecy::SecretString;
use tokio::time::Instant;

use super::*;

const BUDGET: Duration = Duration::from_millis(200);

async fn all(stream: ObjectStream) -> io::Result<Vec<u8>> {
    let pieces: Vec<Bytes> = stream.body.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn a_content_is_opened_from_any_byte() {
    let edge = Edge::new();
    let digest = digest_of(b"0123456789");
    edge.plant(&digest, b"0123456789").await;
    for from in [0, 4, 9] {
        let stream = edge.tier.open(&digest, from).await.unwrap();
        assert_eq!((stream.start, stream.size), (from, 10));
        assert_eq!(all(stream).await.unwrap(), b"0123456789"[from as usize..]);
    }
    assert_eq!(edge.tier.shared.figures.read_bytes.get(), 10 + 6 + 1);
    for from in [10, 11, u64::MAX] {
        assert!(edge.tier.open(&digest, from).await.is_none());
    }
    assert_eq!(edge.tier.size(&digest).await, Some(10), "past its end is not absent");
    let unseen = digest_of(b"unseen");
    assert!(edge.tier.open(&unseen, 1).await.is_none());
    edge.plant(&unseen, b"unseen").await;
    assert_eq!(edge.tier.size(&unseen).await, Some(6), "a part that is not there says nothing about the whole");
    assert!(edge.tier.open(&digest_of(b"absent"), 0).await.is_none());
    assert_eq!(edge.tier.shared.figures.lookups("hit"), 4);
    assert_eq!(edge.tier.shared.figures.lookups("absent"), 2);
    assert!(!edge.tier.shared.breaker.is_open(), "absence is an answer");
}

#[tokio::test]
async fn a_size_is_asked_once_and_so_is_absence_for_a_moment() {
    let edge = Edge::new();
    let digest = digest_of(b"0123456789");
    edge.plant(&digest, b"0123456789").await;
    for _ in 0..3 {
        assert_eq!(edge.tier.size(&digest).await, Some(10));
        assert_eq!(edge.tier.size(&digest_of(b"absent")).await, None);
        assert!(edge.tier.open(&digest_of(b"absent"), 0).await.is_none());
    }
    assert_eq!((edge.store.calls("head"), edge.store.calls("get")), (2, 0));
    // What is gone is noticed by whoever reads it.
    edge.store.inner.delete(&edge.tier.shared.bucket.blob(&digest)).await.unwrap();
    assert!(edge.tier.open(&digest, 0).await.is_none());
    assert_eq!(edge.tier.size(&digest).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_dead_bucket_costs_one_budget_and_then_nothing() {
    let edge = Edge::new();
    let digest = digest_of(b"0123456789");
    edge.plant(&digest, b"0123456789").await;
    pass(Duration::from_secs(1)).await;
    edge.store.fail_all(Fault::Hang);
    let start = Instant::now();
    let (one, other) = tokio::join!(edge.tier.open(&digest, 0), edge.tier.size(&digest));
    assert!(one.is_none() && other.is_none());
    assert_eq!(start.elapsed(), BUDGET);
    let asked = (edge.store.calls("get"), edge.store.calls("head"));
    let start = Instant::now();
    for _ in 0..100 {
        assert!(edge.tier.open(&digest, 0).await.is_none());
        assert_eq!(edge.tier.size(&digest).await, None);
        assert!(edge.tier.record("a").await.is_none());
        assert!(edge.tier.location(&digest, 10).await.is_none());
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((edge.store.calls("get"), edge.store.calls("head")), asked, "nobody asks a bucket that is left alone");
    assert_eq!(edge.tier.shared.figures.lookups("skipped"), 300);

    edge.store.heal();
    pass(Duration::from_secs(20)).await;
    assert_eq!(edge.tier.size(&digest).await, Some(10), "it is asked again once it answers");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_dead_from_the_start_is_noticed_before_any_client() {
    let store = Arc::new(Faulty::new());
    store.fail_all(Fault::Unreachable);
    let edge = Edge::over(store);
    pass(Duration::from_millis(1)).await;
    assert!(edge.tier.open(&digest_of(b"x"), 0).await.is_none());
    assert_eq!(edge.store.calls("get"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_opens_the_breaker_and_what_does_not() {
    for (fault, opens) in [
        (Fault::Hang, true),
        (Fault::Slow(Duration::from_millis(201)), true),
        (Fault::Slow(Duration::from_millis(199)), false),
        (Fault::Unreachable, true),
        (Fault::Unwell, true),
        (Fault::Denied, true),
        (Fault::Refused, false),
    ] {
        let edge = Edge::new();
        pass(Duration::from_millis(1)).await;
        edge.store.fail("get", fault);
        let _ = edge.tier.open(&digest_of(b"x"), 0).await;
        assert_eq!(edge.tier.shared.breaker.is_open(), opens, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_bucket_is_noticed_though_the_client_left() {
    let edge = Edge::new();
    edge.store.fail("get", Fault::Hang);
    let digest = digest_of(b"x");
    let left = tokio::time::timeout(Duration::from_millis(10), edge.tier.open(&digest, 0)).await;
    assert!(left.is_err());
    pass(BUDGET).await;
    assert!(edge.tier.shared.breaker.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_body_is_as_long_as_it_was_promised_or_an_error() {
    for (fault, kind, opens) in [
        (Fault::Short, io::ErrorKind::UnexpectedEof, false),
        (Fault::Long, io::ErrorKind::InvalidData, false),
        (Fault::Stall, io::ErrorKind::TimedOut, true),
        (Fault::Broken, io::ErrorKind::Other, true),
    ] {
        let edge = Edge::new();
        pass(Duration::from_millis(1)).await;
        let digest = digest_of(b"0123456789");
        edge.plant(&digest, b"0123456789").await;
        edge.store.fail("body", fault);
        let mut stream = edge.tier.open(&digest, 2).await.unwrap();
        let mut sent = 0;
        let error = loop {
            match stream.body.next().await.unwrap() {
                Ok(bytes) => sent += bytes.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), kind);
        assert!(sent <= 8);
        assert!(stream.body.next().await.is_none(), "nothing comes after an error");
        assert_eq!(edge.tier.shared.breaker.is_open(), opens, "{fault:?}");
    }
}

#[tokio::test]
async fn wrong_bytes_are_deleted_and_not_asked_for_until_written_anew() {
    let edge = Edge::new();
    let digest = digest_of(b"0123456789");
    edge.plant(&digest, b"wrong").await;
    edge.tier.distrust(&digest).await;
    until(|| edge.store.calls("delete") == 1).await;
    assert_eq!(edge.planted(&digest).await, None);
    edge.plant(&digest, b"wrong again").await;
    assert!(edge.tier.open(&digest, 0).await.is_none());
    assert_eq!(edge.tier.size(&digest).await, None);
    assert_eq!((edge.store.calls("get"), edge.store.calls("head")), (0, 0));
    assert_eq!(edge.tier.shared.figures.distrusted.get(), 1);

    edge.offer(b"0123456789");
    until(|| edge.waiting().is_empty()).await;
    assert_eq!(all(edge.tier.open(&digest, 0).await.unwrap()).await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn wrong_bytes_of_the_right_size_that_cannot_be_deleted_are_overwritten() {
    let edge = Edge::new();
    let digest = digest_of(b"0123456789");
    edge.plant(&digest, b"9876543210").await;
    edge.store.fail("delete", Fault::Denied);
    edge.tier.distrust(&digest).await;
    until(|| edge.store.calls("delete") == 1).await;
    assert_eq!(edge.tier.size(&digest).await, None);
    edge.offer(b"0123456789");
    until(|| edge.waiting().is_empty()).await;
    assert_eq!(edge.planted(&digest).await.unwrap(), "0123456789");
}

/// Signs everything, at once or never.
#[derive(Debug)]
struct Stamp(Option<()>);

#[async_trait::async_trait]
impl Signer for Stamp {
    async fn signed_url(&self, method: Method, path: &ObjectPath, expires: Duration) -> object_store::Result<Url> {
        if self.0.is_none() {
            std::future::pending::<()>().await;
        }
        Ok(format!("http://h:9/box/{path}?sig={method}-{}", expires.as_secs()).parse().unwrap())
    }
}

fn signing(store: &Arc<Faulty>, folder: &TempDir, stamp: Stamp) -> ObjectTier {
    let bucket = Bucket::over(store.clone(), Some(Arc::new(stamp)), "p");
    ObjectTier::start(bucket, &limits(), folder.path(), &Metrics::new(), Handle::current()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn clients_are_sent_to_what_is_there_with_the_right_size() {
    let edge = Edge::new();
    let digest = digest_of(b"0123456789");
    edge.plant(&digest, b"0123456789").await;
    assert_eq!(edge.tier.location(&digest, 10).await, None, "nothing signs");

    let folder = tempfile::tempdir().unwrap();
    let tier = signing(&edge.store, &folder, Stamp(Some(())));
    let hex = digest.hex();
    let path = format!("p/blobs/sha256/{}/{hex}", &hex[..2]);
    let located = async |size| tier.location(&digest, size).await.map(String::from);
    assert_eq!(located(10).await, Some(format!("http://h:9/box/{path}?sig=GET-900")));
    assert_eq!(located(11).await, None);
    assert_eq!(tier.location(&digest_of(b"absent"), 6).await, None);

    let url: Url = "https://cdn.example/x".parse().unwrap();
    let cdn = |key| Some(Cdn { url: url.clone(), key });
    tier.set_locations(Locations { expires: Duration::from_secs(60), cdn: cdn(None) });
    assert_eq!(located(10).await, Some(format!("https://cdn.example/x/box/{path}?sig=GET-60")));
    tier.set_locations(Locations { expires: Duration::from_secs(60), cdn: cdn(Some(SecretString::from("k"))) });
    let verifiable = located(10).await.unwrap();
    assert!(verifiable.starts_with(&format!("https://cdn.example/x/{path}?verify=")), "{verifiable}");

    tier.shared.breaker.trip("down");
    assert_eq!(located(10).await, None, "nobody is sent to a bucket that fails");
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_does_not_come_is_not_waited_for() {
    let edge = Edge::new();
    let digest = digest_of(b"0123456789");
    edge.plant(&digest, b"0123456789").await;
    let folder = tempfile::tempdir().unwrap();
    let tier = signing(&edge.store, &folder, Stamp(None));
    let start = Instant::now();
    assert_eq!(tier.location(&digest, 10).await, None);
    assert_eq!(start.elapsed(), BUDGET);
}
