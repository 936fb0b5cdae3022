//! Numbers of few bytes: seven bits each, the lowest first, and the eighth bit when more follow (LEB128).

/// What is read does not follow the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Bytes that are read front to back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.bytes.split_first().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(first)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        self.number()?.try_into().map_err(|_| Malformed)
    }

    /// A number that may be negative, and then is small all the same.
    pub(super) fn difference(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A text with its length before it.
    pub(super) fn text(&mut self, longest: usize) -> Result<&'a str, Malformed> {
        let length = self.small()? as usize;
        if length > longest {
            return Err(Malformed);
        }
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)
    }
}

pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_difference(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, 1 << 31, u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            put_difference(&mut bytes, number.cast_signed());
            let mut cursor = Cursor::new(&bytes);
            assert_eq!((cursor.number(), cursor.difference(), cursor.left()), (Ok(number), Ok(number.cast_signed()), 0));
        }
        let mut bytes = Vec::new();
        put_difference(&mut bytes, -1);
        assert_eq!(bytes, [1]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bytes in [&[][..], &[0x80], &[0xff; 9], &[0xff; 11], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]] {
            assert_eq!(Cursor::new(bytes).number(), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).small(), Err(Malformed));
        assert_eq!(Cursor::new(&[3, b'a', b'b']).text(9), Err(Malformed));
        assert_eq!(Cursor::new(&[2, b'a', b'b']).text(1), Err(Malformed));
        assert_eq!(Cursor::new(&[1, 0xff]).text(9), Err(Malformed));
    }
}
