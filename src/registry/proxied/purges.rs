//! What an upstream said before a purge is not written down after it.

use parking_lot::RwLock;

/// Counts purges. Whoever asks an upstream notes when, and writes down what it said only if nothing was purged since: the
/// purge would be undone by an answer that knows nothing of it. What is lost is one question more, after a rare event.
#[derive(Debug)]
pub(super) struct Purges {
    count: RwLock<u64>,
}

/// When something was asked, among purges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl Purges {
    pub(super) const fn new() -> Self {
        Self { count: RwLock::new(0) }
    }

    /// Between which purges this is.
    pub(super) fn now(&self) -> Moment {
        Moment(*self.count.read())
    }

    /// Writes down what was learned from a question, unless there was a purge since. `write` must not wait for anything.
    pub(super) fn record(&self, asked: Moment, write: impl FnOnce()) {
        let count = self.count.read();
        if *count == asked.0 {
            write();
        }
    }

    /// A purge begins: what was asked before is not written down any more. What has been is handed to the catalog when this
    /// returns.
    pub(super) fn begin(&self) {
        *self.count.write() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_an_older_question_is_not_written_down() {
        let (purges, mut written) = (Purges::new(), Vec::new());
        let before = purges.now();
        purges.record(before, || written.push("before"));
        purges.begin();
        purges.record(before, || written.push("older"));
        purges.record(purges.now(), || written.push("after"));
        assert_eq!(written, ["before", "after"]);
    }
}
