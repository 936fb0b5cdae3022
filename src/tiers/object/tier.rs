//! The bucket as one of the tiers: whole contents, verified.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, atomic::Ordering},
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
};

use super::{
    ObjectStream, ObjectTier, Shared,
    upload::{Source, UploadError},
};
use crate::{
    oci::{Digest, Hasher},
    telemetry::TierName,
    tiers::{Content, Found, Spool, Tier, Usage, Wanted, blocking},
};

/// Larger contents are read into a file.
const IN_MEMORY: u64 = 4 << 20;

/// Bytes that are written to such a file at once.
const PIECE: usize = 1 << 20;

/// Through [`Tiers`](crate::tiers::Tiers), contents are streamed and offered instead; this is for whoever wants them whole, now.
impl Tier for ObjectTier {
    fn name(&self) -> TierName {
        TierName::Object
    }

    /// Reads the whole content. Wrong bytes are an error, and are deleted in the bucket.
    fn lookup<'a>(&'a self, digest: &'a Digest, _wanted: &'a Wanted) -> BoxFuture<'a, io::Result<Option<Found>>> {
        async move {
            let Some(stream) = self.open(digest, 0).await else {
                return Ok(None);
            };
            let size = stream.size;
            let read = if size <= IN_MEMORY {
                in_memory(digest, stream).await.map(|bytes| bytes.map(in_bytes))
            } else {
                let file = self.shared.in_file(digest, stream).await;
                file.map(|file| file.map(|file| Found::in_file(TierName::Object, file, size, 0, true)))
            };
            let found = read?;
            if found.is_none() {
                self.shared.distrust(digest);
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the content does not match its digest"));
            }
            Ok(found)
        }
        .boxed()
    }

    /// Uploads now. The bytes are verified on the way: wrong ones are `InvalidData`.
    fn store<'a>(&'a self, digest: &'a Digest, content: Content) -> BoxFuture<'a, io::Result<()>> {
        async move {
            if self.shared.breaker.is_open() {
                return Err(io::Error::new(io::ErrorKind::NotConnected, "the bucket fails and is left alone for now"));
            }
            let (source, size) = match &content {
                Content::Bytes(bytes) => (Source::Memory(bytes.clone()), bytes.len() as u64),
                Content::Spool { spool, size } => (Source::File(spool.file().clone()), *size),
            };
            let anew = self.shared.distrusted.contains_key(digest);
            match self.shared.uploader.upload(digest, source, size, anew).await {
                Ok(uploaded) => {
                    self.shared.note(uploaded, digest, size);
                    Ok(())
                }
                Err(error) => {
                    let wrong = matches!(error, UploadError::Wrong);
                    self.shared.figures.uploaded(if wrong { "wrong" } else { "failed" });
                    self.shared.write_failed(&error);
                    Err(error.into())
                }
            }
        }
        .boxed()
    }

    fn remove<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        async move {
            if self.shared.breaker.is_open() {
                tracing::warn!(%digest, "a content is not deleted in the bucket, which is left alone for now");
            } else {
                self.shared.delete(digest).await;
            }
        }
        .boxed()
    }

    /// What this process knows to be there; the whole bucket is never listed.
    fn usage(&self) -> Usage {
        self.shared.known.run_pending_tasks();
        let bytes = self.shared.known.iter().map(|(_, size)| size).sum();
        Usage { entries: self.shared.known.entry_count(), bytes, limit: u64::MAX }
    }
}

fn in_bytes(bytes: Bytes) -> Found {
    Found { tier: TierName::Object, ..Found::in_memory(bytes) }
}

/// Reads a content that is known to be small. `None` when it is not what its digest says.
async fn in_memory(digest: &Digest, mut stream: ObjectStream) -> io::Result<Option<Bytes>> {
    let mut bytes = BytesMut::with_capacity(stream.size as usize);
    while let Some(piece) = stream.body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    let bytes = bytes.freeze();
    Ok((Digest::of(digest.algorithm(), &bytes) == *digest).then_some(bytes))
}

impl Shared {
    /// Reads a content into a file that has no name any more. `None` when it is not what its digest says.
    async fn in_file(&self, digest: &Digest, mut stream: ObjectStream) -> io::Result<Option<Arc<File>>> {
        let path = self.spools.join(self.next_spool.fetch_add(1, Ordering::Relaxed).to_string());
        let spool = blocking(move || Spool::create(path)).await?;
        let mut hasher = digest.algorithm().hasher();
        let mut at = 0;
        let mut piece = BytesMut::with_capacity(PIECE);
        while let Some(bytes) = stream.body.next().await {
            piece.extend_from_slice(&bytes?);
            if piece.len() >= PIECE {
                (hasher, at) = append(spool.file(), piece.split().freeze(), at, hasher).await?;
            }
        }
        (hasher, _) = append(spool.file(), piece.freeze(), at, hasher).await?;
        Ok((hasher.finish() == *digest).then(|| spool.file().clone()))
    }
}

async fn append(file: &Arc<File>, piece: Bytes, at: u64, mut hasher: Hasher) -> io::Result<(Hasher, u64)> {
    let file = file.clone();
    blocking(move || {
        file.write_all_at(&piece, at)?;
        hasher.update(&piece);
        Ok((hasher, at + piece.len() as u64))
    })
    .await
}
