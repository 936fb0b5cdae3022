//! PackStream, the encoding of values in Bolt, for as much of them as JSON has.

use serde_json::{Map, Number, Value};

/// How deep values may lie in each other in what the server says.
const DEPTH: u32 = 64;

/// A structure: what a message is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Structure {
    /// What it means.
    pub(super) tag: u8,
    /// Its parts.
    pub(super) fields: Vec<Value>,
}

/// Bytes that are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message that cannot be read")]
pub(super) struct Malformed;

/// A message of at most 15 fields.
pub(super) fn message(tag: u8, fields: &[&Value]) -> Vec<u8> {
    let mut out = vec![0xb0 | fields.len() as u8, tag];
    fields.iter().for_each(|field| encode(&mut out, field));
    out
}

/// Reads the structure that a message is.
pub(super) fn read(bytes: &[u8]) -> Result<Structure, Malformed> {
    let mut reader = Reader { bytes, depth: 0 };
    let structure = match reader.byte()? {
        marker @ 0xb0..=0xbf => reader.structure(marker)?,
        _ => return Err(Malformed),
    };
    if reader.bytes.is_empty() { Ok(structure) } else { Err(Malformed) }
}

fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer_of(out, integer),
            (None, float) => {
                out.push(0xc1);
                out.extend(float.unwrap_or(f64::NAN).to_be_bytes());
            }
        },
        Value::String(text) => {
            length(out, text.len(), [0x80, 0xd0, 0xd1, 0xd2]);
            out.extend(text.as_bytes());
        }
        Value::Array(values) => {
            length(out, values.len(), [0x90, 0xd4, 0xd5, 0xd6]);
            values.iter().for_each(|value| encode(out, value));
        }
        Value::Object(map) => {
            length(out, map.len(), [0xa0, 0xd8, 0xd9, 0xda]);
            for (name, value) in map {
                length(out, name.len(), [0x80, 0xd0, 0xd1, 0xd2]);
                out.extend(name.as_bytes());
                encode(out, value);
            }
        }
    }
}

