//! Going on without a spool: when it cannot be written, each follower streams the rest from its suppliers by itself.
//!
//! The hash of what is in the spool is carried on, so that the end is held back until the digest is right here too.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::{
    FillError, FillErrorKind, HOLD_BACK,
    breaks::Breaks,
    flight::{Flight, Spill},
    supply::Suppliers,
    transfer::unavailable,
};
use crate::{oci::Hasher, tiers::Piece, upstream::UpstreamError};

/// Chunks that wait for a slow reader, at most.
const AHEAD: usize = 8;

/// A follower's own transfer.
#[derive(Debug)]
pub(super) struct Alone {
    chunks: mpsc::Receiver<Result<Bytes, FillError>>,
}

impl Alone {
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, FillError> {
        match self.chunks.recv().await {
            Some(Ok(chunk)) => Ok(Some(Piece::Bytes(chunk))),
            Some(Err(error)) => Err(error),
            None => Ok(None),
        }
    }
}

/// Starts streaming from `position` (at or after the spool's end) up to `end`. Ends by itself when the receiver is dropped.
pub(super) fn start(flight: &Arc<Flight>, spill: Arc<Spill>, position: u64, end: Option<u64>) -> Alone {
    let (sender, chunks) = mpsc::channel(AHEAD);
    let flight = flight.clone();
    flight.handle.clone().spawn(async move {
        let pump = Pump {
            sender: sender.clone(),
            suppliers: spill.suppliers.clone(),
            hasher: spill.hasher.clone(),
            arrived: spill.at,
            held: VecDeque::new(),
            held_bytes: 0,
            position,
            end,
        };
        if let Err(error) = pump.run(&flight).await {
            // A reader that has left does not want the error either.
            let _ = sender.send(Err(error)).await;
        }
    });
    Alone { chunks }
}

/// Why an answer ended.
enum End {
    /// The upstream has sent everything.
    Content,
    /// The reader has left.
    Reader,
}

struct Pump {
    suppliers: Suppliers,
    sender: mpsc::Sender<Result<Bytes, FillError>>,
    /// How much of the content is here, and its hash.
    arrived: u64,
    hasher: Hasher,
    /// What has arrived but may not be sent yet.
    held: VecDeque<Bytes>,
    held_bytes: u64,
    /// The next byte to send.
    position: u64,
    end: Option<u64>,
}

impl Pump {
    async fn run(mut self, flight: &Flight) -> Result<(), FillError> {
        let mut breaks = Breaks::default();
        loop {
            let before = self.arrived;
            match self.drain().await {
                Ok(End::Content) => break,
                Ok(End::Reader) => return Ok(()),
                Err(error) => {
                    self.suppliers.broke_off();
                    if self.arrived > before {
                        breaks.over();
                    }
                    breaks.pause(error).await?;
                }
            }
        }
        if self.hasher.clone().finish() != flight.digest {
            if self.suppliers.is_tainted() {
                self.suppliers.distrust().await;
            }
            return Err(FillError::new(FillErrorKind::DigestMismatch));
        }
        // Nothing is left to do for a reader that has gone.
        let _ = self.release(0).await;
        Ok(())
    }

    /// Receives one answer.
    async fn drain(&mut self) -> Result<End, UpstreamError> {
        let mut stream = self.suppliers.open(self.arrived).await?;
        // An upstream that ignores ranges starts over: that part has been seen already.
        let mut skip = self.arrived.saturating_sub(stream.start);
        while let Some(chunk) = stream.body.next().await {
            let mut chunk = chunk?;
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            chunk = chunk.slice(skipped as usize..);
            self.hasher.update(&chunk);
            self.hold(chunk);
            if self.release(HOLD_BACK).await.is_err() {
                return Ok(End::Reader);
            }
        }
        match stream.size {
            Some(size) if self.arrived < size => Err(unavailable("the upstream ended the content early")),
            _ => Ok(End::Content),
        }
    }

    /// Keeps the part of `chunk`, the next of the content, that the reader wants.
    fn hold(&mut self, chunk: Bytes) {
        let offset = self.arrived;
        let last = offset + chunk.len() as u64;
        self.arrived = last;
        let from = self.position.max(offset).min(last);
        let to = self.end.unwrap_or(last).clamp(from, last);
        let wanted = chunk.slice((from - offset) as usize..(to - offset) as usize);
        if !wanted.is_empty() {
            self.position += wanted.len() as u64;
            self.held_bytes += wanted.len() as u64;
            self.held.push_back(wanted);
        }
    }

    /// Sends all but the last `keep` bytes; an error means that the reader has left.
    async fn release(&mut self, keep: u64) -> Result<(), ()> {
        while self.held_bytes > keep {
            let Some(mut chunk) = self.held.pop_front() else { break };
            let sendable = (self.held_bytes - keep).min(chunk.len() as u64);
            let rest = chunk.split_off(sendable as usize);
            if !rest.is_empty() {
                self.held.push_front(rest);
            }
            self.held_bytes -= sendable;
            self.sender.send(Ok(chunk)).await.map_err(drop)?;
        }
        Ok(())
    }
}
