//! Reading a JSON object so that every reader sees the same one.
//!
//! Parsers differ on a key that stands twice (the first wins, the last wins) and on its case (Go matches `Layers`, and even
//! `layerſ`, with `layers`). Whoever checks a document and whoever runs it could thus see two different images
//! (CVE-2021-41190 and its kin), so a known key must stand once at most and in its exact spelling.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// The fields that are read of a kind of object.
pub(super) trait Fields: Default {
    /// What the object is, for messages.
    const EXPECTED: &'static str;
    /// The keys that must be unambiguous.
    const KEYS: &'static [&'static str];

    /// Reads the value of `key`, one of [`Self::KEYS`]. Called once per key at most.
    fn read_value<'de, A: MapAccess<'de>>(&mut self, key: &'static str, map: &mut A) -> Result<(), A::Error>;
}

/// An object as it was read, and whether it can be read in another way too.
#[derive(Debug)]
pub(super) struct Object<T> {
    /// What its known keys hold.
    pub(super) fields: T,
    /// The first key that two readers may read differently, in words.
    pub(super) ambiguous: Option<String>,
}

impl<'de, T: Fields> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<T>, A::Error> {
        let mut fields = T::default();
        let mut ambiguous = None;
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(&known) = T::KEYS.iter().find(|known| go_matches(&key, known)) else {
                map.next_value::<Skipped>()?;
                continue;
            };
            if key != known || seen.contains(&known) {
                let reason = if key == known {
                    format!("the key '{known}' stands twice")
                } else {
                    format!("the key '{key}' differs from '{known}' only in case")
                };
                ambiguous.get_or_insert(reason);
                map.next_value::<Skipped>()?;
                continue;
            }
            seen.push(known);
            fields.read_value(known, &mut map).map_err(|error| A::Error::custom(format_args!("{known}: {error}")))?;
        }
        Ok(Object { fields, ambiguous })
    }
}

/// Whether Go's `encoding/json` would take `key` for the ASCII key `known`: it folds case as Unicode does, and two characters
/// outside ASCII fold into it.
fn go_matches(key: &str, known: &str) -> bool {
    let fold = |character| match character {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(known.chars().map(fold))
}

/// A value that nobody looks at. Unlike `IgnoredAny` it must be valid to the last character: nesting stays limited, strings
/// are Unicode, numbers fit a double; and nothing is kept of it, however long it is.
pub(super) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Skipped {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
