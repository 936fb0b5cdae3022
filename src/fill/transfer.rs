//! The task that brings a blob here: once, whoever follows.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::{join, select},
    stream::BoxStream,
};
use prometheus_client::metrics::gauge::Gauge;

use super::{
    FillError, FillErrorKind, Shared, WORTH_FINISHING,
    breaks::Breaks,
    flight::{Flight, Phase, Spill},
};
use crate::{
    oci::Hasher,
    tiers::{Content, Spool},
    upstream::{BlobStream, UpstreamError, UpstreamErrorKind},
};

/// Bytes written and hashed at once.
const BATCH: usize = 1 << 20;

/// How long a transfer may be without followers before it is given up: a client that reads range by range comes back.
const DESERTION_GRACE: Duration = Duration::from_millis(500);

/// Runs a transfer to its end and takes it off the table.
pub(super) async fn run(shared: Arc<Shared>, flight: Arc<Flight>) {
    let transfer = std::pin::pin!(transfer(&shared, &flight));
    let desertion = std::pin::pin!(desertion(&shared, &flight));
    let either = select(transfer, desertion).map(|either| either.factor_first().0);
    // A panic in here must not leave followers waiting for ever.
    let outcome = std::panic::AssertUnwindSafe(either).catch_unwind().await;
    shared.land(&flight);
    if let Err(error) = outcome.unwrap_or(Err(FillError::new(FillErrorKind::Panicked))) {
        let source = &flight.source;
        tracing::info!(digest = %flight.digest, route = %source.route, repository = %source.repository, %error, "a transfer failed");
        flight.fail(error);
    }
}

/// Ends when everyone has left a transfer that is not worth finishing; it is off the table by then.
async fn desertion(shared: &Shared, flight: &Arc<Flight>) -> Result<(), FillError> {
    loop {
        flight.deserted.notified().await;
        // Whoever comes and leaves again in the meantime starts the grace anew.
        while tokio::time::timeout(DESERTION_GRACE, flight.deserted.notified()).await.is_ok() {}
        if !is_worth_finishing(flight) && shared.land_deserted(flight) {
            return Err(FillError::new(FillErrorKind::Abandoned));
        }
    }
}

fn is_worth_finishing(flight: &Flight) -> bool {
    let progress = flight.progress.borrow();
    matches!(progress.phase, Phase::Complete)
        || progress.size.is_none_or(|size| size <= WORTH_FINISHING || progress.watermark >= size / 2)
}

async fn transfer(shared: &Shared, flight: &Flight) -> Result<(), FillError> {
    let Ok(_slot) = shared.slots.acquire().await else {
        return Err(FillError::new(FillErrorKind::Abandoned));
    };
    let source = &flight.source;
    let spool = match shared.tiers.spool().await {
        Ok(spool) => spool,
        Err(error) => {
            let size = source.origin.blob_size(&source.repository, &flight.digest).await?;
            shared.ledger.granted(source, &flight.digest);
            flight.open(size);
            spill(shared, flight, &error, 0, flight.digest.algorithm().hasher());
            return Ok(());
        }
    };
    let stream = source.origin.blob(&source.repository, &flight.digest, 0).await?;
    shared.ledger.granted(source, &flight.digest);
    // Set once: this task is the only one that does.
    let _ = flight.file.set(spool.file().clone());
    flight.open(stream.size);
    let _counted = Counted::new(&shared.metrics.fills);
    let hasher = flight.digest.algorithm().hasher();
    let mut reception = Reception { shared, flight, size: stream.size, received: 0, hasher, breaks: Breaks::default() };
    match reception.receive(&spool, stream).await {
        Ok(()) => reception.finish(spool).await,
        Err(Interruption::Upstream(error)) => Err(error.into()),
        Err(Interruption::Spool(error)) => {
            let Reception { received, hasher, .. } = reception;
            spill(shared, flight, &error, received, hasher);
            Ok(())
        }
    }
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
fn spill(shared: &Shared, flight: &Flight, error: &io::Error, at: u64, hasher: Hasher) {
    tracing::warn!(digest = %flight.digest, %error, at, "the spool cannot be written: streaming through without keeping");
    flight.spill(Spill { at, hasher });
    if error.kind() == io::ErrorKind::StorageFull {
        let tiers = shared.tiers.clone();
        shared.handle.spawn(async move { tiers.make_room().await });
    }
}

/// The state of receiving one blob.
struct Reception<'a> {
    shared: &'a Shared,
    flight: &'a Flight,
    size: Option<u64>,
    /// Bytes in the spool, and their hash.
    received: u64,
    hasher: Hasher,
    breaks: Breaks,
}

