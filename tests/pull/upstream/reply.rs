//! An answer before it is sent, and the faults that can be done to it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::gate::Gate;

/// What the upstream is about to send.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) framing: Framing,
    /// Where to stop for a test: before the head, or after so many bytes of the body.
    pub(crate) before_head: Option<Gate>,
    pub(crate) in_body: Option<(usize, Gate)>,
    /// How many bytes of the body are sent before the connection ends.
    pub(crate) cut: Option<(usize, Cut)>,
    /// Bytes sent at once; `None`: as many as fit.
    pub(crate) drip: Option<usize>,
}

/// How the end of the body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `Content-Length`, the truth.
    Length,
    /// `Content-Length`, as given.
    Claimed(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// By closing the connection.
    Close,
}

/// How a connection ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Close,
    Reset,
}

/// Something done to a good answer.
pub(crate) type Fault = Arc<dyn Fn(Reply) -> Reply + Send + Sync>;

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            framing: Framing::Length,
            before_head: None,
            in_body: None,
            cut: None,
            drip: None,
        }
    }

    /// Sets a header, whatever it was.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }
}

fn fault(change: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Fault {
    Arc::new(change)
}

/// Another answer altogether.
pub(crate) fn status(status: u16) -> Fault {
    fault(move |_| Reply::new(status, "fault"))
}

/// Another answer with one header.
pub(crate) fn status_with(code: u16, name: &str, value: &str) -> Fault {
    let (name, value) = (name.to_owned(), value.to_owned());
    fault(move |_| Reply::new(code, "fault").with(&name, &value))
}

pub(crate) fn redirect_to(location: impl Into<String>) -> Fault {
    let location = location.into();
    fault(move |_| Reply::new(307, "").with("Location", &location))
}

/// The body ends after `bytes` although the head promised more.
pub(crate) fn truncated(bytes: usize) -> Fault {
    fault(move |reply| Reply { cut: Some((bytes, Cut::Close)), ..reply })
}

/// The connection is reset after `bytes` of the body.
pub(crate) fn reset(bytes: usize) -> Fault {
    fault(move |reply| Reply { cut: Some((bytes, Cut::Reset)), ..reply })
}

/// One byte in the middle is wrong; the length is right.
pub(crate) fn corrupt() -> Fault {
    fault(|reply| {
        let mut bytes = BytesMut::from(reply.body.as_ref());
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        Reply { body: bytes.freeze(), ..reply }
    })
}

pub(crate) fn body(bytes: impl Into<Bytes>) -> Fault {
    let bytes = bytes.into();
    fault(move |reply| Reply { body: bytes.clone(), ..reply })
}

pub(crate) fn header(name: &str, value: &str) -> Fault {
    let (name, value) = (name.to_owned(), value.to_owned());
    fault(move |reply| reply.with(&name, &value))
}

/// A header a second time, the first kept.
pub(crate) fn second_header(name: &str, value: &str) -> Fault {
    let added = (name.to_owned(), value.to_owned());
    fault(move |mut reply| {
        reply.headers.push(added.clone());
        reply
    })
}

pub(crate) fn no_header(name: &str) -> Fault {
    let name = name.to_owned();
    fault(move |reply| reply.without(&name))
}

pub(crate) fn framed(framing: Framing) -> Fault {
    fault(move |reply| Reply { framing, ..reply })
}

/// More bytes than the content has, and a length that counts them.
pub(crate) fn with_junk_behind(bytes: usize) -> Fault {
    fault(move |reply| Reply { body: [reply.body.as_ref(), &vec![b'x'; bytes]].concat().into(), ..reply })
}

/// The content is all there, more bytes follow, and the length does not count them.
pub(crate) fn with_uncounted_junk_behind(bytes: usize) -> Fault {
    fault(move |reply| {
        let length = reply.body.len();
        Reply { framing: Framing::Claimed(length), ..with_junk_behind(bytes)(reply) }
    })
}

/// Nothing is sent until the gate is opened.
pub(crate) fn stalled(gate: &Gate) -> Fault {
    let gate = gate.clone();
    fault(move |reply| Reply { before_head: Some(gate.clone()), ..reply })
}

/// `bytes` of the body are sent, the rest when the gate is opened.
pub(crate) fn stalled_after(bytes: usize, gate: &Gate) -> Fault {
    let gate = gate.clone();
    fault(move |reply| Reply { in_body: Some((bytes, gate.clone())), ..reply })
}

/// So few bytes at a time, with a pause after each.
pub(crate) fn dripping(bytes: usize) -> Fault {
    fault(move |reply| Reply { drip: Some(bytes), ..reply })
}

/// 206 although nobody asked for a part.
pub(crate) fn unasked_206() -> Fault {
    fault(|reply| {
        let length = reply.body.len();
        Reply { status: 206, ..reply.with("Content-Range", format!("bytes 0-{}/{length}", length.saturating_sub(1))) }
    })
}

/// A page of a captive portal.
pub(crate) fn html() -> Fault {
    fault(|_| Reply::new(200, "<html><body>Please log in to the network</body></html>").with("Content-Type", "text/html"))
}

/// Both, the first one first.
pub(crate) fn both(first: Fault, second: Fault) -> Fault {
    fault(move |reply| second(first(reply)))
}
