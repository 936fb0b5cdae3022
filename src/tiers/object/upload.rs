//! Uploads: verified on the way, whole or in parts, and nothing is visible before it is complete.

use std::{fmt, fs::File, io, os::unix::fs::FileExt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UploadPart, path::Path};
use parking_lot::Mutex;
use tokio::{runtime::Handle, task::JoinSet, time::timeout};

use super::{
    Bucket,
    clients::WRITE_TIMEOUT,
    failure::{Failure, explain},
};
use crate::{
    config::Object,
    oci::{Digest, Hasher},
    tiers::blocking,
};

/// Longest time for one step of an upload, tries included. A store that hangs must not keep a worker for ever.
const STEP: Duration = Duration::from_secs(2 * WRITE_TIMEOUT.as_secs());

/// How long a shutdown waits for parts of broken uploads to be deleted.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where the bytes of an upload come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Memory(Bytes),
    File(Arc<File>),
}

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uploaded {
    /// It was sent.
    Stored,
    /// It was there already.
    Present,
}

/// Why nothing was uploaded.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The bytes are not what their digest says.
    Wrong,
    /// The bytes cannot be read here.
    File(io::Error),
    /// The bucket did not take them.
    Bucket(object_store::Error),
    /// The bucket does not answer.
    Hangs,
    /// The bucket says that it has taken them, and has something else.
    Lost { sent: u64, found: Option<u64> },
}

/// Sends contents to one bucket.
pub(super) struct Uploader {
    store: Arc<dyn ObjectStore>,
    bucket: Bucket,
    multipart_above: u64,
    part_size: u64,
    runtime: Handle,
    /// Broken uploads whose parts are being deleted.
    aborts: Arc<Mutex<JoinSet<()>>>,
}

impl Uploader {
    pub(super) fn new(bucket: &Bucket, config: &Object, runtime: Handle) -> Self {
        Self {
            store: bucket.writes.clone(),
            bucket: bucket.clone(),
            multipart_above: config.multipart_above.as_u64(),
            part_size: config.part_size.as_u64(),
            runtime,
            aborts: Arc::default(),
        }
    }

