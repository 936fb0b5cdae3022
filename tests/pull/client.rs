//! A client that sees every byte: it tells a complete body from a cut one, and can leave at any time.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What hangs for so long hangs for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that will come; a test that would hang fails here instead.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: it does not come"))
}

/// Asks again and again until `done`, for what happens behind a request.
pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Most bytes taken from a socket at once.
const READ_AT_ONCE: usize = 256 << 10;

/// A request before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    address: SocketAddr,
    method: String,
    target: String,
    host: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    stream: TcpStream,
    /// Received and not yet looked at.
    buffer: Vec<u8>,
    framing: Framing,
    body: Vec<u8>,
}

/// How the end of the body will be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// An answer that has ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its head had promised. Without a promise, any end is a good one: no client could tell.
    pub(crate) complete: bool,
}

impl Ask {
    pub(crate) fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            address,
            method: method.to_owned(),
            target: target.to_owned(),
            host: address.to_string(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn body(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }

    #[must_use]
    pub(crate) fn range(self, range: &str) -> Self {
        self.header("Range", range)
    }

    #[must_use]
    pub(crate) fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// Sends it and waits for the head of the answer.
    pub(crate) async fn open(self) -> io::Result<Incoming> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("Connection: close\r\n\r\n");
        head.push_str(&self.body);
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(head.as_bytes()).await?;
        let what = format!("the head of the answer to {} {}", self.method, self.target);
        soon(&what, Incoming::read(stream, self.method == "HEAD")).await
    }

    /// Sends it and reads the answer to its end.
    pub(crate) async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.target);
        self.open().await.unwrap_or_else(|error| panic!("{what}: {error}")).finish().await
    }
}

/// Sends bytes as they are and returns whatever comes until the other side closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = soon("an end of the answer to raw bytes", stream.read_to_end(&mut answer)).await;
    answer
}

impl Incoming {
    /// Reads a head.
    pub(crate) async fn read(mut stream: TcpStream, without_body: bool) -> io::Result<Self> {
        let mut buffer = Vec::with_capacity(READ_AT_ONCE);
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = String::from_utf8(buffer[..end].to_vec()).map_err(|_| io::ErrorKind::InvalidData)?;
        buffer.drain(..end + 4);
        let (status, headers) = parse_head(&head).ok_or(io::ErrorKind::InvalidData)?;
        let bodiless = without_body || status == 204 || status == 304;
        let framing = if bodiless { Framing::Length(0) } else { framing(&headers) };
        Ok(Self { status, headers, stream, buffer, framing, body: Vec::new() })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Reads on until at least `bytes` of the body are there.
    pub(crate) async fn take(&mut self, bytes: usize) -> &[u8] {
        while self.body.len() < bytes {
            assert!(soon("more of a body", self.step()).await.unwrap(), "the body ended after {} bytes", self.body.len());
        }
        &self.body
    }

    /// Reads to the end, good or bad.
    pub(crate) async fn finish(mut self) -> Answer {
        let complete = loop {
            match soon("the end of a body", self.step()).await {
                Ok(true) => {}
                Ok(false) => break true,
                Err(_) => break false,
            }
        };
        let Self { status, headers, body, .. } = self;
        Answer { status, headers, body, complete }
    }

    /// Takes some more of the body. `false` at its proper end, an error when it is cut.
    async fn step(&mut self) -> io::Result<bool> {
        match self.framing {
            Framing::Length(length) => {
                let missing = length - self.body.len();
                if missing == 0 {
                    return Ok(false);
                }
                if self.buffer.is_empty() {
                    self.receive().await?;
                }
                let count = missing.min(self.buffer.len());
                self.body.extend(self.buffer.drain(..count));
                Ok(true)
            }
            Framing::Close => {
                self.body.append(&mut self.buffer);
                Ok(self.stream.read_buf(&mut self.body).await? > 0)
            }
            Framing::Chunked => self.chunk().await,
        }
    }

    async fn chunk(&mut self) -> io::Result<bool> {
        let line = loop {
            match self.buffer.windows(2).position(|window| window == b"\r\n") {
                Some(end) => break String::from_utf8_lossy(&self.buffer[..end]).into_owned(),
                None => self.receive().await?,
            }
        };
        let length = usize::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        let start = line.len() + 2;
        while self.buffer.len() < start + length + 2 {
            self.receive().await?;
        }
        self.body.extend_from_slice(&self.buffer[start..start + length]);
        self.buffer.drain(..start + length + 2);
        Ok(length > 0)
    }

    async fn receive(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The body as text, for messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of an error answer in the form of the distribution specification.
    pub(crate) fn error_code(&self) -> String {
        let body = self.json();
        body["errors"][0]["code"].as_str().unwrap_or_else(|| panic!("no error code in {body}")).to_owned()
    }

    /// It is a good answer with exactly these bytes.
    #[track_caller]
    pub(crate) fn is_exactly(&self, bytes: &[u8]) {
        assert_eq!(self.status, 200, "{}", self.text());
        assert!(self.complete, "the body was cut after {} bytes of {}", self.body.len(), bytes.len());
        assert!(self.body == bytes, "other bytes: {} instead of {}", self.body.len(), bytes.len());
    }

    /// It is an error with a status that `accepts` names, and a code.
    #[track_caller]
    pub(crate) fn is_error(&self, accepts: &[u16]) {
        assert!(accepts.contains(&self.status), "{} is none of {accepts:?}: {}", self.status, self.text());
        assert!(self.complete);
        assert!(!self.error_code().is_empty());
        assert_eq!(self.header("WWW-Authenticate"), None);
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn parse_head(head: &str) -> Option<(u16, Vec<(String, String)>)> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
    Some((status, headers.collect::<Option<_>>()?))
}

fn framing(headers: &[(String, String)]) -> Framing {
    if find(headers, "transfer-encoding").is_some() {
        return Framing::Chunked;
    }
    find(headers, "content-length").and_then(|text| text.parse().ok()).map_or(Framing::Close, Framing::Length)
}
