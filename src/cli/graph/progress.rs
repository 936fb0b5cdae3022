//! How far something long is: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often it is told where no bar can be drawn.
const LINE: Duration = Duration::from_secs(10);

/// A bar. It vanishes when it is dropped.
pub(in crate::cli) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    said: Instant,
}

impl Progress {
    /// Counts `what`, which is plural.
    pub(in crate::cli) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        let style = format!("{{bar:40}} {{human_pos}} of {{human_len}} {what}, {{per_sec}}, {{eta}} left{{msg}}");
        // The template is known to be right; without it there would be a plainer bar.
        bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, what, said: Instant::now() }
    }

    /// `done` of `total` so far; more may have come than was announced.
    pub(in crate::cli) fn show(&mut self, done: u64, total: u64) {
        self.bar.set_length(total.max(done));
        self.bar.set_position(done);
        if !std::io::stderr().is_terminal() && self.said.elapsed() >= LINE {
            self.said = Instant::now();
            eprintln!("{done} of {} {}", total.max(done), self.what);
        }
    }

    /// Prints a result beside the bar.
    pub(in crate::cli) fn say(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }

    /// Tells something beside the bar.
    pub(in crate::cli) fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
