//! Asking a running server.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    client::conn::http1::handshake,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{api::GarbageReport, app::OperatorFile};

/// Why the server could not be asked.
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

/// Has the server that runs on a data folder collect garbage.
pub(super) async fn collect_garbage(data: &Path, grace: Option<Duration>, dry_run: bool) -> Result<GarbageReport, AskError> {
    let unreadable = |error| AskError::File(OperatorFile::path(data).display().to_string(), error);
    let operator = OperatorFile::read(data).map_err(unreadable)?;
    let address = operator.reachable();
    let stream = TcpStream::connect(address).await.map_err(|error| AskError::Unreachable(address, error))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = tokio::task::JoinSet::new();
    // A failure of the connection is seen by the request that is under way.
    driver.spawn(async { drop(connection.await) });
    let grace = grace.map(|grace| format!("&grace={}ms", grace.as_millis())).unwrap_or_default();
    let request = Request::post(format!("/api/v1/gc?dry_run={dry_run}{grace}"))
        .header(HOST, address.to_string())
        .header(AUTHORIZATION, format!("Bearer {}", operator.token))
        .body(Empty::<Bytes>::new());
    // Made of nothing but what can be in a request, unless somebody has written the file by hand.
    let request = request.map_err(|error| unreadable(std::io::Error::other(error)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        return Err(AskError::Refused(status, String::from_utf8_lossy(&body).into_owned()));
    }
    Ok(serde_json::from_slice(&body)?)
}
