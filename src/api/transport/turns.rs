//! One request at a time for the dispatcher.
//!
//! It decodes pipelined requests ahead of their turn, and encodes an answer by what it decoded last: the body of a GET is
//! left out when a HEAD follows, and the connection is closed early when the last request asks for that. So the head of a
//! request is let through only when the answer before it has left.

/// Longest beginning of a header line that is kept when the line comes in pieces.
const LINE: usize = 64;

/// Follows the bytes from a client and says how many may pass.
#[derive(Default)]
pub(super) struct Turns {
    phase: Phase,
    head: Head,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head passes, up to its end.
    #[default]
    Head,
    /// A body passes; so many bytes are missing.
    Body(u64),
    /// Nothing passes until the answer has left.
    Answer,
    /// Everything passes from now on: where the next request begins cannot be told.
    Open,
}

impl Turns {
    /// How many of the next `bytes` may pass now. The others have to be shown again, later. None of some may pass only while
    /// an answer is due.
    pub(super) fn admit(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        if self.phase == Phase::Head {
            let Some((end, framing)) = self.head.end_in(bytes) else {
                return bytes.len();
            };
            passed = end;
            self.phase = match framing {
                Framing::Length(0) => Phase::Answer,
                Framing::Length(length) => Phase::Body(length),
                Framing::Unclear => Phase::Open,
            };
        }
        let rest = bytes.len() - passed;
        match self.phase {
            Phase::Open => bytes.len(),
            Phase::Body(missing) if missing > rest as u64 => {
                self.phase = Phase::Body(missing - rest as u64);
                bytes.len()
            }
            Phase::Body(missing) => {
                self.phase = Phase::Answer;
                passed + missing as usize
            }
            Phase::Head | Phase::Answer => passed,
        }
    }

    /// Whether nothing passes.
    pub(super) fn is_closed(&self) -> bool {
        self.phase == Phase::Answer
    }

    /// Whether everything passes.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// An answer has left.
    pub(super) fn answered(&mut self) {
        self.phase = match self.phase {
            Phase::Answer => Phase::Head,
            // The rest of the body is dropped by the dispatcher, which closes the connection.
            Phase::Body(_) => Phase::Open,
            phase => phase,
        };
    }
}

/// How long the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    /// Chunks, another protocol, or an error that the dispatcher will find.
    Unclear,
}

/// Finds the end of a head, in however many pieces it comes. Ends of lines are what the dispatcher's parser takes for them.
struct Head {
    /// The beginning of a line that has no end yet.
    kept: Vec<u8>,
    has_request_line: bool,
    framing: Framing,
    has_length: bool,
}

impl Default for Head {
    fn default() -> Self {
        Self { kept: Vec::new(), has_request_line: false, framing: Framing::Length(0), has_length: false }
    }
}

