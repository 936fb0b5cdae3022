//! Requests with a body: whole, in chunks, in pieces with pauses, broken off.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    client::{Answer, Incoming, soon},
    proxy::Proxy,
};

/// A request before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    None,
    Whole(Bytes),
    Chunked(Vec<Bytes>),
}

/// A request whose head is sent and whose body is not, or not all of it.
pub(crate) struct Underway {
    stream: TcpStream,
    what: String,
}

impl Proxy {
    /// A request that may have a body.
    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request {
            address: self.address(),
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Body::None,
        }
    }
}

impl Request {
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Who asks.
    #[must_use]
    pub(crate) fn customer(self, name: &str) -> Self {
        if name.is_empty() { self } else { self.header("X-Harbinger-Customer", name) }
    }

    /// Where the body stands in an upload, both ends included.
    #[must_use]
    pub(crate) fn content_range(self, first: usize, last: usize) -> Self {
        self.header("Content-Range", &format!("{first}-{last}"))
    }

    /// A body that announces its length.
    #[must_use]
    pub(crate) fn body(self, bytes: impl Into<Bytes>) -> Self {
        Self { body: Body::Whole(bytes.into()), ..self }
    }

    /// A body that does not.
    #[must_use]
    pub(crate) fn chunked<'a>(self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { body: Body::Chunked(pieces.into_iter().map(Bytes::copy_from_slice).collect()), ..self }
    }

    /// Sends it and reads the answer to its end, whether or not the server wants the whole body before it answers.
    pub(crate) async fn send(self) -> Answer {
        let mut bytes = self.head(self.framing());
        match &self.body {
            Body::None => {}
            Body::Whole(body) => bytes.extend_from_slice(body),
            Body::Chunked(pieces) => {
                pieces.iter().filter(|piece| !piece.is_empty()).for_each(|piece| bytes.extend(chunk(piece)));
                bytes.extend(b"0\r\n\r\n");
            }
        }
        let what = format!("{} {}", self.method, self.target);
        let stream = TcpStream::connect(self.address).await.unwrap().into_std().unwrap();
        let mut writer = TcpStream::from_std(stream.try_clone().unwrap()).unwrap();
        let reader = TcpStream::from_std(stream).unwrap();
        // The server may refuse the body and close.
        let writing = tokio::spawn(async move { drop(writer.write_all(&bytes).await) });
        let answer = soon(&what, Incoming::read(reader, self.method == "HEAD")).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}")).finish().await;
        writing.abort();
        answer
    }

    /// Sends the head of a request whose body of `length` bytes comes later.
    pub(crate) async fn begin(self, length: usize) -> Underway {
        self.begin_with(Some(format!("Content-Length: {length}"))).await
    }

    /// The same without a length: the body comes by [`Underway::chunk`].
    pub(crate) async fn begin_chunked(self) -> Underway {
        self.begin_with(Some("Transfer-Encoding: chunked".to_owned())).await
    }

    async fn begin_with(self, framing: Option<String>) -> Underway {
        let what = format!("{} {}", self.method, self.target);
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&self.head(framing)).await.unwrap();
        Underway { stream, what }
    }

    fn framing(&self) -> Option<String> {
        match &self.body {
            Body::Whole(body) => Some(format!("Content-Length: {}", body.len())),
            Body::Chunked(_) => Some("Transfer-Encoding: chunked".to_owned()),
            Body::None if ["POST", "PUT", "PATCH"].contains(&self.method.as_str()) => Some("Content-Length: 0".to_owned()),
            Body::None => None,
        }
    }

    fn head(&self, framing: Option<String>) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.method, self.target, self.address);
        let framing = framing.into_iter();
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).chain(framing);
        lines.for_each(|line| head.push_str(&(line + "\r\n")));
        (head + "\r\n").into_bytes()
    }
}

impl Underway {
    /// Sends some of the body. That the server does not want it any more is no error.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        drop(soon(&self.what, self.stream.write_all(bytes)).await);
    }

    /// Sends a chunk of a body without a length.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) {
        self.write(&chunk(bytes)).await;
    }

    /// Ends a body without a length.
    pub(crate) async fn last_chunk(&mut self) {
        self.write(b"0\r\n\r\n").await;
    }

    /// Reads the answer.
    pub(crate) async fn answer(self) -> Answer {
        let what = self.what.clone();
        self.answer_if_any().await.unwrap_or_else(|| panic!("{what}: no answer"))
    }

    /// Reads the answer, unless the connection was cut.
    pub(crate) async fn answer_if_any(self) -> Option<Answer> {
        let Self { stream, what } = self;
        Some(soon(&what, Incoming::read(stream, false)).await.ok()?.finish().await)
    }

    /// Leaves in the middle, as a client that has died.
    pub(crate) fn break_off(self) {}
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
