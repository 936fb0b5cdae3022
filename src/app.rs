//! The composition root: the only place where concrete types meet. No logic.

use std::net::SocketAddr;

use crate::config::Config;

/// A running server.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
}

/// Why a server cannot start, or cannot take over a new configuration. The text names the cause and the cure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl App {
    /// Starts a server on the current tokio runtime, which must be multi-threaded and outlive it.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let _ = config;
        unimplemented!()
    }

    /// The address it listens on; with port 0 in the configuration, the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes over whatever of a new configuration can change while running: all of it or, on an error, nothing.
    /// Returns the keys that changed but need a restart.
    pub fn reload(&self, config: Config) -> Result<Vec<String>, StartError> {
        let _ = config;
        unimplemented!()
    }

    /// Stops accepting, lets answers under way finish within the grace time, flushes and closes.
    pub async fn stop(self) {}
}
