//! Fits take seconds: they are made at once, or on a thread of their own.

use std::{
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    thread,
};

/// Where fits are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// By whoever learns, who waits: the same past gives the same models at the same moments.
    AtOnce,
    /// On a thread of their own. What comes of them is there later.
    Behind,
}

/// One fit at a time.
#[derive(Debug)]
pub(in crate::predict) struct Fitting<T> {
    pace: Pace,
    under_way: Option<Receiver<T>>,
}

impl<T: Send + 'static> Fitting<T> {
    /// None is under way.
    pub(in crate::predict) const fn new(pace: Pace) -> Self {
        Self { pace, under_way: None }
    }

    /// Whether one is under way.
    pub(in crate::predict) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins one, whose outcome can be [taken](Self::take) when it is done. One that was under way is given up. When no thread can
    /// be started, nothing comes of it.
    pub(in crate::predict) fn begin(&mut self, fit: impl FnOnce() -> T + Send + 'static) {
        let (sender, receiver) = sync_channel(1);
        // Whoever has given up waiting does not want it any more.
        let work = move || drop(sender.send(fit()));
        match self.pace {
            Pace::AtOnce => work(),
            Pace::Behind => drop(thread::Builder::new().name("fitting".to_owned()).spawn(work)),
        }
        self.under_way = Some(receiver);
    }

    /// What came of it, once, when it is done.
    pub(in crate::predict) fn take(&mut self) -> Option<T> {
        match self.under_way.as_ref()?.try_recv() {
            Err(TryRecvError::Empty) => None,
            outcome => {
                self.under_way = None;
                outcome.ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_at_once_is_done_when_it_has_begun() {
        let mut fitting = Fitting::new(Pace::AtOnce);
        assert_eq!(fitting.take(), None);
        fitting.begin(|| 7);
        assert_eq!((fitting.take(), fitting.take(), fitting.is_under_way()), (Some(7), None, false));
    }

    #[test]
    fn a_fit_behind_keeps_nobody_waiting() {
        let (go, gone) = sync_channel::<()>(0);
        let mut fitting = Fitting::new(Pace::Behind);
        fitting.begin(move || gone.recv().map_or(1, |()| 2));
        assert_eq!((fitting.take(), fitting.is_under_way()), (None, true));
        go.send(()).unwrap();
        let outcome = loop {
            match fitting.take() {
                None => thread::yield_now(),
                outcome => break outcome,
            }
        };
        assert_eq!((outcome, fitting.is_under_way()), (Some(2), false));
    }

    #[test]
    fn a_fit_that_fails_leaves_room_for_the_next() {
        let mut fitting = Fitting::<i32>::new(Pace::Behind);
        fitting.begin(|| panic!("as it should"));
        while fitting.is_under_way() {
            assert_eq!(fitting.take(), None);
        }
        fitting.begin(|| 3);
        while fitting.is_under_way() {
            if let Some(outcome) = fitting.take() {
                assert_eq!(outcome, 3);
                return;
            }
        }
        panic!("nothing came of it");
    }
}
