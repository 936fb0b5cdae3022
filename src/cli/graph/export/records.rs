//! Where records come from: a running server, or a graph that was opened.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hyper::Method;
use tokio::{
    runtime::Handle,
    sync::mpsc::{Receiver, Sender, channel},
};

use super::super::{super::operator::Answer, place::Holder};
use crate::{
    api::RECORDS,
    events,
    graph::{Graph, Record, Seconds, Viewer, export::Walk},
};

/// Chunks of some hundred records that wait to be written.
const AHEAD: usize = 8;

/// Bytes of a record at most. Names and media types are short.
const LONGEST_LINE: usize = 1 << 20;

/// A graph that can be read from its beginning.
pub(super) struct Source {
    holder: Holder,
    /// How many records there are; 0 as long as that is not known.
    total: Arc<AtomicU64>,
}

type Chunk = io::Result<Vec<Record>>;

impl Source {
    pub(super) fn new(holder: Holder) -> Self {
        Self { holder, total: Arc::default() }
    }

    /// About how many records there are, once reading has begun.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Begins to read. What is not taken out waits; dropping the receiver ends the reading.
    pub(super) fn open(&self) -> Receiver<Chunk> {
        let (sender, receiver) = channel(AHEAD);
        let total = self.total.clone();
        match self.holder.clone() {
            Holder::Server(data) => drop(Handle::current().spawn(async move {
                if let Err(error) = from_server(&data, &sender, &total).await {
                    // Nobody is there to be told when the receiver is gone.
                    let _ = sender.send(Err(error)).await;
                }
            })),
            Holder::Here(graph) => drop(Handle::current().spawn_blocking(move || {
                if let Err(error) = from_here(&graph, &sender, &total) {
                    let _ = sender.blocking_send(Err(error));
                }
            })),
        }
        receiver
    }
}

async fn from_server(data: &std::path::Path, sender: &Sender<Chunk>, total: &AtomicU64) -> io::Result<()> {
    let mut answer =
        Answer::of(data, Method::GET, "/api/v1/graph/export", bytes::Bytes::new()).await.map_err(io::Error::other)?;
    total.store(answer.number(RECORDS).unwrap_or_default(), Ordering::Relaxed);
    let mut open = Vec::new();
    while let Some(bytes) = answer.next().await.map_err(io::Error::other)? {
        open.extend_from_slice(&bytes);
        let end = open.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if end == 0 && open.len() > LONGEST_LINE {
            return Err(io::Error::other("the server sent a record that is too long"));
        }
        let records = read(&open[..end])?;
        open.drain(..end);
        if !records.is_empty() && sender.send(Ok(records)).await.is_err() {
            return Ok(());
        }
    }
    if open.is_empty() { Ok(()) } else { Err(io::Error::other("the server broke off in the middle of a record")) }
}

fn read(lines: &[u8]) -> io::Result<Vec<Record>> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(io::Error::other)).collect()
}

fn from_here(graph: &Graph, sender: &Sender<Chunk>, total: &AtomicU64) -> io::Result<()> {
    total.store(graph.read(|state| state.records()).map_err(io::Error::other)?, Ordering::Relaxed);
    let mut walk = Walk::new(Viewer::Operator, (events::now() / 1000) as Seconds);
    while let Some(records) = graph.read(|state| walk.next(state)).map_err(io::Error::other)? {
        if !records.is_empty() && sender.blocking_send(Ok(records)).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_records_and_nothing_else() {
        let line = br#"{"type":"node","id":"a","kind":"layer","properties":[["size",1]]}"#;
        assert_eq!(read(&[&line[..], b"\n", &line[..], b"\n"].concat()).unwrap().len(), 2);
        assert_eq!(read(b"").unwrap(), []);
        assert!(read(b"{}\n").is_err());
    }
}
