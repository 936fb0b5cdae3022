//! Small records for other edges: the newest of a key stays.
//!
//! An object of the bucket and a file of the queue are the same JSON: `{"stamp": <milliseconds>, "record": …}`; the file holds
//! its key besides.

use std::borrow::Cow;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{GetOptions, ObjectStore, PutMode, PutOptions, UpdateVersion, path::Path};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::failure::Failure;

/// Longest record, with stamp and key. Nothing longer is written or read.
pub(super) const LONGEST: u64 = 64 << 10;

/// Tries against other edges that write the same record at the same time.
const RACES: usize = 5;

/// How a record lies in the bucket and on disk.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    stamp: u64,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// A record with the time at which it was true.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) stamp: u64,
    pub(super) body: Bytes,
}

/// What lies in the bucket under a record's name.
pub(super) struct Present {
    /// `None`: something that is no record.
    pub(super) record: Option<Record>,
    version: UpdateVersion,
}

/// How a record fared in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    /// One that is as new, or newer, is there.
    Superseded,
}

/// Reads a record from the bucket; what is too long or does not parse is none.
pub(super) async fn read(store: &dyn ObjectStore, path: &Path) -> object_store::Result<Present> {
    let result = store.get_opts(path, GetOptions::default()).await?;
    let version = UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
    if result.meta.size > LONGEST {
        return Ok(Present { record: None, version });
    }
    let mut text = Vec::with_capacity(result.meta.size as usize);
    let mut body = result.into_stream();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if (text.len() + piece.len()) as u64 > LONGEST {
            return Ok(Present { record: None, version });
        }
        text.extend_from_slice(&piece);
    }
    Ok(Present { record: parse(&text).map(|(_, record)| record), version })
}

/// Writes a record into the bucket unless a newer one is there, however many edges write at the same time. A server that knows
/// no conditions lets the last of those win who write within the same moment.
pub(super) async fn write(store: &dyn ObjectStore, path: &Path, record: &Record) -> object_store::Result<Outcome> {
    let text =
        envelope(None, record).map(Bytes::from).map_err(|error| object_store::Error::NotSupported { source: Box::new(error) })?;
    let put = async |mode: PutMode| store.put_opts(path, text.clone().into(), PutOptions::from(mode)).await;
    let mut races = 0;
    loop {
        let mode = match read(store, path).await {
            Ok(present) if present.record.as_ref().is_some_and(|there| there.stamp >= record.stamp) => {
                return Ok(Outcome::Superseded);
            }
            Ok(Present { version: UpdateVersion { e_tag: None, version: None }, .. }) => PutMode::Overwrite,
            Ok(present) => PutMode::Update(present.version),
            Err(error) if Failure::of(&error) == Failure::Absent => PutMode::Create,
            Err(error) => return Err(error),
        };
        let conditional = mode != PutMode::Overwrite;
        let Err(error) = put(mode).await else { return Ok(Outcome::Stored) };
        match Failure::of(&error) {
            Failure::Conflict if races < RACES => races += 1,
            Failure::Refused if conditional => return put(PutMode::Overwrite).await.map(|_| Outcome::Stored),
            _ => return Err(error),
        }
    }
}

/// A record as JSON.
///
/// # Errors
/// When its body is no JSON.
pub(super) fn envelope(key: Option<&str>, record: &Record) -> serde_json::Result<Vec<u8>> {
    let body: &RawValue = serde_json::from_slice(&record.body)?;
    serde_json::to_vec(&Envelope { key: key.map(Into::into), stamp: record.stamp, record: body })
}

/// A record, and its key if it has one. `None` for what is none.
pub(super) fn parse(text: &[u8]) -> Option<(Option<String>, Record)> {
    let envelope: Envelope<'_> = serde_json::from_slice(text).ok()?;
    let body = Bytes::copy_from_slice(envelope.record.get().as_bytes());
    Some((envelope.key.map(Cow::into_owned), Record { stamp: envelope.stamp, body }))
}
