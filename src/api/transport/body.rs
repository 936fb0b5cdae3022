//! A [`Body`] as the HTTP dispatcher wants it.

use std::{
    fs::File,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{Lane, Receipt, file_reads::ChunkReader};
use crate::{
    oci::ByteRange,
    tiers::{Body, Piece},
};

/// Bytes in memory are handed on in parts of this size, so that the dispatcher's buffer stays small.
const SLICE: usize = 64 << 10;

/// The body of an answer. Its receipt is settled when the last byte has left, or the client has.
pub(in crate::api) struct OutBody {
    now: Now,
    /// What follows `now`.
    rest: Option<BoxStream<'static, io::Result<Piece>>>,
    /// How many bytes are announced in `Content-Length`.
    length: Option<u64>,
    /// How many of them are still to come from `rest` or `now`.
    missing: u64,
    size: BodySize,
    lane: Lane,
    receipt: Option<Box<dyn Receipt>>,
    /// Bytes put into the write buffer since the last part of a file was sent, and before.
    buffered: u64,
    flushed: u64,
    complete: bool,
}

/// What is being handed on.
enum Now {
    Nothing,
    Bytes(Bytes),
    /// The connection sends it.
    Lane,
    Chunks(ChunkReader),
}

impl OutBody {
    /// A body of `length` bytes; unknown only for a stream.
    pub(in crate::api) fn new(body: Body, length: Option<u64>, lane: Lane, receipt: Option<Box<dyn Receipt>>) -> Self {
        let (first, rest, size) = match body {
            Body::Bytes(bytes) => {
                let size = BodySize::Sized(bytes.len() as u64);
                (Some(Piece::Bytes(bytes)), None, size)
            }
            Body::File { file, range } => (Some(Piece::File { file, range }), None, BodySize::Stream),
            Body::Stream(stream) => (None, Some(stream), BodySize::Stream),
        };
        let mut body = Self {
            now: Now::Nothing,
            rest,
            length,
            missing: length.unwrap_or(u64::MAX),
            size,
            lane,
            receipt,
            buffered: 0,
            flushed: 0,
            complete: false,
        };
        match first {
            Some(Piece::Bytes(bytes)) => {
                body.missing = bytes.len() as u64;
                body.length = Some(body.missing);
                body.complete = bytes.is_empty();
                body.now = Now::Bytes(bytes);
            }
            // Not posted yet: the lane may still be at work for the answer before.
            Some(piece @ Piece::File { .. }) => {
                body.rest = Some(Box::pin(futures_util::stream::iter([Ok(piece)])));
            }
            None => {}
        }
        body
    }

    /// No body, but the length that a GET would have.
    pub(in crate::api) fn head(length: Option<u64>, lane: Lane, receipt: Option<Box<dyn Receipt>>) -> Self {
        Self {
            now: Now::Nothing,
            rest: None,
            length: Some(0),
            missing: 0,
            size: length.map_or(BodySize::Stream, BodySize::Sized),
            lane,
            receipt,
            buffered: 0,
            flushed: 0,
            complete: true,
        }
    }

    fn start(&mut self, piece: Piece) -> io::Result<()> {
        let length = match &piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { range, .. } => range.len(),
        };
        // More than was announced would be taken for the next answer.
        self.missing = self.missing.checked_sub(length).ok_or_else(|| io::Error::other("the body is longer than announced"))?;
        self.now = match piece {
            Piece::Bytes(bytes) => Now::Bytes(bytes),
            Piece::File { file, range } => self.start_file(file, range),
        };
        Ok(())
    }

    /// A body of unknown length needs frames around every chunk, which only the dispatcher can write.
    fn start_file(&self, file: Arc<File>, range: ByteRange) -> Now {
        if cfg!(target_os = "linux") && self.length.is_some() {
            self.lane.post(file, range);
            Now::Lane
        } else {
            Now::Chunks(ChunkReader::new(file, range))
        }
    }

    fn hand_on(&mut self, chunk: Bytes) -> Poll<Option<io::Result<Bytes>>> {
        self.buffered += chunk.len() as u64;
        Poll::Ready(Some(Ok(chunk)))
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Piece>>> {
        match &mut self.rest {
            Some(rest) => rest.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}

impl MessageBody for OutBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        loop {
            match &mut this.now {
                Now::Bytes(bytes) if bytes.is_empty() => this.now = Now::Nothing,
                Now::Bytes(bytes) => {
                    let chunk = if bytes.len() <= SLICE { mem::take(bytes) } else { bytes.split_to(SLICE) };
                    if this.rest.is_none() {
                        this.missing -= chunk.len() as u64;
                    }
                    return this.hand_on(chunk);
                }
                Now::Lane => {
                    if this.lane.is_busy() {
                        return Poll::Pending;
                    }
                    // A file is sent only when the write buffer is empty.
                    this.flushed += mem::take(&mut this.buffered);
                    this.now = Now::Nothing;
                }
                Now::Chunks(reader) => match ready!(reader.poll_chunk(cx)) {
                    Some(Ok(chunk)) => return this.hand_on(chunk),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => this.now = Now::Nothing,
                },
                Now::Nothing => match ready!(this.poll_rest(cx)) {
                    Some(Ok(piece)) => this.start(piece)?,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None if this.length.is_some() && this.missing > 0 => {
                        return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                    }
                    None => {
                        this.complete = true;
                        return Poll::Ready(None);
                    }
                },
            }
        }
    }
}

impl Drop for OutBody {
    fn drop(&mut self) {
        match self.receipt.take() {
            Some(receipt) => self.lane.end(receipt, self.buffered, self.flushed, self.complete),
            None => self.lane.forget(),
        }
    }
}
