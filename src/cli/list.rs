//! Lists in files: one entry a line.

use std::{
    error::Error,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

/// Bytes of a line at most.
const LONGEST: u64 = 4 << 10;

/// Reads the entries of a list with the numbers of their lines; `-` is the standard input. What stands behind a `#` is for people.
///
/// # Errors
/// When the file cannot be read, or a line is longer than any image's name.
pub(super) fn read(file: &Path) -> Result<Vec<(usize, String)>, Box<dyn Error>> {
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?)
    };
    entries(BufReader::new(input))
}

fn entries(mut input: impl BufRead) -> Result<Vec<(usize, String)>, Box<dyn Error>> {
    let (mut found, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        if input.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST {
            return Err(format!("line {number} is longer than any image's name").into());
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            found.push((number, text.to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_line_by_line() {
        let found = entries(&b"# images\n nginx:1.27 # the web\r\n\nredis"[..]).unwrap();
        assert_eq!(found, [(2, "nginx:1.27".to_owned()), (4, "redis".to_owned())]);
        assert!(entries(&vec![b'x'; LONGEST as usize][..]).is_err());
    }
}
