//! References: a tag or a digest.

use std::{fmt, str::FromStr, sync::Arc};

use super::{Digest, InvalidDigest};

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which registries without a referrers API list what refers to `subject`
    /// (distribution specification, "Referrers Tag Schema": the encoded part is cut at 64 characters).
    pub fn of_referrers(subject: &Digest) -> Self {
        let hex = subject.hex();
        Self(format!("{}-{}", subject.algorithm().as_str(), &hex[..64]).into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Tag {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let bytes = text.as_bytes();
        let well_formed = bytes.first().is_some_and(word)
            && bytes.len() <= 128
            && bytes.iter().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
        if well_formed { Ok(Self(text.into())) } else { Err(InvalidReference::Tag) }
    }
}

/// How a manifest is named: by a tag, which moves, or by its digest, which cannot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A tag.
    Tag(Tag),
    /// A digest.
    Digest(Digest),
}

impl Reference {
    /// The repository and what it names of a text such as `docker.io/library/nginx:1.27`, as clients read it: a digest counts more
    /// than a tag; without both, it is the tag `latest`.
    ///
    /// # Errors
    /// When the tag or the digest is none. The repository is not looked at.
    pub fn of_image(text: &str) -> Result<(&str, Self), InvalidReference> {
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let after = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) =
            name[after..].find(':').map_or((name, "latest"), |colon| (&name[..after + colon], &name[after + colon + 1..]));
        let reference = match digest {
            Some(digest) => Self::Digest(digest.parse()?),
            None => Self::Tag(tag.parse()?),
        };
        Ok((name, reference))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => fmt::Display::fmt(tag, f),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

/// The text is neither a tag nor a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Not a tag.
    #[error("a tag is 1 to 128 letters, digits, '_', '.' or '-', and starts with a letter, a digit or '_'")]
    Tag,
    /// It holds a `:` and is not a digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// A text with a `:` is a digest, well-formed or not; anything else is a tag.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for tag in ["latest", "_x", "1.27-alpine", "sha256-abc.sig", &"x".repeat(128)] {
            assert!(tag.parse::<Tag>().is_ok(), "{tag}");
        }
        for tag in ["", ".x", "-x", "a:b", "a@b", "a/b", "a%2fb", "a\nb", "a\0b", "é", "latest ", &"x".repeat(129)] {
            assert_eq!(tag.parse::<Tag>(), Err(InvalidReference::Tag), "{tag:?}");
        }
    }

    #[test]
    fn an_image_is_read_as_clients_read_it() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, name, reference) in [
            ("nginx", "nginx", "latest"),
            ("docker.io/library/nginx:1.27", "docker.io/library/nginx", "1.27"),
            ("registry.example:5000/a", "registry.example:5000/a", "latest"),
            (&*format!("a/b:c@{digest}"), "a/b", &*digest),
        ] {
            let (found, read) = Reference::of_image(text).unwrap();
            assert_eq!((found, read.to_string().as_str()), (name, reference), "{text}");
        }
        for text in ["a:", "a:b c", "a@sha256:1"] {
            assert!(Reference::of_image(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_colon_makes_it_a_digest() {
        assert!(matches!("sha256:abc".parse::<Reference>(), Err(InvalidReference::Digest(_))));
        assert!(matches!("sha256-abc".parse::<Reference>(), Ok(Reference::Tag(_))));
    }

    #[test]
    fn the_referrers_tag_is_cut_at_64_characters() {
        let digest = Digest::of(crate::oci::Algorithm::Sha512, b"x");
        assert_eq!(Tag::of_referrers(&digest).as_str(), format!("sha512-{}", &digest.hex()[..64]));
    }
}
