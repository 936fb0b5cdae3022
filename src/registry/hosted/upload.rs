//! One upload: its name, its owner, its state.

use std::{
    fmt,
    fs::File,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::SystemTime,
};

use bytes::BytesMut;
use parking_lot::Mutex;
use uuid::Uuid;

use super::writeback::Writeback;
use crate::{
    customers::Customer,
    oci::{Algorithm, Hasher, RepositoryName},
};

/// Names an upload. Cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId(Uuid);

impl UploadId {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = ();

    /// One spelling only: lower case, with hyphens.
    fn from_str(text: &str) -> Result<Self, ()> {
        let id = Uuid::try_parse(text).map(Self).map_err(|_| ())?;
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}

/// Whose an upload is. Everybody else is told that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The repository it was begun in.
    pub repository: RepositoryName,
    /// The customer who began it.
    pub customer: Customer,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The upload.
    pub id: UploadId,
    /// Bytes that have been received.
    pub received: u64,
}

/// The part of an upload that a request says it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Offset of its first byte.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// An upload under way.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) id: UploadId,
    pub(super) owner: Owner,
    pub(super) algorithm: Algorithm,
    /// Held by whoever writes.
    pub(super) state: Arc<tokio::sync::Mutex<State>>,
    /// What a status tells: bytes that will stay, whatever becomes of the request that brings more.
    pub(super) received: AtomicU64,
    pub(super) touched: Mutex<SystemTime>,
    /// Set when it is finished or given up: whoever still holds it has nothing more to do with it.
    pub(super) ended: AtomicBool,
    /// Set when it is off its customer's account.
    pub(super) closed: AtomicBool,
    /// Whether it outlives a restart: somebody was told of it.
    pub(super) is_recorded: bool,
    /// Held while bytes are written; the number of the request that may. A write that outlives its request finds another.
    pub(super) turn: Arc<Mutex<u64>>,
}

/// What the next writer begins with.
#[derive(Debug)]
pub(super) struct State {
    pub(super) received: u64,
    /// Bytes that are on the customer's account.
    pub(super) charged: u64,
    /// The hash of what is there; unknown after a restart.
    pub(super) hasher: Option<Hasher>,
    pub(super) file: Option<Arc<File>>,
    /// All that was received, while it is so little that it is not worth a file.
    pub(super) held: Option<BytesMut>,
    pub(super) writeback: Writeback,
}

/// What becomes of the bytes of a request that does not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// They stay: the client asks how far it came, and goes on from there.
    Keep,
    /// They go: the upload is as it was before.
    Drop,
}

impl Upload {
    pub(super) fn touch(&self) {
        *self.touched.lock() = SystemTime::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = UploadId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        let text = id.to_string();
        for other in
            [text.to_uppercase(), format!("{{{text}}}"), format!("urn:uuid:{text}"), text.replace('-', ""), String::new()]
        {
            assert_eq!(other.parse::<UploadId>(), Err(()), "{other}");
        }
    }
}
