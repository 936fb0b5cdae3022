//! Sending JSON to somebody who listens.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::client::{failure, place};

/// The longest that an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Post(reqwest::Client);

/// What was sent was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct NotTaken {
    /// Whether it would be refused again.
    pub is_final: bool,
    text: String,
}

impl Post {
    /// Can send.
    ///
    /// # Errors
    /// When the system's certificates cannot be used.
    pub fn new() -> Result<Self, NotTaken> {
        // Who follows a redirect shows the secret to somebody else.
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
        client.map(Self).map_err(|error| NotTaken { is_final: true, text: error.to_string() })
    }

    /// Sends `body` to `url`, showing `secret`.
    ///
    /// # Errors
    /// When nobody answers within ten seconds, or the answer is anything but yes. The text repeats no secret and no path.
    pub async fn send(&self, url: &Url, media_type: &str, secret: Option<&SecretString>, body: Vec<u8>) -> Result<(), NotTaken> {
        let place = place(url);
        let mut request = self.0.post(url.clone()).header(CONTENT_TYPE, media_type).body(body);
        if let Some(secret) = secret {
            request = request.header(AUTHORIZATION, format!("Bearer {}", secret.expose_secret()));
        }
        let answer = request.send().await;
        let status = answer.map_err(|error| NotTaken { is_final: false, text: failure(error, &place).to_string() })?.status();
        if status.is_success() {
            return Ok(());
        }
        let is_final = status.is_client_error() && !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        Err(NotTaken { is_final, text: format!("{place} answered {status}") })
    }
}
