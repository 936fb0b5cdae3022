//! The task that brings a blob here: once, whoever follows.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::join, stream::BoxStream};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::SemaphorePermit;

use super::{
    FillError, FillErrorKind, Haste, Leave, Shared, VERIFY_FIRST,
    breaks::Breaks,
    flight::{Flight, Spill},
    supply::{Delivery, Suppliers},
};
use crate::{
    oci::Hasher,
    tiers::{Content, Spool},
    upstream::{UpstreamError, UpstreamErrorKind},
};

/// Bytes written and hashed at once.
const BATCH: usize = 1 << 20;

/// Bytes of them after each of which a thread of no priority can be stopped: the kernel need not stop it within a call.
const STRIDE: usize = 64 << 10;

/// Brings the blob of a flight here.
pub(super) async fn transfer(shared: &Shared, flight: &Arc<Flight>) -> Result<(), FillError> {
    let _slot = slot(shared, flight).await?;
    let mut suppliers = flight.suppliers();
    let spool = match shared.tiers.spool().await {
        Ok(spool) => spool,
        Err(_) if gives_up(shared, flight) => return Err(FillError::new(FillErrorKind::NotKept)),
        Err(error) => {
            let (size, from_bucket) = suppliers.size().await?;
            granted(shared, flight);
            flight.open(size, from_bucket);
            spill(shared, flight, &error, Spill { at: 0, hasher: flight.digest.algorithm().hasher(), suppliers });
            return Ok(());
        }
    };
    // Set once: this task is the only one that does.
    let _ = flight.file.set(spool.file().clone());
    loop {
        let delivery = suppliers.open(0).await?;
        granted(shared, flight);
        if delivery.size.is_some_and(|size| size > flight.most) && gives_up(shared, flight) {
            return Err(FillError::new(FillErrorKind::TooLong));
        }
        flight.open(delivery.size, delivery.from_bucket);
        let _counted = Counted::new(&shared.metrics.fills);
        let mut reception = Reception::new(shared, flight, suppliers, delivery.size);
        let error = match reception.receive(&spool, delivery).await {
            Ok(()) => {
                keep(shared, flight, spool, reception.received).await;
                return Ok(());
            }
            Err(Interruption::Failed(error)) => error,
            Err(Interruption::Spool(_)) if gives_up(shared, flight) => return Err(FillError::new(FillErrorKind::NotKept)),
            Err(Interruption::Spool(error)) => {
                let Reception { received: at, hasher, suppliers, .. } = reception;
                spill(shared, flight, &error, Spill { at, hasher, suppliers });
                return Ok(());
            }
        };
        let nothing_sent = reception.size.is_some_and(|size| size <= VERIFY_FIRST);
        suppliers = reception.suppliers;
        if !suppliers.is_tainted() || !may_be_the_buckets(&error) {
            return Err(error);
        }
        suppliers.distrust().await;
        if !nothing_sent || empty(&spool).await.is_err() {
            return Err(error);
        }
    }
}

/// A place among the transfers that clients wait for; one that nobody waits for needs none.
async fn slot<'a>(shared: &'a Shared, flight: &Flight) -> Result<Option<SemaphorePermit<'a>>, FillError> {
    if *flight.haste.borrow() < Haste::Now {
        return Ok(None);
    }
    shared.slots.acquire().await.map(Some).map_err(|_| FillError::new(FillErrorKind::Abandoned))
}

/// Whether a transfer that cannot be kept, or should not, is of no use to anybody; it is off the table then.
fn gives_up(shared: &Shared, flight: &Arc<Flight>) -> bool {
    *flight.haste.borrow() < Haste::Now && shared.land_deserted(flight)
}

/// The upstream has given its leave, if it had to be asked for it.
fn granted(shared: &Shared, flight: &Flight) {
    if flight.source.leave == Leave::ToBeAsked {
        shared.ledger.granted(&flight.source, &flight.digest);
    }
}

/// Whether a failure can come from what the bucket sent: what it holds is not trusted.
fn may_be_the_buckets(error: &FillError) -> bool {
    let bad_answer = error.upstream().is_some_and(|error| error.kind == UpstreamErrorKind::BadAnswer);
    bad_answer || error.kind == FillErrorKind::DigestMismatch
}

