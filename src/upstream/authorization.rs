//! How requests to one upstream are authorized: what it asked for last time, and what to do when it refuses.

use std::sync::Arc;

use parking_lot::RwLock;
use reqwest::header::{HeaderMap, HeaderValue};

use super::{
    UpstreamError, UpstreamErrorKind,
    challenge::Challenge,
    credentials::{CredentialId, CredentialSource, Credentials},
    realms::Realms,
    scope::Scope,
    tokens::{Token, TokenKey, Tokens, basic},
};

/// Proves to one upstream that we may read.
#[derive(Debug)]
pub(super) struct Authorization {
    realms: Realms,
    credentials: CredentialSource,
    tokens: Tokens,
    /// What the upstream asked for last, so that later requests need no 401 first.
    known: RwLock<Option<Challenge>>,
}

/// What goes into an `Authorization` header.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    Basic { header: HeaderValue, credential: CredentialId },
    Token { key: TokenKey, token: Arc<Token> },
}

impl Proof {
    /// The header's value, marked sensitive.
    pub(super) fn header(&self) -> HeaderValue {
        match self {
            Self::Basic { header, .. } => header.clone(),
            Self::Token { token, .. } => token.header.clone(),
        }
    }
}

impl Authorization {
    pub(super) fn new(realms: Realms, credentials: CredentialSource, tokens: Tokens) -> Self {
        Self { realms, credentials, tokens, known: RwLock::default() }
    }

    /// The proof to send without being asked; `None` as long as the upstream never asked for one.
    pub(super) async fn known(&self, scope: Scope<'_>) -> Result<Option<Proof>, UpstreamError> {
        let known = self.known.read().clone();
        match known {
            // What is open to everyone can still be had without a password.
            Some(Challenge::Basic) if self.credentials.get(scope.repository()).await?.is_none() => Ok(None),
            Some(challenge) => self.meet(&challenge, scope).await.map(Some),
            None => Ok(None),
        }
    }

    /// The proof to send after a 401 that came although `sent` was sent. It is another one than `sent`.
    ///
    /// # Errors
    /// `Forbidden` when the challenge names a token service that nobody vouched for; `CredentialsRefused` when there is no
    /// other proof.
    pub(super) async fn renew(
        &self,
        headers: &HeaderMap,
        scope: Scope<'_>,
        sent: Option<&Proof>,
    ) -> Result<Proof, UpstreamError> {
        match sent {
            Some(Proof::Token { key, token }) => self.tokens.drop_refused(key, token),
            Some(Proof::Basic { .. }) => self.credentials.forget(),
            None => {}
        }
        let challenge = Challenge::choose(headers)?;
        let proof = self.meet(&challenge, scope).await?;
        if let (Some(Proof::Basic { credential: old, .. }), Proof::Basic { credential: new, .. }) = (sent, &proof)
            && old == new
        {
            return Err(refused());
        }
        *self.known.write() = Some(challenge);
        Ok(proof)
    }

    /// What a 401 means that came although `sent` was new.
    pub(super) fn refusal(&self, sent: &Proof) -> UpstreamError {
        match sent {
            Proof::Basic { .. } => {
                self.credentials.forget();
                refused()
            }
            Proof::Token { key, token } => {
                self.tokens.drop_refused(key, token);
                let text =
                    "the upstream answers 401 although a token was issued: there is no such thing, or it is hidden from us";
                UpstreamError::new(UpstreamErrorKind::NotFound, text)
            }
        }
    }

    async fn meet(&self, challenge: &Challenge, scope: Scope<'_>) -> Result<Proof, UpstreamError> {
        let Challenge::Bearer { realm, service } = challenge else {
            return self.basic(scope).await;
        };
        self.realms.check(realm)?;
        let credentials = self.credentials.get(scope.repository()).await?;
        let key = |credentials: Option<&Credentials>| TokenKey {
            realm: realm.clone(),
            service: service.clone(),
            scope: scope.to_string(),
            credential: CredentialId::of(credentials),
        };
        let first = key(credentials.as_deref());
        let issued = self.tokens.get(first.clone(), credentials).await;
        if !issued.as_ref().is_err_and(|error| error.kind == UpstreamErrorKind::CredentialsRefused) {
            return issued.map(|token| Proof::Token { key: first, token });
        }
        // They may have been changed since they were read; the same ones are not sent a second time.
        self.credentials.forget();
        let credentials = self.credentials.get(scope.repository()).await?;
        let second = key(credentials.as_deref());
        let issued = if second == first { issued } else { self.tokens.get(second.clone(), credentials).await };
        issued.map(|token| Proof::Token { key: second, token })
    }

    async fn basic(&self, scope: Scope<'_>) -> Result<Proof, UpstreamError> {
        let credentials = self.credentials.get(scope.repository()).await?;
        let credential = CredentialId::of(credentials.as_deref());
        match credentials.as_deref() {
            Some(Credentials::Password { username, password }) => {
                Ok(Proof::Basic { header: basic(username, password), credential })
            }
            Some(Credentials::IdentityToken(_)) => Err(UpstreamError::new(
                UpstreamErrorKind::CredentialsRefused,
                "the upstream asks for a password, but there is only an identity token for it",
            )),
            None => Err(UpstreamError::new(
                UpstreamErrorKind::CredentialsRefused,
                "the upstream asks for a password, but no credentials are configured for it",
            )),
        }
    }
}

fn refused() -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::CredentialsRefused, "the upstream refuses the configured credentials")
}