/// Why receiving stopped before the end.
enum Interruption {
    Upstream(UpstreamError),
    Spool(io::Error),
}

impl Reception<'_> {
    /// Receives everything, resuming where the upstream breaks off.
    async fn receive(&mut self, spool: &Spool, stream: BlobStream) -> Result<(), Interruption> {
        let mut stream = stream;
        loop {
            match self.drain(spool, stream).await {
                Ok(()) if self.size.is_none_or(|size| self.received == size) => return Ok(()),
                Ok(()) => stream = self.resume(unavailable("the upstream ended the content early")).await?,
                Err(Interruption::Upstream(error)) => stream = self.resume(error).await?,
                Err(spool_failed) => return Err(spool_failed),
            }
        }
    }

    /// Receives one answer. The next bytes are awaited while the last ones are written and hashed.
    async fn drain(&mut self, spool: &Spool, mut stream: BlobStream) -> Result<(), Interruption> {
        // An upstream that ignores ranges starts over: that part is in the spool already.
        let mut skip = self.received.saturating_sub(stream.start);
        let mut batch = gather(&mut stream.body, &mut skip).await;
        loop {
            if let Some(end) = batch.end {
                self.write(spool, batch.chunks).await?;
                return end.map_err(Interruption::Upstream);
            }
            let (written, next) = join(self.write(spool, batch.chunks), gather(&mut stream.body, &mut skip)).await;
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
            return Err(Interruption::Upstream(bad_answer("the upstream sent more than it had announced")));
        }
        let (file, mut hasher, mut offset) = (spool.file().clone(), self.hasher.clone(), self.received);
        let writing = tokio::task::spawn_blocking(move || {
            for chunk in chunks {
                if let Err(error) = Spool::write_at(&file, &chunk, offset) {
                    return (hasher, offset, Err(error));
                }
                hasher.update(&chunk);
                offset += chunk.len() as u64;
            }
            (hasher, offset, Ok(()))
        });
        let (hasher, offset, result) = writing.await.map_err(|error| Interruption::Spool(io::Error::other(error)))?;
        (self.hasher, self.received) = (hasher, offset);
        self.breaks.over();
        self.flight.advance(offset);
        result.map_err(Interruption::Spool)
    }

    /// Asks for the rest after a break.
    async fn resume(&mut self, mut error: UpstreamError) -> Result<BlobStream, Interruption> {
        let source = &self.flight.source;
        loop {
            self.breaks.pause(error).await.map_err(Interruption::Upstream)?;
            match source.origin.blob(&source.repository, &self.flight.digest, self.received).await {
                Ok(stream) if stream.size.is_some() && self.size.is_some() && stream.size != self.size => {
                    error = bad_answer("the content's length changed while it was being fetched");
                }
                Ok(stream) => return Ok(stream),
                Err(again) => error = again,
            }
        }
    }

    /// Verifies, lets the followers have the last piece, and hands the spool to the tiers.
    async fn finish(self, spool: Spool) -> Result<(), FillError> {
        let (flight, size) = (self.flight, self.received);
        if self.hasher.finish() != flight.digest {
            tracing::warn!(digest = %flight.digest, route = %flight.source.route, "the upstream sent bytes that do not match the digest");
            return Err(FillError::new(FillErrorKind::DigestMismatch));
        }
        self.shared.ledger.verified(&flight.source, &flight.digest, size);
        flight.complete(size);
        // Whoever follows has the bytes; that they cannot be kept is no failure of the transfer.
        if let Err(error) = self.shared.tiers.store(&flight.digest, Content::Spool { spool, size }).await {
            tracing::warn!(digest = %flight.digest, %error, "a verified content could not be kept");
        }
        Ok(())
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
