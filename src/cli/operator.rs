//! Asking a running server, as its operator.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::http1::handshake,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::app::OperatorFile;

/// Why the server could not be asked, or what it said against it.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("a server uses the data folder, but how to ask it cannot be read from {0}: {1}")]
    File(String, std::io::Error),
    #[error("the server on {0} cannot be reached: {1}")]
    Unreachable(std::net::SocketAddr, std::io::Error),
    #[error("the conversation with the server failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the server answered {0}: {1}")]
    Refused(hyper::StatusCode, String),
    #[error("the server's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Asks the server that runs on a data folder. `path` is a path of its API with the query, percent-encoded; the answer is
/// JSON. There is no limit on the time it takes; dropped, the server is not stopped in what it does.
///
/// # Errors
/// [`AskError`]
pub(super) async fn ask<T: DeserializeOwned>(data: &Path, method: Method, path: &str) -> Result<T, AskError> {
    tell(data, method, path, Bytes::new()).await
}

/// Asks as [`ask`] does, and sends a body.
///
/// # Errors
/// [`AskError`]
pub(super) async fn tell<T: DeserializeOwned>(data: &Path, method: Method, path: &str, body: Bytes) -> Result<T, AskError> {
    let answer = Answer::of(data, method, path, body).await?;
    let body = answer.response.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}

/// An answer that is read as it comes. Dropped, its connection is closed.
pub(super) struct Answer {
    response: Response<Incoming>,
    /// Lets the connection do its work.
    _driver: tokio::task::JoinSet<()>,
}

impl Answer {
    /// Asks as [`ask`] does, and waits for the head of the answer only.
    ///
    /// # Errors
    /// [`AskError`]
    pub(super) async fn of(data: &Path, method: Method, path: &str, body: Bytes) -> Result<Self, AskError> {
        let unreadable = |error| AskError::File(OperatorFile::path(data).display().to_string(), error);
        let operator = OperatorFile::read(data).map_err(unreadable)?;
        let address = operator.reachable();
        let stream = TcpStream::connect(address).await.map_err(|error| AskError::Unreachable(address, error))?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = tokio::task::JoinSet::new();
        // A failure of the connection is seen by the request that is under way.
        driver.spawn(async { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", operator.token))
            .body(Full::new(body));
        // Made of nothing but what can be in a request, unless somebody has written the file by hand.
        let request = request.map_err(|error| unreadable(std::io::Error::other(error)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.into_body().collect().await?.to_bytes();
            return Err(AskError::Refused(status, message(&body)));
        }
        Ok(Self { response, _driver: driver })
    }

    /// A number that a header tells.
    pub(super) fn number(&self, header: &str) -> Option<u64> {
        self.response.headers().get(header)?.to_str().ok()?.parse().ok()
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// When the connection breaks before the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, AskError> {
        while let Some(frame) = self.response.body_mut().frame().await {
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

/// What an error answer says to people; all of it, when it is not one of ours.
fn message(body: &[u8]) -> String {
    let said = serde_json::from_slice::<serde_json::Value>(body).ok();
    let message = said.as_ref().and_then(|said| said.pointer("/errors/0/message")).and_then(|message| message.as_str());
    message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn what_a_server_says_against_it_is_told_in_its_words() {
        assert_eq!(message(br#"{"errors":[{"code":"DENIED","message":"not \"you\""}]}"#), "not \"you\"");
        for other in ["", "<html>", r#"{"errors":[]}"#, r#"{"errors":[{"message":1}]}"#] {
            assert_eq!(message(other.as_bytes()), other);
        }
    }
}
