//! What is known from earlier runs: the demand log is heard again.

use std::{io, ops::ControlFlow, path::PathBuf, time::Instant};

use tokio::sync::oneshot;

use super::{FORGOTTEN, Settings, Watch};
use crate::events::{self, log};

/// A watch that has heard what the demand log in a folder tells, once it has: on a thread of its own, which ends early when nobody
/// waits any more. Nothing comes when there is no log.
pub(super) fn recall(log: Option<PathBuf>, settings: Settings) -> oneshot::Receiver<Watch> {
    let (done, watch) = oneshot::channel();
    if let Some(folder) = log
        && let Err(error) = start(folder, settings, done)
    {
        tracing::warn!(%error, "no thread can be started: which tags to follow is learned anew");
    }
    watch
}

fn start(folder: PathBuf, settings: Settings, done: oneshot::Sender<Watch>) -> io::Result<()> {
    let recall = move || {
        let (begun, now) = (Instant::now(), events::now());
        let mut watch = Watch::new(settings);
        let heard = log::recall(&folder, &(now.saturating_sub(FORGOTTEN)..=now), |event| {
            if done.is_closed() {
                return ControlFlow::Break(());
            }
            watch.recall(event);
            ControlFlow::Continue(())
        });
        if heard > 0 {
            tracing::info!(heard, tags = watch.len(), took = ?begun.elapsed(), "the tags of earlier runs are followed again");
        }
        // Without a receiver, the poller has ended.
        let _ = done.send(watch);
    };
    std::thread::Builder::new().name("watch-recall".to_owned()).spawn(recall).map(drop)
}
