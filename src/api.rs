//! HTTP: the way in and the way out for bytes. The only room that knows actix.
//!
//! `routes` is the route table; one file per group of endpoints answers; `error` is the one table from failures to status
//! codes; `transport` sends bodies.

mod access_log;
mod admin;
mod admin_token;
mod answer;
mod blobs;
mod cache;
mod conditional;
mod demand;
mod error;
mod exchange;
mod freshness;
mod graph;
mod health;
mod layers;
mod listener;
mod manifests;
mod notifications;
mod page;
mod path;
mod predictions;
mod purge;
mod query;
mod redirect;
mod referrers;
mod repositories;
mod request_body;
mod requester;
mod routes;
mod scrub;
mod server;
mod tags;
mod texts;
mod transport;
mod uploads;
mod warm;

pub use admin::{GarbageEntry, GarbageReport};
pub use admin_token::AdminToken;
pub use cache::{
    BlobDetails, BlobReport, BlobsReport, CacheReport, CustomerReport, HostedReport, ObjectReport, PlaceReport, TierReport,
};
pub use graph::{BadLine, ImportReport, Lacking, RECORDS, answer_at_rest};
pub use notifications::NotificationReport;
pub use purge::{PurgeEntry, PurgeReport};
pub use scrub::{DamageReport, ScrubReport, ScrubState};
pub use server::{Running, Settings, serve};
pub use warm::{WarmFailure, WarmReport};

use std::sync::Arc;

use access_log::AccessLog;
use actix_web::HttpRequest;
use demand::Demand;
use request_body::Patience;

use crate::{
    customers::Customer, graph::Graph, predict::Predictor, prefetch::Prefetch, registry::Registry, telemetry::Metrics,
    tiers::Tiers,
};

/// What every request needs.
struct Service {
    registry: Arc<Registry>,
    tiers: Arc<Tiers>,
    metrics: Arc<Metrics>,
    customer_header: String,
    patience: Patience,
    admin_token: AdminToken,
    via: String,
    ready: Arc<dyn Fn() -> bool + Send + Sync>,
    access_log: Option<Arc<AccessLog>>,
    graph: Option<Arc<Graph>>,
    prefetch: Arc<Prefetch>,
    predictor: Option<Arc<Predictor>>,
    graph_is_public: bool,
    surveys: Arc<graph::Surveys>,
    demand: Arc<Demand>,
    notifications: notifications::Notifications,
}

impl Service {
    /// Who asks: as the request says elsewhere, or as its header says.
    fn customer(&self, request: &HttpRequest, said: Option<&str>) -> Customer {
        let header = || request.headers().get(&self.customer_header).and_then(|value| value.to_str().ok());
        Customer::from_header(said.or_else(header))
    }
}