impl Head {
    /// The number of bytes up to the end of the head, once it is there; the next head follows.
    fn end_in(&mut self, bytes: &[u8]) -> Option<(usize, Framing)> {
        let mut start = 0;
        while let Some(length) = bytes[start..].iter().position(|&byte| byte == b'\n') {
            let line = &bytes[start..start + length];
            start += length + 1;
            let is_end = if self.kept.is_empty() {
                self.read_line(line)
            } else {
                self.keep(line);
                let kept = std::mem::take(&mut self.kept);
                self.read_line(&kept)
            };
            if is_end {
                return Some((start, std::mem::take(self).framing));
            }
        }
        self.keep(&bytes[start..]);
        None
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = LINE - self.kept.len();
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// Whether the line ends the head.
    fn read_line(&mut self, line: &[u8]) -> bool {
        if matches!(line, b"" | b"\r") {
            // Empty lines before a request are skipped.
            return self.has_request_line;
        }
        if self.has_request_line {
            self.read_header(line);
        } else {
            self.has_request_line = true;
            if line.starts_with(b"CONNECT ") {
                self.framing = Framing::Unclear;
            }
        }
        false
    }

    fn read_header(&mut self, line: &[u8]) {
        // Of most lines no more is looked at than this.
        if !matches!(line.first(), Some(b'C' | b'c' | b'T' | b't' | b'U' | b'u')) {
            return;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            // A line that long may have been kept in part.
            let length = std::str::from_utf8(value).ok().filter(|_| line.len() < LINE).and_then(|text| text.trim().parse().ok());
            self.framing = match length {
                Some(length) if !self.has_length && self.framing != Framing::Unclear => Framing::Length(length),
                _ => Framing::Unclear,
            };
            self.has_length = true;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") || name.eq_ignore_ascii_case(b"upgrade") {
            self.framing = Framing::Unclear;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";

    fn request(headers: &str) -> String {
        format!("PUT /v2/ HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
    }

    /// How many of `bytes` pass before the first answer, when they come in pieces of `size`.
    fn passed(bytes: &str, size: usize) -> usize {
        let mut turns = Turns::default();
        let mut passed = 0;
        for piece in bytes.as_bytes().chunks(size) {
            let admitted = turns.admit(piece);
            passed += admitted;
            if admitted < piece.len() {
                assert!(turns.is_closed());
                break;
            }
        }
        passed
    }

    #[track_caller]
    fn stops_after(first: &str) {
        let bytes = format!("{first}{GET}{GET}");
        for size in 1..=bytes.len() {
            assert_eq!(passed(&bytes, size), first.len(), "in pieces of {size}: {bytes:?}");
        }
    }

    #[track_caller]
    fn never_stops(first: &str) {
        let bytes = format!("{first}{GET}{GET}");
        for size in 1..=bytes.len() {
            assert_eq!(passed(&bytes, size), bytes.len(), "in pieces of {size}: {bytes:?}");
        }
    }

    #[test]
    fn a_head_ends_with_an_empty_line() {
        stops_after(GET);
        stops_after("GET / HTTP/1.1\nHost: x\n\n");
        stops_after("GET / HTTP/1.1\r\nHost: x\n\r\n");
        stops_after("GET / HTTP/1.0\r\n\r\n");
        stops_after(&format!("GET / HTTP/1.1\r\nX: {}\r\nHost: x\r\n\r\n", "a".repeat(3 * LINE)));
    }

    #[test]
    fn empty_lines_before_a_request_belong_to_it() {
        stops_after(&format!("\r\n\r\n\n{GET}"));
    }

    #[test]
    fn a_body_passes_with_its_head() {
        stops_after(&request("Content-Length: 0\r\n"));
        stops_after(&format!("{}a\r\n\r\nb", request("content-length:   6  \r\n")));
        stops_after(&format!("{}abc", request("Expect: 100-continue\r\nCONTENT-LENGTH:3\r\n")));
    }

    #[test]
    fn without_a_clear_end_everything_passes() {
        never_stops(&request("Transfer-Encoding: chunked\r\n"));
        never_stops(&request("transfer-encoding: chunked\r\nContent-Length: 0\r\n"));
        never_stops(&request("Content-Length: 0\r\nContent-Length: 0\r\n"));
        never_stops(&request("Content-Length: many\r\n"));
        never_stops(&request("Content-Length: 99999999999999999999\r\n"));
        never_stops(&request(&format!("Content-Length: {}1\r\n", " ".repeat(LINE))));
        never_stops(&request("Upgrade: websocket\r\n"));
        never_stops("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n");
    }

    #[test]
    fn names_that_begin_alike_mean_nothing() {
        stops_after(&request(
            "Content-Type: 9\r\nContent-Length-X: 9\r\nTE: chunked\r\nUpgrade-Insecure-Requests: 1\r\ncookie\r\n",
        ));
        stops_after(&request("X-Note: a\r\nx: Content-Length: 9\r\n"));
    }

    #[test]
    fn each_answer_lets_one_request_pass() {
        let mut turns = Turns::default();
        let all = GET.repeat(3);
        let mut rest = all.as_bytes();
        for _ in 0..3 {
            assert_eq!(turns.admit(rest), GET.len());
            rest = &rest[GET.len()..];
            assert!(turns.is_closed());
            assert_eq!(turns.admit(rest), 0);
            turns.answered();
            assert!(!turns.is_closed());
        }
    }

    #[test]
    fn an_answer_that_does_not_wait_for_the_body_opens_the_gate() {
        let mut turns = Turns::default();
        let head = request("Content-Length: 1000\r\n");
        assert_eq!(turns.admit(head.as_bytes()), head.len());
        turns.answered();
        assert_eq!(turns.admit(&[b'\n'; 5000]), 5000);
        assert!(!turns.is_closed());
    }
}
