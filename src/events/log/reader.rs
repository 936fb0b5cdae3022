//! Reading a trace, front to back, from wherever.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    ops::RangeInclusive,
    path::Path,
};

use super::{
    checksum::checksum,
    decoder::Decoder,
    dictionary::Fault,
    frame::{BlockHead, MOST_BYTES, NoHeader, TraceHeader, VERSION},
    varint::Cursor,
};
use crate::events::{Event, Millis};

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;

/// The events of a trace, in the order in which they were told. What is damaged is left out, and counted.
///
/// Holds one block in memory, 16 MiB at most, and what the trace names.
#[derive(Debug)]
pub struct TraceReader<R> {
    input: R,
    header: TraceHeader,
    decoder: Decoder,
    wanted: RangeInclusive<Millis>,
    block: Vec<u8>,
    /// Where the next event of the block begins.
    position: usize,
    /// Events of the block that have not been read.
    left: u32,
    read: u64,
    losses: Losses,
    has_ended: bool,
}

/// What a trace has lost, as far as it has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Places where something else stands than a whole block.
    pub damaged: u64,
    /// Events that are known to have been there.
    pub events: u64,
    /// Whether the last block is not whole: it is being written, or a crash cut it off.
    pub is_cut: bool,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It is something else, or its very beginning is damaged.
    #[error("this is no trace: it does not begin like one")]
    NotATrace,
    /// Another version of the format.
    #[error("the trace has version {0} of the format, and only version {VERSION} can be read here: use a newer program")]
    Version(u16),
    /// It cannot be read at all.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl TraceReader<BufReader<File>> {
    /// Reads a file.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        Self::new(BufReader::with_capacity(BUFFER, File::open(path)?))
    }
}

impl<R: Read> TraceReader<R> {
    /// Reads what begins here. `input` should be buffered.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn new(mut input: R) -> Result<Self, TraceError> {
        let mut bytes = [0; TraceHeader::LENGTH];
        if fill(&mut input, &mut bytes)? < bytes.len() {
            return Err(TraceError::NotATrace);
        }
        let header = TraceHeader::from_bytes(&bytes).map_err(|error| match error {
            NoHeader::NotATrace => TraceError::NotATrace,
            NoHeader::Version(version) => TraceError::Version(version),
        })?;
        Ok(Self {
            input,
            header,
            decoder: Decoder::new(),
            wanted: 0..=Millis::MAX,
            block: Vec::new(),
            position: 0,
            left: 0,
            read: bytes.len() as u64,
            losses: Losses::default(),
            has_ended: false,
        })
    }

    /// Only events of this time. Blocks without any are passed over quickly.
    #[must_use]
    pub fn between(self, wanted: RangeInclusive<Millis>) -> Self {
        Self { wanted, ..self }
    }

    /// What the trace says of itself.
    pub const fn header(&self) -> TraceHeader {
        self.header
    }

    /// What has been lost, as far as it has been read.
    pub const fn losses(&self) -> Losses {
        self.losses
    }

    /// Bytes that have been read.
    pub const fn read_bytes(&self) -> u64 {
        self.read
    }

    /// Makes the next block with wanted events the current one; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        while let Some(head) = self.next_head()? {
            self.block.clear();
            // No more than is there is ever taken into memory.
            let length = self.input.by_ref().take(u64::from(head.length)).read_to_end(&mut self.block)?;
            self.read += length as u64;
            if length < head.length as usize {
                self.losses.is_cut = true;
                self.losses.events += u64::from(head.events);
                return Ok(false);
            }
            let mut cursor = Cursor::new(&self.block);
            if checksum(&self.block) != head.checksum || self.decoder.begin(head.era, &mut cursor).is_err() {
                self.losses.damaged += 1;
                self.losses.events += u64::from(head.events);
                continue;
            }
            if head.last < *self.wanted.start() || head.first > *self.wanted.end() {
                continue;
            }
            self.position = self.block.len() - cursor.left();
            self.left = head.events;
            return Ok(true);
        }
        Ok(false)
    }

    /// The head of the next block, which is looked for where something else stands.
    fn next_head(&mut self) -> io::Result<Option<BlockHead>> {
        let mut bytes = [0; BlockHead::LENGTH];
        let mut filled = 0;
        let mut is_damaged = false;
        loop {
            let read = fill(&mut self.input, &mut bytes[filled..])?;
            self.read += read as u64;
            filled += read;
            if filled < bytes.len() {
                self.losses.is_cut |= filled > 0 && !is_damaged;
                return Ok(None);
            }
            if let Some(head) = BlockHead::from_bytes(&bytes) {
                return Ok(Some(head));
            }
            self.losses.damaged += u64::from(!is_damaged);
            is_damaged = true;
            bytes.copy_within(1.., 0);
            filled -= 1;
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        while self.left > 0 {
            let mut cursor = Cursor::new(&self.block[self.position..]);
            let event = self.decoder.next(&mut cursor);
            self.position = self.block.len() - cursor.left();
            self.left -= 1;
            match event {
                Ok(event) if self.wanted.contains(&event.at) => return Some(event),
                Ok(_) => {}
                Err(Fault::Lost) => self.losses.events += 1,
                Err(Fault::Malformed) => {
                    self.losses.damaged += 1;
                    self.losses.events += 1 + u64::from(self.left);
                    self.left = 0;
                    // What it was meant to say is anybody's guess, and so would be what builds on it.
                    self.decoder.forget();
                }
            }
        }
        None
    }
}

impl<R: Read> Iterator for TraceReader<R> {
    type Item = io::Result<Event>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<io::Result<Event>> {
        loop {
            if let Some(event) = self.next_event() {
                return Some(Ok(event));
            }
            if self.has_ended {
                return None;
            }
            match self.next_block() {
                Ok(true) => {}
                Ok(false) => self.has_ended = true,
                Err(error) => {
                    self.has_ended = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

const _: () = assert!(MOST_BYTES <= u32::MAX as usize);

/// Reads until `bytes` are full or nothing more comes.
pub(super) fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match input.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
