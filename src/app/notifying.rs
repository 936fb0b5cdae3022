//! Telling other edges.

use tokio::runtime::Handle;

use super::StartError;
use crate::{
    config::Config,
    events::{Bus, InProcess},
    registry::{Courier, CourierMetrics, Recipient},
    telemetry::Metrics,
    upstream::Post,
};

/// Events that wait for each of them at most.
const QUEUE: usize = 16_384;

/// Begins to tell all edges that are configured.
pub(super) fn start(config: &Config, bus: &InProcess, metrics: &Metrics) -> Result<Vec<Courier>, StartError> {
    if config.notify.is_empty() {
        return Ok(Vec::new());
    }
    let post = Post::new().map_err(|error| StartError(format!("notify: {error}")))?;
    let metrics = CourierMetrics::register(metrics);
    let start = |notify: &crate::config::Notify| {
        let (url, secret, region) = (notify.url.clone(), notify.secret.clone(), config.server.region.clone());
        let events = bus.subscribe("notify", QUEUE);
        Courier::start(&Handle::current(), Recipient { url, secret, region }, events, post.clone(), metrics.clone())
    };
    Ok(config.notify.iter().map(start).collect())
}
