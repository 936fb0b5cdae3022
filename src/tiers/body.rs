//! How bytes exist on their way out.

use std::{fmt, fs::File, io, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::oci::ByteRange;

/// Content on its way out. It says how the bytes exist, so that the edge can choose the cheapest way to send them.
pub enum Body {
    /// In memory.
    Bytes(Bytes),
    /// A part of a complete file.
    File {
        /// The file, open for reading; sent by position, its cursor is not touched.
        file: Arc<File>,
        /// The part to send.
        range: ByteRange,
    },
    /// Bytes that are still arriving. An error means that the rest cannot be had or is not what was asked for: the
    /// connection is to be cut, never ended cleanly.
    Stream(BoxStream<'static, io::Result<Piece>>),
}

/// A piece of a [`Body::Stream`]: never empty, adjacent to the piece before.
#[derive(Debug, Clone)]
pub enum Piece {
    /// In memory.
    Bytes(Bytes),
    /// A part of a file that may still be growing behind it.
    File {
        /// The file, open for reading.
        file: Arc<File>,
        /// The part to send: these bytes are there.
        range: ByteRange,
    },
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::File { range, .. } => f.debug_tuple("File").field(range).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
