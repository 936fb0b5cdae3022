//! A client's connection: sends files on flush, watches the client's pace, turns TLS away.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    Lane, PaceLimit,
    pace::{Pace, watched},
    turns::Turns,
};

/// Most bytes of a file that are sent before other connections of the same thread have their turn.
#[cfg(target_os = "linux")]
const TURN: u64 = 2 << 20;

/// First byte of a TLS hello.
const TLS_HANDSHAKE: u8 = 0x16;

/// Most bytes that are read and dropped before the connection is closed.
const DRAIN: usize = 128 << 10;

/// A TCP stream that also sends what lies in its [`Lane`], and gives the dispatcher one request at a time.
pub(in crate::api) struct Connection {
    stream: TcpStream,
    lane: Lane,
    pace: Pace,
    has_read: bool,
    turns: Turns,
    /// Read, and waiting for its turn. Meanwhile nothing more is read, so this is never more than came at once.
    held: Bytes,
}

impl Connection {
    pub(in crate::api) fn new(stream: TcpStream, limit: PaceLimit) -> Self {
        Self {
            stream,
            lane: Lane::default(),
            pace: Pace::new(limit),
            has_read: false,
            turns: Turns::default(),
            held: Bytes::new(),
        }
    }

    /// The lane, for the bodies of this connection.
    pub(in crate::api) fn lane(&self) -> Lane {
        self.lane.clone()
    }

    /// Sends what the lane holds. Fails when a file is shorter than it should be: the connection is then cut.
    #[cfg(target_os = "linux")]
    fn poll_send_file(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        use crate::oci::ByteRange;
        use tokio::io::Interest;

        let mut slot = self.lane.job();
        let Some(job) = slot.as_mut() else {
            return Poll::Ready(Ok(()));
        };
        let mut turn = TURN;
        while job.rest.start < job.rest.end {
            if turn == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let writable = self.stream.poll_write_ready(cx);
            ready!(watched(&mut self.pace, cx, writable))?;
            let window = ByteRange { start: job.rest.start, end: (job.rest.start + TURN).min(job.rest.end) };
            let warm_until = ready!(job.reader.poll_warm(&job.file, window, job.rest.end, cx))?;
            let length = (warm_until.min(job.rest.end) - job.rest.start).min(turn);
            let mut offset = job.rest.start;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                rustix::fs::sendfile(&self.stream, &*job.file, Some(&mut offset), length as usize).map_err(io::Error::from)
            });
            match sent {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => {
                    let sent = sent as u64;
                    job.rest.start += sent;
                    turn = turn.saturating_sub(sent);
                    self.pace.took(sent);
                    self.lane.count_file_bytes(sent);
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        *slot = None;
        // The body waits for this, in the same task.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    #[cfg(not(target_os = "linux"))]
    fn poll_send_file(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// An answer has left: the next request may be on its way.
    fn next_turn(&mut self, cx: &mut Context<'_>) {
        self.turns.answered();
        if !self.held.is_empty() || self.turns.is_open() {
            // The dispatcher, in the same task, waits for a request and the socket has nothing to tell.
            cx.waker().wake_by_ref();
        }
    }

    fn poll_held(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.turns.is_closed() {
            // `next_turn` will wake.
            return Poll::Pending;
        }
        let room = self.held.len().min(buffer.remaining());
        let admitted = self.turns.admit(&self.held[..room]);
        buffer.put_slice(&self.held.split_to(admitted));
        Poll::Ready(Ok(()))
    }

    /// With bytes left unread the kernel would reset the connection, and what it has not delivered yet would be lost.
    fn drain(&self) {
        let mut bytes = [0; 4096];
        let mut drained = 0;
        while drained < DRAIN
            && let Ok(read @ 1..) = self.stream.try_read(&mut bytes)
        {
            drained += read;
        }
    }

    fn count(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(written)) = written {
            self.pace.took(*written as u64);
            self.lane.count_written(*written as u64);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            return self.poll_held(buffer);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if !self.has_read {
            self.has_read = true;
            // To the dispatcher it looks as if the client had left: it closes at once, and the client may try plain HTTP.
            if buffer.filled().get(before) == Some(&TLS_HANDSHAKE) {
                buffer.set_filled(before);
            }
        }
        let read = &buffer.filled()[before..];
        let admitted = self.turns.admit(read);
        if admitted == read.len() {
            return Poll::Ready(Ok(()));
        }
        self.held = Bytes::copy_from_slice(&read[admitted..]);
        buffer.set_filled(before + admitted);
        if admitted == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        let written = watched(&mut this.pace, cx, written);
        this.count(&written);
        written
    }

    /// Called by the dispatcher only when its write buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lane.settle_flushed() {
            self.next_turn(cx);
        }
        ready!(self.poll_send_file(cx))?;
        self.pace.idle();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            self.drain();
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.lane.settle_cut();
    }
}
