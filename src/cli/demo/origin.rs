//! The registry that the demonstration pulls from: an HTTP server on loopback, behind an emulated long-distance line. Several of
//! them with the same images are one registry at the ends of several lines.

mod answer;
mod line;
mod traffic;

pub(super) use line::Line;
pub(super) use traffic::{Seen, Traffic};

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::images::Images;

/// A running origin. Dropping it stops it too, a little later.
#[derive(Debug)]
pub(super) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    images: Arc<Images>,
    line: Line,
    traffic: Traffic,
}

impl Origin {
    /// Starts serving `images` on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be had.
    pub(super) async fn start(images: Arc<Images>, line: Line) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { images, line, traffic: Traffic::default() });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has reached it.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// Dies: cuts every connection and closes the port. A second call changes nothing.
    pub(super) async fn stop(&mut self) {
        self.accepting.shutdown().await;
    }
}

/// Owns all connections, so that they end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                // Out of descriptors, most likely: it passes when a connection ends.
                Err(_) => sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without it, small answers would wait for acknowledgements: a delay that nobody asked for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer::answer(shared, request).await) }
    });
    // A client that goes away in the middle is its own affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
