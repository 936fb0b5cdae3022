//! Hears what becomes of what was fetched.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::Shared;
use crate::events::{self, Event, Subscription};

/// How long nothing happens before it is looked whether to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often it is looked for what has become of no use.
const SWEEP: Duration = Duration::from_secs(60);

/// How often what it has come to is written down.
const KEEP: Duration = Duration::from_secs(300);

/// A thread that hears events until prefetching is stopped.
pub(super) fn start(events: Subscription, shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("prefetch-events".to_owned()).spawn(move || listen(&events, &shared))
}

fn listen(events: &Subscription, shared: &Shared) {
    let (mut swept, mut kept) = (Instant::now(), Instant::now());
    while !shared.is_stopping.load(Ordering::Relaxed) {
        match events.next(PATIENCE) {
            Ok(Some(event)) => hear(shared, &event),
            Ok(None) => {}
            Err(events::Closed) => return,
        }
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            let wasted = shared.state.lock().sweep(events::now());
            shared.publish(wasted);
        }
        if kept.elapsed() >= KEEP {
            kept = Instant::now();
            shared.keep();
        }
    }
    while let Ok(Some(event)) = events.try_next() {
        hear(shared, &event);
    }
    shared.keep();
}

fn hear(shared: &Shared, event: &Event) {
    let resolved = shared.state.lock().hear(event);
    shared.publish(resolved);
}
