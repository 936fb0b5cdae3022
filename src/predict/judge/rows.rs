//! Rows and their answers, for training elsewhere.

use std::{
    fmt,
    io::{self, Write},
};

use super::features::{Row, SCHEMA};
use crate::{events::Millis, predict::learn::RowWriter};

/// Writes down what is learned from.
pub(in crate::predict) struct Rows {
    out: RowWriter<Box<dyn Write + Send>>,
    /// The first failure: nothing is written after it.
    failed: io::Result<()>,
}

impl Rows {
    /// Writes the first line to `out`.
    pub(in crate::predict) fn new(out: Box<dyn Write + Send>) -> io::Result<Self> {
        Ok(Self { out: RowWriter::new(out, SCHEMA)?, failed: Ok(()) })
    }

    /// The answer to a row of the time `at` is known.
    pub(super) fn write(&mut self, at: Millis, row: &Row, came: bool) {
        if self.failed.is_ok() {
            self.failed = self.out.write(at, row, came, 1.0);
        }
    }

    /// Writes what is left, and says whether all was written.
    pub(in crate::predict) fn finish(self) -> io::Result<()> {
        self.failed?;
        self.out.finish().map(drop)
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("failed", &self.failed).finish_non_exhaustive()
    }
}
