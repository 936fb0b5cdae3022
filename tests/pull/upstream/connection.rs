//! HTTP/1.1 as far as a scripted upstream needs it, with the freedom to break it.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Request,
    reply::{Cut, Framing, Reply},
};

/// Longest request head that is read.
const HEAD_LIMIT: usize = 64 << 10;
/// Pause after each piece of a dripping body.
const DRIP_PAUSE: Duration = Duration::from_millis(1);

/// A connection from the proxy.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next request; `None` when there is none.
    pub(super) async fn request(&mut self) -> io::Result<Option<Request>> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if self.buffer.len() > HEAD_LIMIT || self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let request = Request::parse(&head);
        let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while self.buffer.len() < length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
        self.buffer.drain(..length);
        Ok(Some(request))
    }

    /// Sends an answer. Says whether the connection can be used again.
    pub(super) async fn send(&mut self, reply: Reply, with_body: bool) -> io::Result<bool> {
        if let Some(gate) = &reply.before_head {
            gate.pass().await;
        }
        self.stream.write_all(head(&reply).as_bytes()).await?;
        if !with_body {
            return Ok(true);
        }
        let end = reply.cut.map_or(reply.body.len(), |(bytes, _)| bytes.min(reply.body.len()));
        let pause = reply.in_body.as_ref().map_or(end, |(bytes, _)| (*bytes).min(end));
        self.pieces(&reply, reply.body.slice(..pause)).await?;
        if let Some((_, gate)) = &reply.in_body {
            gate.pass().await;
        }
        self.pieces(&reply, reply.body.slice(pause..end)).await?;
        match reply.cut {
            Some((_, Cut::Reset)) => {
                self.stream.set_zero_linger()?;
                return Ok(false);
            }
            Some((_, Cut::Close)) => return Ok(false),
            None => {}
        }
        if reply.framing == Framing::Chunked {
            self.stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(matches!(reply.framing, Framing::Length | Framing::Chunked))
    }

    async fn pieces(&mut self, reply: &Reply, bytes: Bytes) -> io::Result<()> {
        for piece in bytes.chunks(reply.drip.unwrap_or(64 << 10).max(1)) {
            if reply.framing == Framing::Chunked {
                self.stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            }
            self.stream.write_all(piece).await?;
            if reply.framing == Framing::Chunked {
                self.stream.write_all(b"\r\n").await?;
            }
            if reply.drip.is_some() {
                tokio::time::sleep(DRIP_PAUSE).await;
            }
        }
        self.stream.flush().await
    }
}

fn head(reply: &Reply) -> String {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.framing {
        Framing::Length if reply.status == 304 || reply.status == 204 => {}
        Framing::Length => head.push_str(&format!("Content-Length: {}\r\n", reply.body.len())),
        Framing::Claimed(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
        Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::Close => head.push_str("Connection: close\r\n"),
    }
    head.push_str("\r\n");
    head
}
