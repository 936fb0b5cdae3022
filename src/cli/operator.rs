//! Asking a running server, as its operator.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Method, Request,
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
        .body(Empty::<Bytes>::new());
    // Made of nothing but what can be in a request, unless somebody has written the file by hand.
    let request = request.map_err(|error| unreadable(std::io::Error::other(error)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        return Err(AskError::Refused(status, message(&body)));
    }
    Ok(serde_json::from_slice(&body)?)
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
