//! Who may read: challenges, tokens and the token service.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{Request, reply::Reply};

/// What is asked of a client before it may read.
#[derive(Debug, Default)]
pub(super) enum Gatekeeper {
    /// Nothing.
    #[default]
    Nobody,
    /// A user name and password with every request.
    Basic { expected: String },
    /// A token of the token service.
    Bearer { realm: String, valid: HashSet<String>, issued: usize, expires_in: Option<u64> },
}

impl Gatekeeper {
    pub(super) fn basic(user: &str, password: &str) -> Self {
        Self::Basic { expected: format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))) }
    }

    /// The answer for those who may not pass, or for those who ask for a token.
    pub(super) fn stops(&mut self, request: &Request) -> Option<Reply> {
        let presented = request.header("authorization").unwrap_or_default();
        match self {
            Self::Nobody => None,
            Self::Basic { expected } => (presented != expected).then(|| challenge(r#"Basic realm="fake""#.to_owned())),
            Self::Bearer { valid, issued, expires_in, .. } if request.path == "/token" => {
                *issued += 1;
                let token = format!("token-{issued}");
                valid.insert(token.clone());
                let answer = match expires_in {
                    Some(seconds) => json!({ "token": token, "expires_in": seconds }),
                    None => json!({ "token": token }),
                };
                Some(Reply::new(200, answer.to_string()).with("Content-Type", "application/json"))
            }
            Self::Bearer { realm, valid, .. } => {
                let known = presented.strip_prefix("Bearer ").is_some_and(|token| valid.contains(token));
                (request.path.starts_with("/v2/") && !known).then(|| {
                    let scope = scope(&request.path);
                    challenge(format!(r#"Bearer realm="{realm}",service="fake",scope="{scope}""#))
                })
            }
        }
    }

    pub(super) fn revoke(&mut self) {
        if let Self::Bearer { valid, .. } = self {
            valid.clear();
        }
    }
}

fn challenge(challenge: String) -> Reply {
    Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
        .with("WWW-Authenticate", challenge)
        .with("Content-Type", "application/json")
}

/// `repository:NAME:pull` for a path below `/v2/`.
fn scope(path: &str) -> String {
    let path = path.trim_start_matches("/v2/");
    let name = path.rsplitn(3, '/').nth(2).unwrap_or_default();
    format!("repository:{name}:pull")
}
