//! Bearer tokens: kept until shortly before they expire, and fetched once however many ask.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use reqwest::{
    Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};
use url::{Url, form_urlencoded};

use super::{
    UpstreamError, UpstreamErrorKind,
    body::Incoming,
    client::{Client, place},
    credentials::{CredentialId, Credentials},
    operation::Operation,
    rate_limit::{Quiet, retry_after},
};
use crate::coalesce::Coalesce;

const MAX_ANSWER: usize = 64 << 10;
const MAX_TOKENS: usize = 4096;
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A token is renewed this long before it expires, or at nine tenths of a short life.
const MARGIN: Duration = Duration::from_secs(30);

/// All that a token depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    /// The token service.
    pub(super) realm: Url,
    /// The upstream's name there.
    pub(super) service: Option<String>,
    /// What it is good for.
    pub(super) scope: String,
    /// Whose it is.
    pub(super) credential: CredentialId,
}

/// A token, ready to be sent.
pub(super) struct Token {
    /// `Bearer …`, marked sensitive.
    pub(super) header: HeaderValue,
    renew_at: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("renew_at", &self.renew_at).finish_non_exhaustive()
    }
}

/// The tokens of one upstream.
#[derive(Debug)]
pub(super) struct Tokens {
    kept: Arc<Mutex<HashMap<TokenKey, Arc<Token>>>>,
    running: Coalesce<TokenKey, Result<Arc<Token>, UpstreamError>>,
    service: Arc<TokenService>,
}

#[derive(Debug)]
struct TokenService {
    client: Arc<Client>,
    quiet: Arc<Quiet>,
    patience: Duration,
}

impl Tokens {
    /// Tokens are fetched with `client` within `patience`, on `handle`.
    pub(super) fn new(client: Arc<Client>, quiet: Arc<Quiet>, patience: Duration, handle: Handle) -> Self {
        let service = Arc::new(TokenService { client, quiet, patience });
        Self { kept: Arc::default(), running: Coalesce::new(handle), service }
    }

    /// A token for `key`, which was made from `credentials`: a kept one, or a new one that everyone who asks meanwhile shares.
    ///
    /// # Errors
    /// `CredentialsRefused` and `NotFound` (hidden) when the service refuses, with and without credentials.
    pub(super) async fn get(&self, key: TokenKey, credentials: Option<Arc<Credentials>>) -> Result<Arc<Token>, UpstreamError> {
        if let Some(token) = self.kept.lock().get(&key)
            && token.renew_at > Instant::now()
        {
            return Ok(token.clone());
        }
        let (kept, service, wanted) = (self.kept.clone(), self.service.clone(), key.clone());
        let work = move || async move {
            let token = Arc::new(service.fetch(&wanted, credentials.as_deref()).await?);
            keep(&mut kept.lock(), wanted, &token);
            Ok(token)
        };
        let joined = self.running.run(key, work).await;
        joined.map_err(|error| UpstreamError::new(UpstreamErrorKind::Unavailable, "the token request failed").caused_by(error))?.0
    }

    /// Drops `token`, which was refused, unless it has been replaced already.
    pub(super) fn drop_refused(&self, key: &TokenKey, token: &Arc<Token>) {
        let mut kept = self.kept.lock();
        if kept.get(key).is_some_and(|current| Arc::ptr_eq(current, token)) {
            kept.remove(key);
        }
    }
}

/// Keeps a token; when there are too many, those that are due go first, then all.
fn keep(kept: &mut HashMap<TokenKey, Arc<Token>>, key: TokenKey, token: &Arc<Token>) {
    if kept.len() >= MAX_TOKENS {
        let now = Instant::now();
        kept.retain(|_, token| token.renew_at > now);
        if kept.len() >= MAX_TOKENS {
            kept.clear();
        }
    }
    kept.insert(key, token.clone());
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<SecretString>,
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Option<Value>,
}

impl TokenService {
    async fn fetch(&self, key: &TokenKey, credentials: Option<&Credentials>) -> Result<Token, UpstreamError> {
        let place = place(&key.realm);
        if let Some(left) = self.quiet.left(Operation::Token) {
            let text = format!("the token service {place} limits us");
            return Err(UpstreamError::new(UpstreamErrorKind::RateLimited, text).retry_after(Some(left)));
        }
        let late =
            |_| UpstreamError::new(UpstreamErrorKind::Timeout, format!("the token service {place} did not answer in time"));
        timeout(self.patience, self.exchange(key, credentials, &place)).await.map_err(late)?
    }