async fn empty(spool: &Spool) -> io::Result<()> {
    let file = spool.file().clone();
    tokio::task::spawn_blocking(move || file.set_len(0)).await.map_err(io::Error::other)?
}

/// Has work done that blocks: behind everything else as long as nobody is in a hurry for the flight.
async fn behind<T: Send + 'static>(shared: &Shared, flight: &Flight, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    if *flight.haste.borrow() > Haste::Later {
        return tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    }
    let mut haste = flight.haste.subscribe();
    shared.idle.run(work, haste.wait_for(|haste| *haste > Haste::Later).map(drop)).await
}

/// Lets the followers have the last piece of a verified content, and hands the spool to the tiers.
async fn keep(shared: &Shared, flight: &Flight, spool: Spool, size: u64) {
    shared.ledger.verified(&flight.source, &flight.digest, size);
    flight.complete(size);
    // Whoever follows has the bytes; that they cannot be kept is no failure of the transfer.
    match store(shared, flight, spool, size).await {
        Ok(()) => {
            flight.kept.send_replace(Some(true));
            shared.ledger.kept(&flight.digest, size);
        }
        Err(error) if *flight.haste.borrow() < Haste::Now => tracing::debug!(digest = %flight.digest, %error, "not kept"),
        Err(error) => tracing::warn!(digest = %flight.digest, %error, "a verified content could not be kept"),
    }
}

async fn store(shared: &Shared, flight: &Flight, spool: Spool, size: u64) -> io::Result<()> {
    let file = spool.file().clone();
    if *flight.haste.borrow() == Haste::Later {
        // The tier syncs it too, and finds nothing left to do.
        behind(shared, flight, move || file.sync_data()).await??;
    }
    shared.tiers.store(&flight.digest, Content::Spool { spool, size }).await
}

/// Counts a transfer as under way for as long as it is, also when it is given up in the middle.
struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Lets the followers go on alone. On a disk that is fuller than its limit knows, room is made for what comes next.
fn spill(shared: &Shared, flight: &Flight, error: &io::Error, spill: Spill) {
    let at = spill.at;
    tracing::warn!(digest = %flight.digest, %error, at, "the spool cannot be written: streaming through without keeping");
    flight.spill(spill);
    if error.kind() == io::ErrorKind::StorageFull {
        let tiers = shared.tiers.clone();
        shared.handle.spawn(async move { tiers.make_room().await });
    }
}

/// The state of receiving one blob.
struct Reception<'a> {
    shared: &'a Shared,
    flight: &'a Arc<Flight>,
    suppliers: Suppliers,
    size: Option<u64>,
    /// Bytes in the spool, and their hash.
    received: u64,
    hasher: Hasher,
    breaks: Breaks,
}

/// Why receiving stopped before the end.
enum Interruption {
    Failed(FillError),
    Spool(io::Error),
}

impl From<UpstreamError> for Interruption {
    fn from(error: UpstreamError) -> Self {
        Self::Failed(error.into())
    }
}

/// How an answer ended.
enum End {
    Content,
    Broken(UpstreamError),
}

impl<'a> Reception<'a> {
    fn new(shared: &'a Shared, flight: &'a Arc<Flight>, suppliers: Suppliers, size: Option<u64>) -> Self {
        let hasher = flight.digest.algorithm().hasher();
        Self { shared, flight, suppliers, size, received: 0, hasher, breaks: Breaks::default() }
    }

    /// Receives everything, resuming where a supplier breaks off, and verifies it.
    async fn receive(&mut self, spool: &Spool, delivery: Delivery) -> Result<(), Interruption> {
        let mut delivery = delivery;
        loop {
            match self.drain(spool, delivery).await? {
                End::Content if self.size.is_none_or(|size| self.received == size) => break,
                End::Content => delivery = self.resume(unavailable("the upstream ended the content early")).await?,
                End::Broken(error) => delivery = self.resume(error).await?,
            }
        }
        if self.hasher.clone().finish() == self.flight.digest {
            return Ok(());
        }
        tracing::warn!(digest = %self.flight.digest, route = %self.flight.source.route, "bytes came that do not match the digest");
        Err(Interruption::Failed(FillError::new(FillErrorKind::DigestMismatch)))
    }

