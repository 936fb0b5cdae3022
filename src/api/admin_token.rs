//! What shows that somebody is the operator.

use std::fmt;

use crate::oci::{Algorithm, Digest};

/// A secret that is made anew at each start.
#[derive(Clone)]
pub struct AdminToken(String);

impl AdminToken {
    /// Makes a token that cannot be guessed.
    pub fn new() -> Self {
        Self(format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()))
    }

    /// The token as it is sent.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this token. What is compared are hashes, so that the time it takes tells nothing of the token.
    pub fn matches(&self, given: &str) -> bool {
        let hash = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes());
        hash(given) == hash(&self.0)
    }
}

impl Default for AdminToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_matches() {
        let token = AdminToken::new();
        assert!(token.matches(token.secret()));
        assert!(!token.matches("") && !token.matches(&token.secret()[1..]) && !token.matches(AdminToken::new().secret()));
        assert!(!format!("{token:?}").contains(token.secret()));
    }
}