    async fn exchange(&self, key: &TokenKey, credentials: Option<&Credentials>, place: &str) -> Result<Token, UpstreamError> {
        let (method, url, headers, body) = request(key, credentials);
        let response = self.client.send(method, url, headers, body).await?;
        let received = Instant::now();
        if !response.status().is_success() {
            return Err(self.refusal(response.status(), response.headers(), credentials.is_some(), place));
        }
        self.quiet.answered(Operation::Token);
        let bytes = Incoming::new(response, place.to_owned(), self.patience).collect(MAX_ANSWER, "token").await?;
        let unusable =
            || UpstreamError::new(UpstreamErrorKind::BadAnswer, format!("the token service {place} sent no usable token"));
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| unusable())?;
        let filled = |token: &SecretString| !token.expose_secret().is_empty();
        let token = answer.token.filter(filled).or_else(|| answer.access_token.filter(filled)).ok_or_else(unusable)?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| unusable())?;
        header.set_sensitive(true);
        let lifetime = lifetime(answer.expires_in.as_ref());
        Ok(Token { header, renew_at: received + lifetime.mul_f64(0.9).max(lifetime.saturating_sub(MARGIN)) })
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, with_credentials: bool, place: &str) -> UpstreamError {
        let (kind, text) = match (status.as_u16(), with_credentials) {
            (429, _) => {
                let wait = self.quiet.limited(Operation::Token, retry_after(headers));
                let text = format!("the token service {place} limits us");
                return UpstreamError::new(UpstreamErrorKind::RateLimited, text).retry_after(Some(wait));
            }
            (400 | 401, true) => (UpstreamErrorKind::CredentialsRefused, "refuses the configured credentials"),
            (403, true) => (UpstreamErrorKind::Denied, "gives no access to the configured credentials"),
            (401 | 403, false) => {
                (UpstreamErrorKind::NotFound, "gives no anonymous token: what was asked for is not there or hidden")
            }
            (500.., _) => (UpstreamErrorKind::Unavailable, "fails"),
            _ => (UpstreamErrorKind::BadAnswer, "sent no token"),
        };
        UpstreamError::new(kind, format!("the token service {place} {text} (status {})", status.as_u16()))
    }
}

/// `GET realm?service=…&scope=…` with the password as Basic, or the OAuth2 exchange of an identity token.
fn request(key: &TokenKey, credentials: Option<&Credentials>) -> (Method, Url, HeaderMap, Option<String>) {
    let mut headers = HeaderMap::new();
    let mut url = key.realm.clone();
    url.set_fragment(None);
    if let Some(Credentials::IdentityToken(token)) = credentials {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("scope", &key.scope).append_pair("client_id", "harbinger");
        if let Some(service) = &key.service {
            form.append_pair("service", service);
        }
        form.append_pair("refresh_token", token.expose_secret());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        return (Method::POST, url, headers, Some(form.finish()));
    }
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = &key.service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", &key.scope);
        if let Some(Credentials::Password { username, .. }) = credentials {
            query.append_pair("account", username);
        }
    }
    if let Some(Credentials::Password { username, password }) = credentials {
        headers.insert(AUTHORIZATION, basic(username, password));
    }
    (Method::GET, url, headers, None)
}

/// `Basic …`, marked sensitive.
pub(super) fn basic(username: &str, password: &SecretString) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    // Base64 is always fit for a header.
    let mut header = HeaderValue::from_str(&format!("Basic {encoded}")).unwrap_or_else(|_| HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// How long a token lives: 60 s when it was not said or makes no sense, a day at most.
fn lifetime(said: Option<&Value>) -> Duration {
    let seconds = match said {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    match seconds {
        Some(seconds) if seconds >= 1.0 => Duration::from_secs_f64(seconds.min(LONGEST_LIFETIME.as_secs_f64())),
        _ => DEFAULT_LIFETIME,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> TokenKey {
        TokenKey {
            realm: "https://auth.example/token?kept=1#x".parse().unwrap(),
            service: Some("a service".to_owned()),
            scope: "repository:a/b:pull".to_owned(),
            credential: CredentialId::of(None),
        }
    }

    #[test]
    fn lifetimes_are_clamped() {
        for (said, seconds) in [
            (json!(300), 300),
            (json!("300"), 300),
            (json!(2), 2),
            (json!(0), 60),
            (json!(-1), 60),
            (json!("soon"), 60),
            (json!("NaN"), 60),
            (json!("inf"), 86400),
            (json!(null), 60),
            (json!([]), 60),
            (json!(1e300), 86400),
            (json!(u64::MAX), 86400),
        ] {
            assert_eq!(lifetime(Some(&said)).as_secs(), seconds, "{said}");
        }
        assert_eq!(lifetime(None).as_secs(), 60);
    }

    #[test]
    fn a_request_names_service_scope_and_account() {
        let (method, url, headers, body) = request(&key(), None);
        assert_eq!((method, body), (Method::GET, None));
        assert_eq!(url.as_str(), "https://auth.example/token?kept=1&service=a+service&scope=repository%3Aa%2Fb%3Apull");
        assert!(headers.is_empty());
        let credentials = Credentials::Password { username: "u&x".to_owned(), password: "p".to_owned().into() };
        let (_, url, headers, _) = request(&key(), Some(&credentials));
        assert!(url.as_str().ends_with("&account=u%26x"), "{url}");
        assert_eq!(headers[AUTHORIZATION], "Basic dSZ4OnA=");
        assert!(headers[AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn an_identity_token_is_exchanged_by_post_and_never_stands_in_the_url() {
        let (method, url, headers, body) = request(&key(), Some(&Credentials::IdentityToken("id&t".to_owned().into())));
        assert_eq!(method, Method::POST);
        assert_eq!(url.as_str(), "https://auth.example/token?kept=1");
        assert!(!headers.contains_key(AUTHORIZATION));
        let body = body.unwrap();
        assert!(body.contains("grant_type=refresh_token") && body.ends_with("refresh_token=id%26t"), "{body}");
    }

    #[test]
    fn keys_differ_in_every_part() {
        let other = |change: fn(&mut TokenKey)| {
            let mut other = key();
            change(&mut other);
            other
        };
        for changed in [
            other(|key| key.realm = "https://auth.example/other".parse().unwrap()),
            other(|key| key.service = None),
            other(|key| key.scope = "repository:a/c:pull".to_owned()),
            other(|key| key.credential = CredentialId::of(Some(&Credentials::IdentityToken("x".to_owned().into())))),
        ] {
            assert_ne!(changed, key());
        }
    }
}
