//! Repository names.

use std::{fmt, str::FromStr, sync::Arc};

/// A repository name that follows the grammar of the distribution specification, without any registry host.
///
/// Cheap to clone. At most [`RepositoryName::MAX_LEN`] characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// Longest accepted name. Many clients cap host and name together at this length.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text is not a repository name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a repository name is made of lower-case letters and digits, separated inside a component by one '.', one or two '_' \
     or any number of '-', with '/' between components, 255 characters at most"
)]
pub struct InvalidName;

impl FromStr for RepositoryName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() > Self::MAX_LEN || !text.split('/').all(is_component) {
            return Err(InvalidName);
        }
        Ok(Self(text.into()))
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !is_alphanumeric(first) || !is_alphanumeric(last) {
        return false;
    }
    bytes
        .split(|&byte| is_alphanumeric(byte))
        .all(|separator| matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names() {
        for name in ["a", "a/b", "library/nginx", "a--b/c__d/e.f", "foo/blobs/uploads", "con", "0", "a---b", &"a".repeat(255)] {
            assert_eq!(name.parse::<RepositoryName>().map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn illegal_names() {
        for name in [
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            "A/b",
            "a b",
            "a%20b",
            "a..b",
            "a.-b",
            "a___b",
            "-a",
            "a-",
            ".a",
            "_a",
            "a/../b",
            "a/./b",
            "a\\b",
            "é/b",
            "a\0b",
            "a:b",
            "..data",
            "lost+found",
            &"a".repeat(256),
        ] {
            assert_eq!(name.parse::<RepositoryName>(), Err(InvalidName), "{name:?}");
        }
    }
}
