//! Reading along.

use std::{io, sync::Arc};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::watch;

use super::{
    FillError, HOLD_BACK, Source, VERIFY_FIRST,
    alone::{self, Alone},
    flight::{Cargo, Flight, Phase, Progress, Seat},
};
use crate::{oci::ByteRange, tiers::Piece};

/// Somebody who wants the content of a transfer. Dropping it harms nobody.
#[derive(Debug)]
pub struct Follower {
    seat: Seat,
    progress: watch::Receiver<Progress>,
    joined: bool,
}

/// What a follower knows when the upstream has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Length of the content in bytes, when the upstream said so.
    pub size: Option<u64>,
    /// Whether the bytes are kept. False when the spool failed.
    pub kept: bool,
    /// Whether they come from the bucket that edges share, and not from the upstream.
    pub from_bucket: bool,
}

impl Follower {
    pub(super) fn start(flight: &Arc<Flight>) -> Self {
        Self { seat: Seat::take(flight), progress: flight.progress.subscribe(), joined: false }
    }

    /// Joins a flight; one that has failed is not worth joining.
    pub(super) fn join(flight: &Arc<Flight>) -> Option<Self> {
        let follower = Self { joined: true, ..Self::start(flight) };
        flight.is_worth_joining().then_some(follower)
    }

    /// Whether somebody else had started the transfer.
    pub const fn joined(&self) -> bool {
        self.joined
    }

    /// Whether the transfer asks the upstream in the name of the same repository: its answer, good or bad, is then this one's too.
    pub fn is_of(&self, source: &Source) -> bool {
        self.seat.0.is_of(source)
    }

    /// Whether the bytes are those of a file that was here already. Its failure says nothing about any upstream.
    pub fn is_verification(&self) -> bool {
        matches!(self.seat.0.cargo, Cargo::Here(_))
    }

    /// Waits until it is known that the content will come: for one of up to [`VERIFY_FIRST`] bytes until it is verified, for
    /// a longer one until the upstream has answered.
    ///
    /// # Errors
    /// The transfer's failure.
    pub async fn opened(&mut self) -> Result<Opened, FillError> {
        loop {
            {
                let progress = self.progress.borrow_and_update();
                let opened = Opened { size: progress.size, kept: true, from_bucket: progress.from_bucket };
                match &progress.phase {
                    Phase::Waiting => {}
                    Phase::Flowing if progress.size.is_some_and(|size| size <= VERIFY_FIRST) => {}
                    Phase::Flowing | Phase::Complete => return Ok(opened),
                    Phase::Spilled(_) => return Ok(Opened { kept: false, ..opened }),
                    Phase::Failed(error) => return Err(error.clone()),
                }
            }
            // The sender lives in the flight, which this follower holds.
            if self.progress.changed().await.is_err() {
                return Err(FillError::new(super::FillErrorKind::Panicked));
            }
        }
    }

    /// Waits until the content is complete and verified, without reading it. It is handed to the tiers after that.
    ///
    /// # Errors
    /// The transfer's failure, also when it goes on without being kept.
    pub async fn finished(mut self) -> Result<(), FillError> {
        loop {
            match &self.progress.borrow_and_update().phase {
                Phase::Waiting | Phase::Flowing => {}
                Phase::Complete => return Ok(()),
                Phase::Spilled(_) => return Err(FillError::new(super::FillErrorKind::Abandoned)),
                Phase::Failed(error) => return Err(error.clone()),
            }
            if self.progress.changed().await.is_err() {
                return Err(FillError::new(super::FillErrorKind::Panicked));
            }
        }
    }

    /// The content, or a part of it: each piece as soon as it may be sent. A range has to lie inside of the size that
    /// [`Self::opened`] told. Ends with an error when the content turns out wrong or cannot be had.
    pub fn into_stream(self, range: Option<ByteRange>) -> BoxStream<'static, io::Result<Piece>> {
        let reader = Reader {
            follower: self,
            position: range.map_or(0, |range| range.start),
            end: range.map(|range| range.end),
            alone: None,
        };
        stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await.map_err(io::Error::other)?.map(|piece| (piece, reader)))
        })
        .boxed()
    }
}

struct Reader {
    follower: Follower,
    position: u64,
    /// One past the last byte; `None` until the size is known.
    end: Option<u64>,
    alone: Option<Alone>,
}

enum Step {
    Send { up_to: u64 },
    GoAlone(Alone),
    Done,
    Wait,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Piece>, FillError> {
        loop {
            if let Some(alone) = &mut self.alone {
                return alone.next().await;
            }
            match self.step()? {
                Step::Done => return Ok(None),
                Step::Send { up_to } => return Ok(self.piece(up_to)),
                Step::GoAlone(alone) => self.alone = Some(alone),
                Step::Wait => {
                    if self.follower.progress.changed().await.is_err() {
                        return Err(FillError::new(super::FillErrorKind::Panicked));
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, FillError> {
        let is_verification = self.follower.is_verification();
        let progress = self.follower.progress.borrow_and_update();
        let end = self.end.or(progress.size);
        // The end of the whole is reached only once it is verified: the watermark stops short of it before.
        if end.is_some_and(|end| self.position >= end) {
            return Ok(Step::Done);
        }
        let mut up_to = end.map_or(progress.watermark, |end| end.min(progress.watermark));
        // What an upstream sends is its own word. A bucket's bytes and those of a file that may have rotted are nobody's: a range
        // that ends before the whole does is not complete before they are verified either.
        let is_doubtful = is_verification || progress.from_bucket;
        let is_verified = matches!(progress.phase, Phase::Complete | Phase::Spilled(_));
        if is_doubtful
            && !is_verified
            && let Some(end) = end
        {
            up_to = up_to.min(end.saturating_sub(HOLD_BACK));
        }
        if self.position < up_to {
            return Ok(Step::Send { up_to });
        }
        match &progress.phase {
            Phase::Waiting | Phase::Flowing => Ok(Step::Wait),
            Phase::Complete => Ok(Step::Done),
            Phase::Failed(error) => Err(error.clone()),
            Phase::Spilled(spill) => {
                let flight = &self.follower.seat.0;
                Ok(Step::GoAlone(alone::start(flight, spill.clone(), self.position, self.end)))
            }
        }
    }

    fn piece(&mut self, up_to: u64) -> Option<Piece> {
        let file = self.follower.seat.0.file.get()?.clone();
        let range = ByteRange { start: self.position, end: up_to };
        self.position = up_to;
        Some(Piece::File { file, range })
    }
}
