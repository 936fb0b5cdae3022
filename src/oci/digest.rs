//! Content digests: `sha256:…` and `sha512:…`.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256, Sha512};

/// A digest algorithm that Harbinger can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 32 bytes: what nearly every registry uses.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// The algorithm's registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the raw digest in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Starts hashing.
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }
}

/// A well-formed digest of a supported algorithm: the name of a content, safe in paths, URLs and keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// The raw digest; bytes past `algorithm.digest_len()` are zero.
    bytes: [u8; 64],
}

impl Digest {
    /// Hashes `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = algorithm.hasher();
        hasher.update(content);
        hasher.finish()
    }

    /// The digest's algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw digest: 32 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.digest_len()]
    }

    /// Builds a digest from its raw bytes; `None` when the length does not suit the algorithm.
    pub fn from_bytes(algorithm: Algorithm, raw: &[u8]) -> Option<Self> {
        if raw.len() != algorithm.digest_len() {
            return None;
        }
        let mut bytes = [0; 64];
        bytes[..raw.len()].copy_from_slice(raw);
        Some(Self { algorithm, bytes })
    }

    /// The encoded part: lower-case hexadecimal.
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(2 * self.algorithm.digest_len());
        for byte in self.as_bytes() {
            hex.push(char::from(HEX[usize::from(byte >> 4)]));
            hex.push(char::from(HEX[usize::from(byte & 15)]));
        }
        hex
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a digest that Harbinger can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// There is no `:` between algorithm and value.
    #[error("a digest has the form algorithm:value")]
    NoSeparator,
    /// The algorithm is neither `sha256` nor `sha512`.
    #[error("the digest algorithm is not supported; use sha256 or sha512")]
    UnsupportedAlgorithm,
    /// The value has the wrong length or holds something else than lower-case hexadecimal.
    #[error("the digest value is not {} lower-case hexadecimal characters", 2 * .0.digest_len())]
    Value(Algorithm),
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(name: &str) -> Result<Self, InvalidDigest> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(InvalidDigest::UnsupportedAlgorithm),
        }
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, value) = text.split_once(':').ok_or(InvalidDigest::NoSeparator)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let value = value.as_bytes();
        if value.len() != 2 * algorithm.digest_len() {
            return Err(InvalidDigest::Value(algorithm));
        }
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(value.chunks_exact(2)) {
            let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
                return Err(InvalidDigest::Value(algorithm));
            };
            *byte = high << 4 | low;
        }
        Ok(Self { algorithm, bytes })
    }
}

/// Upper-case digits are refused: the specification allows one spelling only.
const fn nibble(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// A running hash. Cloning it forks the state, so that a stream can be continued from the same point more than once.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// SHA-256 state.
    Sha256(Sha256),
    /// SHA-512 state.
    Sha512(Sha512),
}

impl Hasher {
    /// Adds `content`.
    pub fn update(&mut self, content: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(content),
            Self::Sha512(hasher) => hasher.update(content),
        }
    }

    /// Ends the hash.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 64];
        let algorithm = match self {
            Self::Sha256(hasher) => {
                bytes[..32].copy_from_slice(&hasher.finalize());
                Algorithm::Sha256
            }
            Self::Sha512(hasher) => {
                bytes.copy_from_slice(&hasher.finalize());
                Algorithm::Sha512
            }
        };
        Digest { algorithm, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_survives_parsing_and_printing() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest, Digest::of(Algorithm::Sha256, b""));
        let long = Digest::of(Algorithm::Sha512, b"x");
        assert_eq!(long.to_string().parse(), Ok(long));
        assert_eq!(Digest::from_bytes(Algorithm::Sha512, long.as_bytes()), Some(long));
        assert_eq!(Digest::from_bytes(Algorithm::Sha256, long.as_bytes()), None);
    }

    #[test]
    fn malformed_digests_are_refused_with_the_reason() {
        let hex = &EMPTY[7..];
        for (text, error) in [
            (String::new(), InvalidDigest::NoSeparator),
            (hex.to_owned(), InvalidDigest::NoSeparator),
            ("sha256:".to_owned(), InvalidDigest::Value(Algorithm::Sha256)),
            (format!("sha256:{}", &hex[1..]), InvalidDigest::Value(Algorithm::Sha256)),
            (format!("sha256:{hex}0"), InvalidDigest::Value(Algorithm::Sha256)),
            (format!("sha256:{}", hex.to_uppercase()), InvalidDigest::Value(Algorithm::Sha256)),
            (format!("sha256:{}", "g".repeat(64)), InvalidDigest::Value(Algorithm::Sha256)),
            (format!("sha256: {}", &hex[1..]), InvalidDigest::Value(Algorithm::Sha256)),
            ("sha256:../../../etc/passwd".to_owned(), InvalidDigest::Value(Algorithm::Sha256)),
            (format!("sha512:{hex}"), InvalidDigest::Value(Algorithm::Sha512)),
            (format!("SHA256:{hex}"), InvalidDigest::UnsupportedAlgorithm),
            (format!("md5:{}", &hex[..32]), InvalidDigest::UnsupportedAlgorithm),
            (format!("blake3:{hex}"), InvalidDigest::UnsupportedAlgorithm),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_forked_hash_continues_on_its_own() {
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(b"ab");
        let mut fork = hasher.clone();
        hasher.update(b"c");
        fork.update(b"d");
        assert_eq!(hasher.finish(), Digest::of(Algorithm::Sha256, b"abc"));
        assert_eq!(fork.finish(), Digest::of(Algorithm::Sha256, b"abd"));
    }
}