    /// Uploads the first `size` bytes of `source` as content `digest`. An object of this size that is there already is taken to
    /// be it, unless `anew`. When this is dropped, the upload never happened.
    pub(super) async fn upload(&self, digest: &Digest, source: Source, size: u64, anew: bool) -> Result<Uploaded, UploadError> {
        let path = self.bucket.blob(digest);
        let present = self.length(&path).await?;
        if present == Some(size) && !anew {
            return Ok(Uploaded::Present);
        }
        if size > self.multipart_above {
            self.in_parts(digest, &source, size, &path).await?;
            self.confirm(&path, size).await?;
            return Ok(Uploaded::Stored);
        }
        let bytes = source.whole(size).await?;
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Err(UploadError::Wrong);
        }
        let mode = if present.is_some() { PutMode::Overwrite } else { PutMode::Create };
        self.put(&path, bytes, mode).await
    }

    /// Waits, for a moment, until the parts of broken uploads are deleted.
    pub(super) async fn aborted(&self) {
        let aborts = std::mem::take(&mut *self.aborts.lock());
        if timeout(GOODBYE, aborts.join_all()).await.is_err() {
            tracing::warn!("parts of broken uploads may be left in the bucket; a lifecycle rule deletes them");
        }
    }

    async fn put(&self, path: &Path, bytes: Bytes, mode: PutMode) -> Result<Uploaded, UploadError> {
        let options = PutOptions::from(mode.clone());
        match step(self.store.put_opts(path, bytes.clone().into(), options)).await {
            Ok(_) => Ok(Uploaded::Stored),
            Err(UploadError::Bucket(error)) if mode == PutMode::Create => match Failure::of(&error) {
                // Another edge was faster.
                Failure::Conflict => Ok(Uploaded::Present),
                // The server knows no conditions.
                Failure::Refused => {
                    let plain = PutOptions::from(PutMode::Overwrite);
                    step(self.store.put_opts(path, bytes.into(), plain)).await.map(|_| Uploaded::Stored)
                }
                _ => Err(UploadError::Bucket(error)),
            },
            Err(error) => Err(error),
        }
    }

    async fn in_parts(&self, digest: &Digest, source: &Source, size: u64, path: &Path) -> Result<(), UploadError> {
        let upload = step(self.store.put_multipart(path)).await?;
        let mut upload = Parts { upload: Some(upload), aborts: self.aborts.clone(), runtime: self.runtime.clone() };
        let mut hasher = digest.algorithm().hasher();
        let mut sending: Option<UploadPart> = None;
        let mut at = 0;
        while at < size {
            let length = self.part_size.min(size - at);
            let sent = async { if let Some(part) = sending.take() { step(part).await } else { Ok(()) } };
            // The next part is read while the last one is sent.
            let ((piece, hashed), ()) = try_join(source.piece(at, length, hasher), sent).await?;
            hasher = hashed;
            at += length;
            sending = upload.put(piece);
        }
        if hasher.finish() != *digest {
            return Err(UploadError::Wrong);
        }
        if let Some(part) = sending {
            step(part).await?;
        }
        upload.complete().await
    }

    /// A multipart upload that was completed may have failed all the same: some servers say so in the body of a success.
    async fn confirm(&self, path: &Path, size: u64) -> Result<(), UploadError> {
        let found = self.length(path).await?;
        if found == Some(size) {
            return Ok(());
        }
        if found.is_some() {
            step(self.store.delete(path)).await?;
        }
        Err(UploadError::Lost { sent: size, found })
    }

    async fn length(&self, path: &Path) -> Result<Option<u64>, UploadError> {
        match step(self.store.head(path)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(UploadError::Bucket(error)) if Failure::of(&error) == Failure::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A request to the bucket, with an end.
async fn step<T>(request: impl Future<Output = object_store::Result<T>>) -> Result<T, UploadError> {
    match timeout(STEP, request).await {
        Ok(answer) => answer.map_err(UploadError::Bucket),
        Err(_) => Err(UploadError::Hangs),
    }
}

/// An upload in parts. Dropped before it is complete, its parts are deleted behind.
struct Parts {
    upload: Option<Box<dyn MultipartUpload>>,
    aborts: Arc<Mutex<JoinSet<()>>>,
    runtime: Handle,
}

impl Parts {
    fn put(&mut self, piece: Bytes) -> Option<UploadPart> {
        self.upload.as_mut().map(|upload| upload.put_part(piece.into()))
    }

    async fn complete(mut self) -> Result<(), UploadError> {
        if let Some(upload) = &mut self.upload {
            step(upload.complete()).await?;
        }
        self.upload = None;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let mut aborts = self.aborts.lock();
        while aborts.try_join_next().is_some() {}
        let abort = async move {
            if let Err(error) = step(upload.abort()).await {
                tracing::warn!(%error, "parts of a broken upload are left in the bucket; a lifecycle rule deletes them");
            }
        };
        aborts.spawn_on(abort, &self.runtime);
    }
}

impl Source {
    async fn whole(&self, size: u64) -> Result<Bytes, UploadError> {
        match self {
            Self::Memory(bytes) if bytes.len() as u64 == size => Ok(bytes.clone()),
            Self::Memory(_) => Err(UploadError::Wrong),
            Self::File(file) => {
                let file = file.clone();
                blocking(move || read(&file, 0, size)).await.map_err(UploadError::from)
            }
        }
    }

    /// A part, and the hash up to its end.
    async fn piece(&self, at: u64, length: u64, mut hasher: Hasher) -> Result<(Bytes, Hasher), UploadError> {
        let source = self.clone();
        let piece = blocking(move || {
            let piece = match &source {
                Self::Memory(bytes) => {
                    let (at, end) = (at as usize, (at + length) as usize);
                    if end > bytes.len() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    bytes.slice(at..end)
                }
                Self::File(file) => read(file, at, length)?,
            };
            hasher.update(&piece);
            Ok((piece, hasher))
        });
        piece.await.map_err(UploadError::from)
    }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

impl From<io::Error> for UploadError {
    /// A file that ends too soon has the wrong bytes.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Wrong } else { Self::File(error) }
    }
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong => f.write_str("the bytes do not match their digest"),
            Self::File(error) => write!(f, "the file cannot be read: {error}"),
            Self::Bucket(error) => f.write_str(&explain(error)),
            Self::Hangs => f.write_str("the bucket does not answer"),
            Self::Lost { sent, found } => write!(f, "of {sent} bytes the bucket has kept {}", found.unwrap_or(0)),
        }
    }
}

impl From<UploadError> for io::Error {
    fn from(error: UploadError) -> Self {
        let kind = match &error {
            UploadError::Wrong => io::ErrorKind::InvalidData,
            UploadError::Hangs => io::ErrorKind::TimedOut,
            UploadError::File(error) => error.kind(),
            UploadError::Bucket(_) | UploadError::Lost { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error.to_string())
    }
}

impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploader").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
