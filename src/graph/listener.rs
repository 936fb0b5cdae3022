//! From the bus to the writer, so that the bus is emptied while the writer is busy.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{handle::Shared, writer::Command};
use crate::events::{Event, Subscription};

/// Events that are handed over together at most.
const BATCH: usize = 1024;

/// How long nothing happens before it is looked whether something is wanted.
const PATIENCE: Duration = Duration::from_millis(50);

/// A thread that hears events until the graph is stopped.
#[derive(Debug)]
pub(super) struct Listener {
    wanted: Sender<Command>,
}

pub(super) fn start(events: Subscription, shared: Arc<Shared>, commands: Sender<Command>) -> io::Result<Listener> {
    let (wanted, asked) = channel();
    let listen = move || listen(&events, &shared, &commands, &asked);
    std::thread::Builder::new().name("graph-events".to_owned()).spawn(listen)?;
    Ok(Listener { wanted })
}

impl Listener {
    /// Hands something over after the events that wait.
    pub(super) fn tell(&self, command: Command) {
        // Whoever waits for the answer is told by its absence.
        let _ = self.wanted.send(command);
    }
}

fn listen(events: &Subscription, shared: &Shared, commands: &Sender<Command>, asked: &Receiver<Command>) {
    let mut is_open = true;
    while !shared.is_stopping.load(Ordering::Relaxed) {
        let wanted: Vec<_> = asked.try_iter().collect();
        // What is wanted waits for the events that were there before it.
        let patience = if wanted.is_empty() { PATIENCE } else { Duration::ZERO };
        let first = if is_open { events.next(patience) } else { Ok(None) };
        is_open = first.is_ok();
        if !is_open && wanted.is_empty() {
            std::thread::sleep(PATIENCE);
        }
        let mut first = first.unwrap_or_default();
        loop {
            let waiting = std::iter::from_fn(|| events.try_next().ok().flatten());
            let batch: Vec<_> = first.take().into_iter().chain(waiting.take(BATCH)).collect();
            if batch.is_empty() {
                break;
            }
            let is_last = batch.len() < BATCH || wanted.is_empty();
            if !hand_over(batch, commands) {
                return;
            }
            if is_last {
                break;
            }
        }
        shared.dropped.store(events.dropped(), Ordering::Relaxed);
        if wanted.into_iter().any(|command| commands.send(command).is_err()) {
            return;
        }
    }
}

/// Waits until a batch is applied: what comes meanwhile is the next one. False when the writer has ended.
fn hand_over(batch: Vec<Event>, commands: &Sender<Command>) -> bool {
    let (done, applied) = oneshot::channel();
    commands.send(Command::Apply(batch, Some(done))).is_ok() && applied.blocking_recv().is_ok()
}
