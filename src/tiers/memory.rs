//! The memory tier: small content, ready to be sent.

use std::io;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use moka::sync::Cache;

use super::{Content, Found, Tier, Usage, Wanted};
use crate::{oci::Digest, telemetry::TierName};

/// What one entry costs besides its bytes: key, bookkeeping, allocation.
const OVERHEAD: u32 = 256;

/// Content in memory, bounded in bytes; recency and frequency decide what stays (W-TinyLFU).
#[derive(Debug)]
pub struct Memory {
    cache: Cache<Digest, Bytes>,
    limit: u64,
    max_entry: u64,
}

impl Memory {
    /// A tier of at most `limit` bytes that takes contents of at most `max_entry` bytes.
    pub fn new(limit: u64, max_entry: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(limit)
            .weigher(|_: &Digest, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(OVERHEAD))
            .build();
        Self { cache, limit, max_entry }
    }

    /// Whether a content of `size` bytes belongs here.
    pub fn wants(&self, size: u64) -> bool {
        size <= self.max_entry && size + u64::from(OVERHEAD) <= self.limit
    }

    /// The length of a content that is here.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.cache.get(digest).map(|bytes| bytes.len() as u64)
    }

    /// A content that is here. Counts as asking for it, as for what stays in memory.
    pub(super) fn peek(&self, digest: &Digest) -> Option<Bytes> {
        self.cache.get(digest)
    }

    /// Whether it is here, without noting that it was wanted.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.cache.contains_key(digest)
    }
}

impl Tier for Memory {
    fn name(&self) -> TierName {
        TierName::Memory
    }

    fn lookup<'a>(&'a self, digest: &'a Digest, _wanted: &'a Wanted) -> BoxFuture<'a, io::Result<Option<Found>>> {
        ready(Ok(self.cache.get(digest).map(Found::in_memory))).boxed()
    }

    fn store<'a>(&'a self, digest: &'a Digest, content: Content) -> BoxFuture<'a, io::Result<()>> {
        async move {
            let bytes = match content {
                Content::Bytes(bytes) if self.wants(bytes.len() as u64) => bytes,
                Content::Spool { spool, size } if self.wants(size) => {
                    super::blocking(move || super::read_file(spool.file(), size)).await?
                }
                _ => return Ok(()),
            };
            // A slice could keep a much larger buffer alive.
            self.cache.insert(*digest, Bytes::copy_from_slice(&bytes));
            Ok(())
        }
        .boxed()
    }

    fn remove<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        self.cache.invalidate(digest);
        ready(()).boxed()
    }

    fn usage(&self) -> Usage {
        self.cache.run_pending_tasks();
        Usage { entries: self.cache.entry_count(), bytes: self.cache.weighted_size(), limit: self.limit }
    }
}
