//! The demand log, and the format that it and every other trace is written in: `docs/trace-format.md`.
//!
//! A trace holds events of all kinds, in the order in which they were told. It is written once, front to back, in blocks that
//! carry their length and a checksum: whoever reads it while it is written, or after a crash, gets all whole blocks. What many
//! events name is written down once and called by its number from then on.
//!
//! [`DemandLog`] keeps such traces, called segments, in a folder: it begins new ones and deletes old ones.

mod checksum;
mod decoder;
mod dictionary;
mod encoder;
mod frame;
mod keeper;
mod past;
mod pseudonyms;
mod reader;
mod segments;
mod varint;
mod writer;

pub use frame::{Privacy, TraceHeader, VERSION};
pub use keeper::{DemandLog, DemandLogSettings};
pub use past::recall;
pub use pseudonyms::Pseudonyms;
pub use reader::{Losses, TraceError, TraceReader};
pub use segments::{Segment, Segments};
pub use writer::{Refused, TraceWriter};

#[cfg(test)]
mod tests;
