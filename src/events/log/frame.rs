//! The fixed parts of a trace: its header, and the head of each block.

use super::checksum::checksum;
use crate::{config, events::Millis};

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 8] = b"HBTRACE\n";

/// What a block begins with: where the next one is, when one is damaged.
const MARKER: &[u8; 4] = b"HBBL";

/// The longest block, in bytes. Nothing longer is written, and none is read into memory.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Whom a trace names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Nobody has said: it was made up, or comes from elsewhere.
    Unknown,
    /// Customers by a keyed hash of their names.
    Hashed,
    /// Customers by their names.
    Full,
}

/// What a trace says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceHeader {
    /// Whom it names.
    pub privacy: Privacy,
    /// When it was begun.
    pub begun: Millis,
    /// From when on a replay counts what happens: what comes before fills the cache. `None` when nobody has said.
    pub counted_from: Option<Millis>,
}

/// The head of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    /// Bytes that follow.
    pub(super) length: u32,
    /// Events among them.
    pub(super) events: u32,
    /// Which dictionaries its numbers are of: another era, another beginning.
    pub(super) era: u32,
    /// The earliest time of an event.
    pub(super) first: Millis,
    /// The latest one.
    pub(super) last: Millis,
    /// The checksum of what follows.
    pub(super) checksum: u32,
}

/// Why something is not the header of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// It is something else, or damaged.
    NotATrace,
    /// It is a trace of another version.
    Version(u16),
}

impl Privacy {
    /// As a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Hashed => "hashed",
            Self::Full => "full",
        }
    }
}

impl From<config::Privacy> for Privacy {
    fn from(privacy: config::Privacy) -> Self {
        match privacy {
            config::Privacy::Off => Self::Unknown,
            config::Privacy::Hashed => Self::Hashed,
            config::Privacy::Full => Self::Full,
        }
    }
}

impl TraceHeader {
    pub(super) const LENGTH: usize = 32;

    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = match self.privacy {
            Privacy::Unknown => 0,
            Privacy::Hashed => 1,
            Privacy::Full => 2,
        };
        bytes[12..20].copy_from_slice(&self.begun.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.counted_from.unwrap_or(0).to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Result<Self, NoHeader> {
        if bytes[..8] != *MAGIC {
            return Err(NoHeader::NotATrace);
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(NoHeader::Version(version));
        }
        if !is_sealed(bytes) {
            return Err(NoHeader::NotATrace);
        }
        let privacy = match bytes[10] {
            1 => Privacy::Hashed,
            2 => Privacy::Full,
            _ => Privacy::Unknown,
        };
        let time = |at| u64::from_le_bytes(part(bytes, at));
        Ok(Self { privacy, begun: time(12), counted_from: Some(time(20)).filter(|time| *time > 0) })
    }
}

impl BlockHead {
    pub(super) const LENGTH: usize = 40;

    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(MARKER);
        for (at, number) in [(4, self.length), (8, self.events), (12, self.era), (32, self.checksum)] {
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.last.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// `None` when no block begins like that.
    pub(super) fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        if bytes[..4] != *MARKER || !is_sealed(bytes) {
            return None;
        }
        let number = |at| u32::from_le_bytes(part(bytes, at));
        let (first, last) = (u64::from_le_bytes(part(bytes, 16)), u64::from_le_bytes(part(bytes, 24)));
        let head = Self { length: number(4), events: number(8), era: number(12), first, last, checksum: number(32) };
        (head.length as usize <= MOST_BYTES).then_some(head)
    }
}

/// Writes the checksum of everything before the last four bytes into them.
fn seal(bytes: &mut [u8]) {
    if let Some((before, end)) = bytes.split_last_chunk_mut::<4>() {
        *end = checksum(before).to_le_bytes();
    }
}

fn is_sealed(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<4>().is_some_and(|(before, end)| checksum(before).to_le_bytes() == *end)
}

/// A part of fixed length, which lies inside.
fn part<const LENGTH: usize>(bytes: &[u8], at: usize) -> [u8; LENGTH] {
    std::array::from_fn(|i| bytes[at + i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_and_any_other_bit_is_noticed() {
        let header = TraceHeader { privacy: Privacy::Full, begun: 1_700_000_000_123, counted_from: Some(1_700_000_000_456) };
        assert_eq!(TraceHeader::from_bytes(&header.to_bytes()), Ok(header));
        let head = BlockHead { length: 7, events: 3, era: 1, first: 5, last: u64::MAX, checksum: 9 };
        assert_eq!(BlockHead::from_bytes(&head.to_bytes()), Some(head));
        for bit in 0..8 * TraceHeader::LENGTH {
            let mut bytes = header.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(TraceHeader::from_bytes(&bytes).is_err(), "bit {bit}");
        }
        for bit in 0..8 * BlockHead::LENGTH {
            let mut bytes = head.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BlockHead::from_bytes(&bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn another_version_is_told_and_too_long_a_block_is_none() {
        let mut bytes = TraceHeader { privacy: Privacy::Unknown, begun: 0, counted_from: None }.to_bytes();
        bytes[8] = 2;
        assert_eq!(TraceHeader::from_bytes(&bytes), Err(NoHeader::Version(2)));
        let head = BlockHead { length: MOST_BYTES as u32 + 1, events: 0, era: 0, first: 0, last: 0, checksum: 0 };
        assert_eq!(BlockHead::from_bytes(&head.to_bytes()), None);
    }
}
