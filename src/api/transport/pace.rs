//! The deadline for writing: a client has to take what is sent to it.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::rt::time::{Instant, Sleep, sleep_until};

/// How slowly a client may read.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct PaceLimit {
    /// A client that takes nothing for this long is cut off.
    pub(in crate::api) stall: Duration,
    /// The least rate in bytes per second, averaged over `stall`; 0 allows any.
    pub(in crate::api) min_rate: u64,
}

/// Watches one connection. Armed by a write that blocks, disarmed when nothing is left to write.
pub(super) struct Pace {
    limit: PaceLimit,
    timer: Option<Pin<Box<Sleep>>>,
    armed: bool,
    taken: u64,
}

impl Pace {
    pub(super) fn new(limit: PaceLimit) -> Self {
        Self { limit, timer: None, armed: false, taken: 0 }
    }

    /// The client took some bytes.
    pub(super) fn took(&mut self, bytes: u64) {
        self.taken += bytes;
    }

    /// Nothing is left to write.
    pub(super) fn idle(&mut self) {
        self.armed = false;
    }

    /// A write blocks. Fails when the client has been too slow over the last window.
    pub(super) fn blocked(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.armed {
            self.arm();
        }
        while let Some(timer) = &mut self.timer {
            if timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            let least = (self.limit.min_rate as f64 * self.limit.stall.as_secs_f64()) as u64;
            if self.taken < least.max(1) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer"));
            }
            self.arm();
        }
        Ok(())
    }

    fn arm(&mut self) {
        let deadline = Instant::now() + self.limit.stall;
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(deadline),
            None => self.timer = Some(Box::pin(sleep_until(deadline))),
        }
        self.armed = true;
        self.taken = 0;
    }
}

/// Passes `outcome` on, keeping the watch up to date.
pub(super) fn watched<T>(pace: &mut Pace, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    if outcome.is_pending() {
        pace.blocked(cx)?;
    }
    outcome
}
