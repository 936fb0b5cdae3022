//! One request and its answer, as they are counted and logged when the last byte has left.

use std::{sync::Arc, time::Instant};

use super::{access_log::Line, transport::Receipt};
use crate::{
    customers::Customer,
    telemetry::{CacheStatus, Metrics, OutcomeLabels, RequestLabels},
    upstream::Destination,
};

/// Counts and logs itself when it is dropped.
pub(super) struct Exchange {
    pub(super) endpoint: &'static str,
    metrics: Arc<Metrics>,
    line: Option<Box<Line>>,
    started: Instant,
    status: u16,
    cache: CacheStatus,
    sent: u64,
    complete: bool,
}

/// The status of a request whose client left before there was an answer; never sent.
const CLIENT_LEFT: u16 = 499;

impl Exchange {
    pub(super) fn new(metrics: Arc<Metrics>, line: Option<Box<Line>>) -> Self {
        Self {
            endpoint: "unknown",
            metrics,
            line,
            started: Instant::now(),
            status: CLIENT_LEFT,
            cache: CacheStatus::None,
            sent: 0,
            complete: false,
        }
    }

    /// It is known what the request is about.
    pub(super) fn note_destination(&mut self, destination: &Destination, reference: &str) {
        if let Some(line) = &mut self.line {
            if let Destination::Proxied(target) = destination {
                line.upstream = Some(Arc::clone(&target.route.name));
            }
            line.repository = Some(destination.repository().clone());
            line.reference = super::access_log::cut(reference);
        }
    }

    /// It is known who asks, otherwise than by the header that names customers.
    pub(super) fn note_customer(&mut self, customer: &Customer) {
        if let Some(line) = &mut self.line {
            line.customer = customer.clone();
        }
    }

    /// The head of the answer is ready.
    pub(super) fn note_answer(&mut self, status: u16, cache: CacheStatus, error: Option<String>) {
        self.status = status;
        self.cache = cache;
        if let Some(line) = &mut self.line {
            line.first_byte = Some(self.started.elapsed());
            line.error = error;
        }
    }
}

impl Receipt for Exchange {
    fn settle(mut self: Box<Self>, sent: u64, complete: bool) {
        self.sent = sent;
        self.complete = complete;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let (outcome, detail) = (self.cache.outcome(), self.cache.detail());
        let labels = RequestLabels { endpoint: self.endpoint, status: self.status, outcome, detail };
        self.metrics.requests.get_or_create(&labels).inc();
        if self.sent > 0 {
            self.metrics.sent_bytes.get_or_create(&OutcomeLabels { outcome }).inc_by(self.sent);
        }
        if let Some(line) = self.line.take() {
            line.write(self.status, self.cache, self.sent, self.complete, self.started.elapsed());
        }
    }
}
