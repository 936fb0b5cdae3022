//! Writing a trace, wherever to.

use std::io::{self, Write};

use super::{
    encoder::{ENOUGH_BYTES, Encoder},
    frame::TraceHeader,
};
use crate::events::Event;

/// An event is too long for a trace: a text of more than 64 KiB, or more than 20,000 contents named at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is too long for a trace")]
pub struct Refused;

/// Writes a trace. Without [`Self::finish`], the events after the last whole block are missing from it.
#[derive(Debug)]
pub struct TraceWriter<W> {
    out: W,
    encoder: Encoder,
}

impl<W: Write> TraceWriter<W> {
    /// Begins a trace. `out` need not be buffered.
    ///
    /// # Errors
    /// When it cannot be written; so for all that follow.
    pub fn new(mut out: W, header: TraceHeader) -> io::Result<Self> {
        out.write_all(&header.to_bytes())?;
        Ok(Self { out, encoder: Encoder::new() })
    }

    /// Adds an event.
    ///
    /// # Errors
    /// As [`Self::new`]; and [`Refused`], as invalid input, after which the trace can be continued.
    pub fn push(&mut self, event: &Event) -> io::Result<()> {
        self.encoder.push(event).map_err(|refused| io::Error::new(io::ErrorKind::InvalidInput, refused))?;
        if self.encoder.bytes() >= ENOUGH_BYTES { self.end_block() } else { Ok(()) }
    }

    /// Writes what is left, and gives back what was written to, flushed.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn finish(mut self) -> io::Result<W> {
        self.end_block()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.encoder.finish().map_or(Ok(()), |block| self.out.write_all(&block))
    }
}
