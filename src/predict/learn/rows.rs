//! Rows as a table, for training a model elsewhere: `examples/train` reads it.

use std::io::{self, Write};

use super::model::{Schema, finite};

/// Writes rows with their answers as CSV: the first line names the version of the features, the features, `label` and `weight`; the
/// first column is the time of the question.
#[derive(Debug)]
pub struct RowWriter<W> {
    out: W,
    width: usize,
}

impl<W: Write> RowWriter<W> {
    /// Writes the first line.
    ///
    /// # Errors
    ///
    /// If `out` cannot be written to.
    pub fn new(mut out: W, schema: Schema) -> io::Result<Self> {
        write!(out, "harbinger.features={}", schema.version)?;
        for name in schema.names {
            match name.contains([',', '"', '\n', '\r']) {
                true => write!(out, ",\"{}\"", name.replace('"', "\"\""))?,
                false => write!(out, ",{name}")?,
            }
        }
        writeln!(out, ",label,weight")?;
        Ok(Self { out, width: schema.width() })
    }

    /// Writes a row of the time `at`, in milliseconds, whose answer is known. It counts `weight` times in training.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&mut self, at: u64, row: &[f32], came_true: bool, weight: f32) -> io::Result<()> {
        debug_assert_eq!(row.len(), self.width, "a row of another schema");
        write!(self.out, "{at}")?;
        for &feature in row {
            write!(self.out, ",{}", finite(feature))?;
        }
        writeln!(self.out, ",{},{weight}", u8::from(came_true))
    }

    /// Gives back what was written to, once all of it is written.
    ///
    /// # Errors
    ///
    /// If what is left cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_a_table() {
        let schema = Schema { version: 7, names: &["rate", "app, class"] };
        let mut rows = RowWriter::new(Vec::new(), schema).unwrap();
        rows.write(1_500, &[0.25, -3.0], true, 1.0).unwrap();
        rows.write(2_500, &[f32::NAN, 1.0], false, 0.5).unwrap();
        let text = String::from_utf8(rows.finish().unwrap()).unwrap();
        assert_eq!(text, "harbinger.features=7,rate,\"app, class\",label,weight\n1500,0.25,-3,1,1\n2500,0,1,0,0.5\n");
    }
}
