//! A gate in the middle of an answer: the test sees that the upstream has come to it, and opens it.

use tokio::sync::watch;

use crate::client::soon;

/// Closed until opened; then open for ever.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self { open: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until `answers` of the upstream's answers have come to the gate.
    pub(crate) async fn reached(&self, answers: usize) {
        soon("an answer comes to the gate", self.waiting.subscribe().wait_for(|&waiting| waiting >= answers)).await.unwrap();
    }

    pub(super) async fn pass(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _ = self.open.subscribe().wait_for(|&open| open).await;
    }
}