/// In as few bytes as it needs.
fn integer_of(out: &mut Vec<u8>, integer: i64) {
    if let -16..=127 = integer {
        out.push(integer as i8 as u8);
    } else if let Ok(small) = i8::try_from(integer) {
        out.push(0xc8);
        out.extend(small.to_be_bytes());
    } else if let Ok(small) = i16::try_from(integer) {
        out.push(0xc9);
        out.extend(small.to_be_bytes());
    } else if let Ok(small) = i32::try_from(integer) {
        out.push(0xca);
        out.extend(small.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(integer.to_be_bytes());
    }
}

/// Markers for up to 15, 255, 65,535 and 2³² − 1.
fn length(out: &mut Vec<u8>, length: usize, markers: [u8; 4]) {
    if length < 16 {
        out.push(markers[0] | length as u8);
    } else if let Ok(length) = u8::try_from(length) {
        out.extend([markers[1], length]);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(markers[2]);
        out.extend(length.to_be_bytes());
    } else {
        out.push(markers[3]);
        out.extend((length as u32).to_be_bytes());
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    depth: u32,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value, Malformed> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Malformed);
        }
        let value = match self.byte()? {
            0xc0 => Value::Null,
            0xc1 => Number::from_f64(f64::from_be_bytes(self.array()?)).map_or(Value::Null, Value::Number),
            0xc2 => false.into(),
            0xc3 => true.into(),
            0xc8 => i8::from_be_bytes(self.array()?).into(),
            0xc9 => i16::from_be_bytes(self.array()?).into(),
            0xca => i32::from_be_bytes(self.array()?).into(),
            0xcb => i64::from_be_bytes(self.array()?).into(),
            // Bytes, which nothing that is asked for has.
            marker @ 0xcc..=0xce => {
                let length = self.wide(marker - 0xcc)?;
                self.take(length).map(|_| Value::Null)?
            }
            marker @ 0x80..=0x8f => self.text(usize::from(marker & 15))?.into(),
            marker @ 0xd0..=0xd2 => {
                let length = self.wide(marker - 0xd0)?;
                self.text(length)?.into()
            }
            marker @ 0x90..=0x9f => self.list(usize::from(marker & 15))?,
            marker @ 0xd4..=0xd6 => {
                let length = self.wide(marker - 0xd4)?;
                self.list(length)?
            }
            marker @ 0xa0..=0xaf => self.map(usize::from(marker & 15))?,
            marker @ 0xd8..=0xda => {
                let length = self.wide(marker - 0xd8)?;
                self.map(length)?
            }
            marker @ 0xb0..=0xbf => self.structure(marker)?.fields.into(),
            small @ (0x00..=0x7f | 0xf0..=0xff) => (small as i8).into(),
            _ => return Err(Malformed),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn structure(&mut self, marker: u8) -> Result<Structure, Malformed> {
        let tag = self.byte()?;
        let fields = (0..marker & 15).map(|_| self.value()).collect::<Result<_, _>>()?;
        Ok(Structure { tag, fields })
    }

    /// Nothing is set aside for a length that is only announced.
    fn list(&mut self, length: usize) -> Result<Value, Malformed> {
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(self.value()?);
        }
        Ok(values.into())
    }

    fn map(&mut self, length: usize) -> Result<Value, Malformed> {
        let mut map = Map::new();
        for _ in 0..length {
            let Value::String(name) = self.value()? else { return Err(Malformed) };
            map.insert(name, self.value()?);
        }
        Ok(map.into())
    }

    fn text(&mut self, length: usize) -> Result<String, Malformed> {
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| Malformed)
    }

    /// A length of 1, 2 or 4 bytes.
    fn wide(&mut self, width: u8) -> Result<usize, Malformed> {
        Ok(match width {
            0 => self.byte()?.into(),
            1 => u16::from_be_bytes(self.array()?).into(),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn there_and_back(value: &Value) -> Structure {
        read(&message(0x10, &[value])).unwrap()
    }

    #[test]
    fn values_are_written_as_the_description_says() {
        for (value, bytes) in [
            (json!(null), &b"\xc0"[..]),
            (json!(true), b"\xc3"),
            (json!(1), b"\x01"),
            (json!(-16), b"\xf0"),
            (json!(-17), b"\xc8\xef"),
            (json!(1234), b"\xc9\x04\xd2"),
            (json!(i64::MIN), b"\xcb\x80\0\0\0\0\0\0\0"),
            (json!(6.25), b"\xc1\x40\x19\0\0\0\0\0\0"),
            (json!("A"), b"\x81A"),
            (json!("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), b"\xd0\x1aABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            (json!([1, 2]), b"\x92\x01\x02"),
            (json!({"a": []}), b"\xa1\x81a\x90"),
        ] {
            let mut out = Vec::new();
            encode(&mut out, &value);
            assert_eq!(out, bytes, "{value}");
        }
    }

    #[test]
    fn what_is_cut_or_too_deep_is_refused() {
        let whole = message(0x70, &[&json!({"a": ["b", 1.5, 70_000, null], "c": "x".repeat(300)})]);
        assert!(read(&whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Err(Malformed), "{end}");
        }
        assert_eq!(read(&[&whole[..], b"\0"].concat()), Err(Malformed));
        let deep = [&b"\xb1\x70"[..], &[0x91; 1_000], b"\xc0"].concat();
        assert_eq!(read(&deep), Err(Malformed));
        assert_eq!(read(b"\xb1\x70\xd6\xff\xff\xff\xff"), Err(Malformed), "a list of four thousand million");
    }

    proptest! {
        #[test]
        fn bytes_from_anywhere_do_no_harm(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn integers_and_texts_come_back(integer: i64, text: String, float in -1e300..1e300_f64) {
            let value = json!({"integer": integer, "texts": vec![text; 20], "float": float});
            prop_assert_eq!(there_and_back(&value).fields, vec![value]);
        }
    }
}
