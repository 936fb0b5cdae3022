//! Byte ranges (RFC 9110, section 14).

/// A part of a content: `start` included, `end` excluded, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl ByteRange {
    /// Number of bytes.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// What a `Range` header asks for, before the length of the content is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRequest {
    /// Everything: no header, several ranges, another unit or a malformed header. All of them are answered with the whole
    /// content, as RFC 9110 allows.
    Whole,
    /// `bytes=start-` or `bytes=start-last`.
    From {
        /// First byte asked for.
        start: u64,
        /// Last byte asked for, included; `None` to the end.
        last: Option<u64>,
    },
    /// `bytes=-length`: the last bytes.
    Suffix {
        /// How many.
        length: u64,
    },
}

/// A [`RangeRequest`] applied to a content of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// Answer 200 with everything.
    Whole,
    /// Answer 206 with this part.
    Part(ByteRange),
    /// Answer 416.
    Unsatisfiable,
}

impl RangeRequest {
    /// Reads the value of a `Range` header. Never fails: what is not one well-formed byte range means the whole content.
    pub fn parse(header: Option<&str>) -> Self {
        header.and_then(Self::parse_single).unwrap_or(Self::Whole)
    }

    fn parse_single(header: &str) -> Option<Self> {
        let (unit, set) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        if first.is_empty() {
            return Some(Self::Suffix { length: number(last)? });
        }
        let start = number(first)?;
        let last = if last.is_empty() { None } else { Some(number(last)?) };
        // A reversed range is invalid and to be ignored by RFC 9110, but the registries' conformance suite asks for 416.
        Some(Self::From { start, last })
    }

    /// Applies the request to a content of `length` bytes.
    pub fn select(self, length: u64) -> Selected {
        let (start, end) = match self {
            Self::Whole => return Selected::Whole,
            Self::From { start, last } => (start, last.map_or(length, |last| last.saturating_add(1).min(length))),
            Self::Suffix { length: wanted } => (length.saturating_sub(wanted), length),
        };
        if start < end { Selected::Part(ByteRange { start, end }) } else { Selected::Unsatisfiable }
    }
}

/// A decimal number; one too large to matter is as good as the largest.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(header: &str, length: u64) -> Selected {
        RangeRequest::parse(Some(header)).select(length)
    }

    fn part(start: u64, end: u64) -> Selected {
        Selected::Part(ByteRange { start, end })
    }

    #[test]
    fn single_ranges() {
        assert_eq!(select("bytes=0-0", 10), part(0, 1));
        assert_eq!(select("bytes=0-", 10), part(0, 10));
        assert_eq!(select("bytes=-1", 10), part(9, 10));
        assert_eq!(select("bytes=-99", 10), part(0, 10));
        assert_eq!(select("bytes=5-5", 10), part(5, 6));
        assert_eq!(select("bytes=2-99", 10), part(2, 10));
        assert_eq!(select("BYTES=2-3", 10), part(2, 4));
        assert_eq!(select("bytes=0-18446744073709551616", 10), part(0, 10));
    }

    #[test]
    fn unsatisfiable_ranges() {
        for header in [
            "bytes=10-",
            "bytes=10-15",
            "bytes=-0",
            "bytes=500-0",
            "bytes=5-2",
            "bytes=18446744073709551615-",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(select(header, 10), Selected::Unsatisfiable, "{header}");
        }
        assert_eq!(select("bytes=0-", 0), Selected::Unsatisfiable);
    }

    #[test]
    fn anything_else_is_the_whole_content() {
        for header in [
            "bytes=a-b",
            "bytes=",
            "bytes=-",
            "octets=0-1",
            "bytes 0-1",
            "bytes=0x0-5",
            "bytes=+1-5",
            "bytes=0-1,3-4",
            "bytes=0-,0-",
            "",
        ] {
            assert_eq!(select(header, 10), Selected::Whole, "{header}");
        }
        assert_eq!(RangeRequest::parse(None).select(10), Selected::Whole);
    }
}
