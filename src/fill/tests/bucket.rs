//! A bucket that edges share, asked before the upstream.

use std::fmt;

use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

use super::*;
use crate::tiers::Bucket;

/// A bucket that ends bodies early, and counts what is read from it.
#[derive(Debug, Default)]
struct Store {
    inner: InMemory,
    reads: AtomicUsize,
    /// Length of a body at most; each read takes one of them.
    ends: Mutex<VecDeque<usize>>,
}

#[async_trait::async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.reads.fetch_add(usize::from(!options.head), Ordering::SeqCst);
        let mut result = self.inner.get_opts(at, options).await?;
        if let Some(end) = self.ends.lock().pop_front() {
            let GetResultPayload::Stream(body) = result.payload;
            let body = body.map(move |chunk| chunk.map(|chunk| chunk.slice(..end.min(chunk.len()))));
            result.payload = GetResultPayload::Stream(body.boxed());
        }
        Ok(result)
    }

    fn delete_stream(&self, places: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(places)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

/// A world beside a bucket.
struct Beside {
    world: World,
    store: Arc<Store>,
}

impl Beside {
    async fn new(size: u64, script: impl IntoIterator<Item = Fault>) -> Self {
        let store = Arc::new(Store::default());
        let bucket = Bucket::over(store.clone(), None, "");
        let world = World::beside(size, 1000, script, |folder| {
            let limits = crate::config::Object::default();
            Some(ObjectTier::start(bucket, &limits, folder, &Metrics::new(), Handle::current()).unwrap())
        });
        Self { world, store }
    }

    fn place(&self) -> Path {
        let hex = self.world.digest.hex();
        Path::from(format!("blobs/sha256/{}/{hex}", &hex[..2]))
    }

    async fn holds(&self, bytes: impl Into<Bytes>) {
        self.store.inner.put(&self.place(), bytes.into().into()).await.unwrap();
    }

    async fn holds_now(&self) -> Option<Bytes> {
        Some(self.store.inner.get(&self.place()).await.ok()?.bytes().await.unwrap())
    }

    /// Waits until the bucket holds this.
    async fn comes_to_hold(&self, bytes: Option<Bytes>) {
        while self.holds_now().await != bytes {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    fn join(&self, leave: Leave) -> Follower {
        self.world.fills.join(&self.world.digest, Source { leave, ..self.world.source() })
    }

    fn reads(&self) -> usize {
        self.store.reads.load(Ordering::SeqCst)
    }
}

const LINKED: Leave = Leave::Given { size: None };

/// The content with its first byte wrong.
fn wrong(world: &World) -> Vec<u8> {
    let mut bytes = world.content(None).to_vec();
    bytes[0] ^= 1;
    bytes
}

#[tokio::test]
async fn what_the_bucket_has_costs_the_upstream_nothing() {
    for size in [0, 10, 2 * MIB] {
        let beside = Beside::new(size, []).await;
        beside.holds(beside.world.content(None)).await;
        let mut first = beside.join(Leave::Given { size: Some(size) });
        assert_eq!(first.opened().await.unwrap(), Opened { size: Some(size), kept: true, from_bucket: true });
        assert_eq!(read(first, None).await, (beside.world.content(None), Ok(())));
        assert!(beside.world.kept().await);
        assert_eq!((beside.world.gets(), beside.reads()), (0, 1));
        assert_eq!(*beside.world.ledger.0.lock(), [Some(size)]);
    }
}

#[tokio::test]
async fn without_leave_the_bucket_is_not_asked() {
    let beside = Beside::new(2 * MIB, []).await;
    beside.holds(beside.world.content(None)).await;
    assert_eq!(read(beside.join(Leave::ToBeAsked), None).await, (beside.world.content(None), Ok(())));
    assert_eq!((beside.world.gets(), beside.reads()), (1, 0));

    let refused = Beside::new(2 * MIB, [Fault::Refuse(UpstreamErrorKind::Denied)]).await;
    refused.holds(refused.world.content(None)).await;
    assert_eq!(read(refused.join(Leave::ToBeAsked), None).await.1, Err("refused".to_owned()));
    assert_eq!(refused.reads(), 0);
}

#[tokio::test]
async fn what_the_bucket_does_not_have_comes_from_the_upstream_and_is_offered() {
    let beside = Beside::new(2 * MIB, []).await;
    let mut follower = beside.join(LINKED);
    assert!(!follower.opened().await.unwrap().from_bucket);
    assert_eq!(read(follower, None).await, (beside.world.content(None), Ok(())));
    beside.comes_to_hold(Some(beside.world.content(None))).await;
}

#[tokio::test]
async fn a_bucket_that_breaks_off_is_continued_by_the_upstream() {
    for size in [500_000, 3 * MIB] {
        let beside = Beside::new(size, []).await;
        beside.holds(beside.world.content(None)).await;
        beside.store.ends.lock().push_back(300_000);
        assert_eq!(read(beside.join(LINKED), None).await, (beside.world.content(None), Ok(())));
        assert_eq!((beside.world.gets(), beside.reads()), (1, 1));
        assert!(beside.world.kept().await);
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_continued_by_the_bucket() {
    let faults = [Fault::BreakAt(MIB), Fault::Refuse(UpstreamErrorKind::Unavailable)];
    let beside = Beside::new(3 * MIB, faults).await;
    beside.holds(beside.world.content(None)).await;
    assert_eq!(read(beside.join(Leave::ToBeAsked), None).await, (beside.world.content(None), Ok(())));
    assert_eq!((beside.world.gets(), beside.reads()), (2, 1));
}

#[tokio::test]
async fn wrong_bytes_of_the_bucket_are_healed() {
    for size in [10, VERIFY_FIRST, 2 * MIB] {
        let beside = Beside::new(size, []).await;
        beside.holds(wrong(&beside.world)).await;
        let (bytes, result) = read(beside.join(LINKED), None).await;
        if size <= VERIFY_FIRST {
            assert_eq!((bytes, result), (beside.world.content(None), Ok(())), "nothing had been sent");
        } else {
            assert!(result.unwrap_err().contains("do not match"));
            assert!(bytes.len() as u64 <= size - HOLD_BACK);
            beside.world.landed().await;
            assert_eq!(read(beside.join(LINKED), None).await, (beside.world.content(None), Ok(())), "a retry heals it");
        }
        assert_eq!((beside.world.gets(), beside.reads()), (1, 1), "the bucket is not asked again");
        assert!(beside.world.kept().await);
        beside.comes_to_hold(Some(beside.world.content(None))).await;
    }
}

#[tokio::test]
async fn a_wrong_length_in_the_bucket_is_as_wrong_as_wrong_bytes() {
    for wrong_size in [5_000, 200_000] {
        let beside = Beside::new(100_000, []).await;
        beside.holds(vec![1; wrong_size]).await;
        let known = Leave::Given { size: Some(100_000) };
        assert_eq!(read(beside.join(known), None).await, (beside.world.content(None), Ok(())));
        assert_eq!(beside.world.gets(), 1);

        let unknown = Beside::new(100_000, []).await;
        unknown.holds(vec![1; wrong_size]).await;
        assert_eq!(read(unknown.join(LINKED), None).await, (unknown.world.content(None), Ok(())), "the digest tells");
    }
    let broken = Beside::new(100_000, []).await;
    broken.holds(vec![1; 200_000]).await;
    broken.store.ends.lock().push_back(50_000);
    assert_eq!(read(broken.join(LINKED), None).await, (broken.world.content(None), Ok(())), "the upstream tells");
}

#[tokio::test]
async fn without_a_spool_the_bucket_delivers_to_each() {
    let beside = Beside::new(2 * MIB, []).await;
    beside.holds(beside.world.content(None)).await;
    let folder = beside.world.folder.path();
    for folder in walk(folder).into_iter().filter(|path| path.parent().is_some_and(|p| p.ends_with("spool"))) {
        let _ = std::fs::remove_dir_all(folder);
    }
    let mut follower = beside.join(LINKED);
    assert_eq!(follower.opened().await.unwrap(), Opened { size: Some(2 * MIB), kept: false, from_bucket: true });
    assert_eq!(read(follower, None).await, (beside.world.content(None), Ok(())));
    assert_eq!((beside.world.gets(), beside.world.origin.heads.load(Ordering::SeqCst)), (0, 0));

    beside.holds(wrong(&beside.world)).await;
    beside.world.landed().await;
    assert!(read(beside.join(LINKED), None).await.1.unwrap_err().contains("do not match"));
    beside.world.landed().await;
    assert_eq!(read(beside.join(LINKED), None).await, (beside.world.content(None), Ok(())), "a retry heals it");
}
