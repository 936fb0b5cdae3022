//! Tables by RFC 4180, with line feeds alone.

use std::io::{self, Write};

use super::row::{COLUMNS, Row};

pub(super) fn heading(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))
}

pub(super) fn row(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    let cells = row.cells().map(|cell| quoted(cell.text()));
    writeln!(out, "{}", cells.join(","))
}

/// A text that holds what separates cells or rows stands in quotes, and quotes in it are doubled.
fn quoted(text: String) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_table_is_quoted() {
        let bad = Row {
            at: 1_500,
            event: "request",
            customer: Some("a,b".to_owned()),
            region: Some("say \"eu\"".to_owned()),
            tag: Some("1\n2".to_owned()),
            status: Some(200),
            private: Some(true),
            ..Row::default()
        };
        let mut out = Vec::new();
        heading(&mut out).unwrap();
        row(&mut out, &bad).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (names, values) = text.split_once('\n').unwrap();
        assert_eq!(names.split(',').count(), 22);
        assert_eq!(values, "1970-01-01T00:00:01.500Z,request,\"a,b\",\"say \"\"eu\"\"\",,,,true,\"1\n2\",,,200,,,,,,,,,,\n");
    }
}
