//! A bucket that fails as it is told to.

use std::fmt;

use futures_util::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
    client::{HttpError, HttpErrorKind},
    memory::InMemory,
    path::Path,
};
use parking_lot::Mutex;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Never an answer.
    Hang,
    /// An answer after this time.
    Slow(Duration),
    /// No connection.
    Unreachable,
    /// 503.
    Unwell,
    Denied,
    Refused,
    Conflict,
    /// A success that has not happened.
    Lie,
    /// A body that ends too soon.
    Short,
    /// A body that goes on.
    Long,
    /// A body that stands still.
    Stall,
    /// A body that breaks off.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    /// Operation, fault, and how often it still happens.
    faults: Vec<(&'static str, Fault, usize)>,
    calls: Vec<&'static str>,
    /// What was sent to which place, in order.
    puts: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) inner: InMemory,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    pub(super) fn new() -> Self {
        Self { inner: InMemory::new(), state: Arc::default() }
    }

    /// From now on, this operation (`get`, `head`, `body`, `put`, `conditional`, `part`, `complete`, `delete`) fails.
    pub(super) fn fail(&self, operation: &'static str, fault: Fault) {
        self.fail_times(operation, fault, usize::MAX);
    }

    pub(super) fn fail_times(&self, operation: &'static str, fault: Fault, times: usize) {
        self.state.lock().faults.push((operation, fault, times));
    }

    /// All that reaches the bucket fails.
    pub(super) fn fail_all(&self, fault: Fault) {
        for operation in ["get", "head", "put", "conditional", "part", "complete", "delete"] {
            self.fail(operation, fault);
        }
    }

    pub(super) fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// How often an operation was asked for; probes do not count.
    pub(super) fn calls(&self, operation: &str) -> usize {
        self.state.lock().calls.iter().filter(|call| **call == operation).count()
    }

    pub(super) fn puts(&self) -> Vec<String> {
        self.state.lock().puts.clone()
    }
}

/// The fault that an operation meets now.
fn meet(state: &Mutex<State>, operation: &'static str) -> Option<Fault> {
    let mut state = state.lock();
    let (_, fault, times) = state.faults.iter_mut().find(|(named, _, times)| *named == operation && *times > 0)?;
    *times = times.saturating_sub(1);
    Some(*fault)
}

async fn suffer(fault: Option<Fault>) -> Result<()> {
    let source = || "told to".into();
    let path = || "a".to_owned();
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Slow(time)) => {
            sleep(time).await;
            Ok(())
        }
        Some(Fault::Unreachable) => {
            let error = HttpError::new(HttpErrorKind::Connect, std::io::Error::other("refused"));
            Err(Error::Generic { store: "faulty", source: Box::new(error) })
        }
        Some(Fault::Unwell) => Err(Error::Generic { store: "faulty", source: source() }),
        Some(Fault::Denied) => Err(Error::PermissionDenied { path: path(), source: source() }),
        Some(Fault::Refused) => Err(Error::NotSupported { source: source() }),
        Some(Fault::Conflict) => Err(Error::Precondition { path: path(), source: source() }),
        _ => Ok(()),
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.state.lock().calls.push("put");
        if opts.mode != PutMode::Overwrite {
            self.state.lock().calls.push("conditional");
            suffer(meet(&self.state, "conditional")).await?;
        }
        suffer(meet(&self.state, "put")).await?;
        self.state.lock().puts.push(location.filename().unwrap_or_default().to_owned());
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(Upload { inner, state: self.state.clone(), name: location.filename().unwrap_or_default().to_owned() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { "head" } else { "get" };
        if location.filename() != Some("probe") {
            self.state.lock().calls.push(operation);
        }
        suffer(meet(&self.state, operation)).await?;
        let mut result = self.inner.get_opts(location, options).await?;
        let fault = meet(&self.state, "body");
        let GetResultPayload::Stream(body) = result.payload;
        result.payload = GetResultPayload::Stream(spoil(body, fault));
        Ok(result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.state.lock().calls.push("delete");
        let fault = meet(&self.state, "delete");
        if fault.is_none() {
            return self.inner.delete_stream(locations);
        }
        stream::once(async move { suffer(fault).await.map(|()| Path::default()) }).boxed()
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

fn spoil(body: BoxStream<'static, Result<Bytes>>, fault: Option<Fault>) -> BoxStream<'static, Result<Bytes>> {
    let more = |bytes: Bytes| stream::iter([Ok(bytes)]);
    match fault {
        Some(Fault::Short) => body.map(|bytes| bytes.map(|bytes| bytes.slice(..bytes.len() / 2))).boxed(),
        Some(Fault::Long) => body.chain(more(Bytes::from_static(b"and more"))).boxed(),
        Some(Fault::Stall) => body.map(|bytes| bytes.map(|bytes| bytes.slice(..1))).chain(stream::pending()).boxed(),
        Some(Fault::Broken) => {
            let error = HttpError::new(HttpErrorKind::Interrupted, std::io::Error::other("reset"));
            stream::iter([Err(Error::Generic { store: "faulty", source: Box::new(error) })]).boxed()
        }
        _ => body,
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    state: Arc<Mutex<State>>,
    name: String,
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.state.lock().calls.push("part");
        let (fault, part) = (meet(&self.state, "part"), self.inner.put_part(data));
        Box::pin(async move {
            suffer(fault).await?;
            part.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.state.lock().calls.push("complete");
        let fault = meet(&self.state, "complete");
        suffer(fault).await?;
        if fault == Some(Fault::Lie) {
            return Ok(PutResult { e_tag: None, version: None, extensions: Default::default() });
        }
        self.state.lock().puts.push(self.name.clone());
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.state.lock().calls.push("abort");
        self.inner.abort().await
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}
