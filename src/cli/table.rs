//! Aligned columns for people.

use std::fmt;

use bytesize::ByteSize;

/// A table with a heading. The width of a column is that of its widest cell.
#[derive(Debug)]
pub(super) struct Table<const COLUMNS: usize> {
    heading: [(&'static str, Align); COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) const fn new(heading: [(&'static str, Align); COLUMNS]) -> Self {
        Self { heading, rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heading = self.heading.map(|(name, _)| name.to_owned());
        let rows = || std::iter::once(&heading).chain(&self.rows);
        for row in rows() {
            let mut line = String::new();
            for (column, (cell, (_, align))) in row.iter().zip(self.heading).enumerate() {
                let width = rows().map(|row| row[column].chars().count()).max().unwrap_or_default();
                line += if column == 0 { "" } else { "  " };
                line += &match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `1.5 MiB`
pub(super) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let mut table = Table::new([("NAME", Align::Left), ("SIZE", Align::Right), ("", Align::Left)]);
        table.push(["a".to_owned(), size(1536), "x".to_owned()]);
        table.push(["longer".to_owned(), size(1), String::new()]);
        assert_eq!(table.to_string(), "NAME       SIZE\na       1.5 KiB  x\nlonger      1 B\n");
    }
}
