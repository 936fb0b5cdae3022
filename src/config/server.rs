//! `[server]`

use std::{net::SocketAddr, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// The listener, who it is, and what a client may take from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on. Needs a restart.
    pub listen: SocketAddr,
    /// Name of the region this edge stands in; part of every access-log line. Needs a restart.
    pub region: String,
    /// Request header that names the customer: who an upload belongs to, and whose requests are in the access log. Anyone can
    /// send it, so it grants nothing. Needs a restart.
    pub customer_header: String,
    /// Worker threads that serve clients; 0 is one per processor. Needs a restart.
    pub workers: usize,
    /// Connections held open at once, all workers together. Needs a restart.
    pub max_connections: usize,
    /// Longest time for a client to send a request head. Needs a restart.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Idle keep-alive connections are closed after this. Needs a restart.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// A client that sends no byte of its request's body for this long is cut off. Needs a restart.
    #[serde(with = "humantime_serde")]
    pub read_stall_timeout: Duration,
    /// A client that sends fewer bytes of a body per second than this, averaged over `read_stall_timeout`, is cut off; 0 allows
    /// any pace. Needs a restart.
    #[serde(serialize_with = "super::size::exact")]
    pub min_read_rate: ByteSize,
    /// A client that takes no byte of its answer for this long is cut off. Needs a restart.
    #[serde(with = "humantime_serde")]
    pub write_stall_timeout: Duration,
    /// A client that takes fewer bytes per second than this, averaged over `write_stall_timeout`, is cut off; 0 allows any
    /// pace. Needs a restart.
    #[serde(serialize_with = "super::size::exact")]
    pub min_write_rate: ByteSize,
    /// After a request to stop, answers under way may finish for this long.
    #[serde(with = "humantime_serde")]
    pub shutdown_grace: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5000)),
            region: "local".to_owned(),
            customer_header: "x-harbinger-customer".to_owned(),
            workers: 0,
            max_connections: 16_384,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            read_stall_timeout: Duration::from_secs(30),
            min_read_rate: ByteSize::b(1024),
            write_stall_timeout: Duration::from_secs(60),
            min_write_rate: ByteSize::b(1024),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}
