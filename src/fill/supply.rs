//! Who delivers a content: the bucket that edges share, where it may be asked, and the upstream.
//!
//! Bytes carry no rights: the bucket is asked only when there is leave to read the content in the source's repository, because
//! of a link or because the upstream has just answered. And its bytes are not trusted: a transfer that took any of them and
//! came to a wrong end says so to the bucket.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{Leave, Source, transfer::unavailable};
use crate::{
    oci::Digest,
    tiers::ObjectTier,
    upstream::{BlobStream, UpstreamError},
};

/// The suppliers of one content, in the order in which they are asked.
#[derive(Debug, Clone)]
pub(super) struct Suppliers {
    source: Source,
    digest: Digest,
    bucket: Option<ObjectTier>,
    turn: Turn,
    /// Length of the content, from whoever said it first.
    size: Option<u64>,
    /// Whether bytes of the bucket were taken.
    tainted: bool,
}

/// When the bucket is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Not at all.
    Never,
    /// Before the upstream.
    First,
    /// When the upstream fails.
    Last,
}

/// A content on its way.
pub(super) struct Delivery {
    /// Offset of the first byte of `body`: not more than was asked for.
    pub(super) start: u64,
    /// Length of the whole, when it was said.
    pub(super) size: Option<u64>,
    pub(super) body: BoxStream<'static, Result<Bytes, UpstreamError>>,
    pub(super) from_bucket: bool,
}

impl Suppliers {
    pub(super) fn new(source: Source, digest: Digest, bucket: Option<ObjectTier>) -> Self {
        let (turn, size) = match source.leave {
            Leave::Given { size } if bucket.is_some() => (Turn::First, size),
            _ => (Turn::Never, None),
        };
        Self { source, digest, bucket, turn, size, tainted: false }
    }

    /// Opens the content from a byte on.
    ///
    /// # Errors
    /// The upstream's failure, when the bucket does not help either.
    pub(super) async fn open(&mut self, from: u64) -> Result<Delivery, UpstreamError> {
        if self.turn == Turn::First
            && let Some(delivery) = self.ask_bucket(from).await
        {
            return Ok(delivery);
        }
        match self.source.origin.blob(&self.source.repository, &self.digest, from).await {
            Ok(BlobStream { start, size, body }) => {
                self.answered(size);
                Ok(Delivery { start, size, body, from_bucket: false })
            }
            Err(error) if self.turn == Turn::Last => self.ask_bucket(from).await.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Length of the content, and whether the bucket said it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) async fn size(&mut self) -> Result<(Option<u64>, bool), UpstreamError> {
        if self.turn == Turn::First
            && let Some(bucket) = &self.bucket
            && let Some(size) = bucket.size(&self.digest).await
            && self.size.is_none_or(|expected| expected == size)
        {
            return Ok((Some(size), true));
        }
        let size = self.source.origin.blob_size(&self.source.repository, &self.digest).await?;
        self.answered(size);
        Ok((size, false))
    }

    /// The upstream has answered, which is its leave.
    fn answered(&mut self, size: Option<u64>) {
        if self.turn == Turn::Never && self.bucket.is_some() {
            self.turn = Turn::Last;
        }
        self.size = self.size.or(size);
    }

    async fn ask_bucket(&mut self, from: u64) -> Option<Delivery> {
        let bucket = self.bucket.as_ref()?;
        let stream = bucket.open(&self.digest, from).await.filter(|stream| stream.start == from)?;
        if self.size.is_some_and(|expected| expected != stream.size) {
            self.distrust().await;
            return None;
        }
        self.tainted = true;
        self.size = Some(stream.size);
        let body = stream.body.map_err(|error| unavailable(&format!("the bucket: {error}"))).boxed();
        Some(Delivery { start: from, size: Some(stream.size), body, from_bucket: true })
    }

    /// A delivery broke off: the next one comes from the upstream, if that can be.
    pub(super) fn broke_off(&mut self) {
        if self.turn == Turn::First {
            self.turn = Turn::Last;
        }
    }

    /// Whether the bucket may be to blame for wrong bytes or a wrong length.
    pub(super) const fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// What the bucket holds is wrong. It is not asked any more, and what was taken is of no use.
    pub(super) async fn distrust(&mut self) {
        if let Some(bucket) = self.bucket.take() {
            bucket.distrust(&self.digest).await;
        }
        (self.turn, self.tainted, self.size) = (Turn::Never, false, None);
    }
}