    /// Receives one answer. The next bytes are awaited while the last ones are written and hashed.
    async fn drain(&mut self, spool: &Spool, mut delivery: Delivery) -> Result<End, Interruption> {
        // An upstream that ignores ranges starts over: that part is in the spool already.
        let mut skip = self.received.saturating_sub(delivery.start);
        let mut batch = gather(&mut delivery.body, &mut skip).await;
        loop {
            if let Some(end) = batch.end {
                self.write(spool, batch.chunks).await?;
                return Ok(end.map_or_else(End::Broken, |()| End::Content));
            }
            let (written, next) = join(self.write(spool, batch.chunks), gather(&mut delivery.body, &mut skip)).await;
            written?;
            batch = next;
        }
    }

    async fn write(&mut self, spool: &Spool, chunks: Vec<Bytes>) -> Result<(), Interruption> {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        if length == 0 {
            return Ok(());
        }
        if self.size.is_some_and(|size| self.received + length as u64 > size) {
            return Err(bad_answer("the upstream sent more than it had announced").into());
        }
        let (file, mut hasher, mut offset) = (spool.file().clone(), self.hasher.clone(), self.received);
        let writing = behind(self.shared, self.flight, move || {
            let mut strides = chunks.iter().flat_map(|chunk| chunk.chunks(STRIDE));
            let result = strides.try_for_each(|stride| {
                Spool::write_at(&file, stride, offset)?;
                hasher.update(stride);
                offset += stride.len() as u64;
                Ok(())
            });
            // The chunks are freed elsewhere: nobody shall wait for an allocator whose lock a stopped thread holds.
            (hasher, offset, result, chunks)
        });
        let (hasher, offset, result, _) = writing.await.map_err(Interruption::Spool)?;
        (self.hasher, self.received) = (hasher, offset);
        self.breaks.over();
        self.flight.advance(offset);
        result.map_err(Interruption::Spool)?;
        if self.received > self.flight.most && gives_up(self.shared, self.flight) {
            return Err(Interruption::Failed(FillError::new(FillErrorKind::TooLong)));
        }
        self.shared.traffic.give_way(self.flight, length as u64).await;
        Ok(())
    }

    /// Asks for the rest after a break.
    async fn resume(&mut self, mut error: UpstreamError) -> Result<Delivery, Interruption> {
        self.suppliers.broke_off();
        loop {
            self.breaks.pause(error).await?;
            match self.suppliers.open(self.received).await {
                Ok(rest) if rest.size.is_some() && self.size.is_some() && rest.size != self.size => {
                    error = bad_answer("the content's length changed while it was being fetched");
                }
                Ok(rest) => return Ok(rest),
                Err(again) => error = again,
            }
        }
    }
}

/// Chunks that arrived together, and how the stream ended, if it did.
struct Batch {
    chunks: Vec<Bytes>,
    end: Option<Result<(), UpstreamError>>,
}

/// Waits for a chunk, and takes what else is there already.
async fn gather(body: &mut BoxStream<'static, Result<Bytes, UpstreamError>>, skip: &mut u64) -> Batch {
    let mut batch = Batch { chunks: Vec::new(), end: None };
    let (mut length, mut next) = (0, body.next().await);
    loop {
        match next {
            Some(Ok(chunk)) => {
                let skipped = (*skip).min(chunk.len() as u64);
                *skip -= skipped;
                length += chunk.len();
                batch.chunks.push(chunk.slice(skipped as usize..));
            }
            Some(Err(error)) => batch.end = Some(Err(error)),
            None => batch.end = Some(Ok(())),
        }
        if batch.end.is_some() || length >= BATCH {
            return batch;
        }
        match body.next().now_or_never() {
            Some(more) => next = more,
            None => return batch,
        }
    }
}

pub(super) fn unavailable(message: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Unavailable, message)
}

fn bad_answer(message: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::BadAnswer, message)
}
