//! Events of demand logs and other traces.

use std::{error::Error, path::PathBuf};

use super::{super::progress::Progress, sink::Sink};
use crate::events::log::{Losses, TraceReader};

/// Events that are sent at once.
const BATCH: usize = 1_000;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Events that were sent.
    pub(super) events: u64,
    /// Events that are known to be lost.
    pub(super) lost: u64,
}

/// Tells the graph what is in traces, one after the other.
pub(super) async fn replay(files: &[PathBuf], sink: &Sink) -> Result<Replayed, Box<dyn Error>> {
    let total = files.iter().map(|file| std::fs::metadata(file).map_or(0, |metadata| metadata.len())).sum();
    let (mut progress, mut replayed, mut before) = (Progress::new("bytes"), Replayed::default(), 0);
    for file in files {
        let named = |error: &dyn Error| format!("{}: {error}", file.display());
        let mut trace = TraceReader::open(file).map_err(|error| named(&error))?;
        loop {
            let events = trace.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>().map_err(|error| named(&error))?;
            if events.is_empty() {
                break;
            }
            replayed.events += events.len() as u64;
            sink.send(events).await?;
            progress.show(before + trace.read_bytes(), total);
        }
        let Losses { events, damaged, is_cut } = trace.losses();
        if damaged > 0 || is_cut {
            progress.note(&format!("{}: {damaged} damaged places, {events} events are lost", file.display()));
        }
        replayed.lost += events;
        before += trace.read_bytes();
    }
    Ok(replayed)
}
