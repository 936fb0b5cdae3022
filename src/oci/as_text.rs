//! Value types in JSON: the text that they are written as everywhere else.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use super::{Digest, MediaType, RepositoryName, Tag};

/// Reads a text, without a copy of it.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    )*};
}

as_text!(Digest, MediaType, RepositoryName, Tag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_wrong_ones_are_refused() {
        let tag: Tag = serde_json::from_str("\"1.27\"").unwrap();
        assert_eq!(serde_json::to_string(&tag).unwrap(), "\"1.27\"");
        assert!(serde_json::from_str::<Tag>("\"a b\"").unwrap_err().to_string().starts_with("a tag is"));
        assert!(serde_json::from_str::<RepositoryName>("7").unwrap_err().to_string().contains("a text"));
        let digest = format!("\"sha256:{}\"", "ab".repeat(32));
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Digest>(&digest).unwrap()).unwrap(), digest);
    }
}
