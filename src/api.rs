//! HTTP: the way in and the way out for bytes. The only room that knows actix.
//!
//! `routes` is the route table; one file per group of endpoints answers; `error` is the one table from failures to status
//! codes; `transport` sends bodies.

mod access_log;
mod answer;
mod blobs;
mod conditional;
mod error;
mod exchange;
mod freshness;
mod health;
mod listener;
mod manifests;
mod path;
mod query;
mod referrers;
mod routes;
mod server;
mod tags;
mod transport;

pub use server::{Running, Settings, serve};

use std::sync::Arc;

use access_log::AccessLog;

use crate::{registry::Registry, telemetry::Metrics};

/// What every request needs.
struct Service {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    via: String,
    ready: Arc<dyn Fn() -> bool + Send + Sync>,
    access_log: Option<Arc<AccessLog>>,
}
