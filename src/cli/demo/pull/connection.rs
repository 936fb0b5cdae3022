//! One HTTP connection of the pull client.

use std::{fmt::Display, io, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header::{ACCEPT, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use indicatif::ProgressBar;
use tokio::{net::TcpStream, task::JoinSet};

use crate::oci::{Digest, MAX_MANIFEST_BYTES, MediaType};

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum PullError {
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("'{path}' was answered with {status}: {text}")]
    Status { path: String, status: StatusCode, text: String },
    #[error("'{path}' has the digest {found}")]
    Digest { path: String, found: Digest },
    #[error("'{path}' has {found} bytes, not {expected}")]
    Size { path: String, expected: u64, found: u64 },
    #[error("a manifest cannot be read: {0}")]
    Manifest(String),
}

impl PullError {
    pub(super) fn manifest(why: impl Display) -> Self {
        Self::Manifest(why.to_string())
    }
}

/// An open connection; dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    host: String,
    /// Moves the bytes of this connection.
    _driver: JoinSet<()>,
}

impl Connection {
    pub(super) async fn open(to: SocketAddr) -> Result<Self, PullError> {
        let stream = TcpStream::connect(to).await.map_err(|error| PullError::Connect(to, error))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // A failure of the connection is seen by the request that is under way.
        driver.spawn(async { drop(connection.await) });
        Ok(Self { sender, host: to.to_string(), _driver: driver })
    }

    /// Fetches a manifest or index by tag or digest; it must have the digest `expected`.
    pub(super) async fn manifest(&mut self, repository: &str, reference: &str, expected: Digest) -> Result<Bytes, PullError> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let response = self.get(&path).await?;
        let bytes = bounded(response).await?;
        let found = Digest::of(expected.algorithm(), &bytes);
        if found == expected { Ok(bytes) } else { Err(PullError::Digest { path, found }) }
    }

    /// Fetches a blob, hashes it while it comes, and keeps nothing of it.
    pub(super) async fn blob(
        &mut self,
        repository: &str,
        expected: Digest,
        size: u64,
        progress: &ProgressBar,
    ) -> Result<(), PullError> {
        let path = format!("/v2/{repository}/blobs/{expected}");
        let mut body = self.get(&path).await?.into_body();
        let mut hasher = expected.algorithm().hasher();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame?.into_data() {
                hasher.update(&piece);
                length += piece.len() as u64;
                progress.inc(piece.len() as u64);
            }
        }
        if length != size {
            return Err(PullError::Size { path, expected: size, found: length });
        }
        let found = hasher.finish();
        if found == expected { Ok(()) } else { Err(PullError::Digest { path, found }) }
    }

    async fn get(&mut self, path: &str) -> Result<Response<Incoming>, PullError> {
        self.sender.ready().await?;
        let request = Request::get(format!("{path}?ns={}", super::super::REGISTRY))
            .header(HOST, &self.host)
            .header(USER_AGENT, concat!("harbinger-demo/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, MediaType::ACCEPT_MANIFESTS)
            .body(Empty::new())
            .map_err(PullError::manifest)?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let text = bounded(response).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).chars().take(300).collect();
        Err(PullError::Status { path: path.to_owned(), status, text })
    }
}

/// A body of the size of a manifest at most.
async fn bounded(response: Response<Incoming>) -> Result<Bytes, PullError> {
    match Limited::new(response.into_body(), MAX_MANIFEST_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(PullError::manifest("it is longer than a manifest may be")),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(PullError::Http(*error)),
            Err(error) => Err(PullError::manifest(error)),
        },
    }
}
