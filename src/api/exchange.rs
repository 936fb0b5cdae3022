//! One request and its answer, as they are counted and logged when the last byte has left.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    access_log::Line,
    demand::{Demanded, Outcome},
    transport::Receipt,
};
use crate::{
    customers::Customer,
    oci::Digest,
    telemetry::{CacheStatus, Metrics, OutcomeLabels, RequestLabels},
    upstream::{Destination, Requester},
};

/// Counts and logs itself when it is dropped.
pub(super) struct Exchange {
    pub(super) endpoint: &'static str,
    metrics: Arc<Metrics>,
    line: Option<Box<Line>>,
    demanded: Option<Box<Demanded>>,
    started: Instant,
    status: u16,
    cache: CacheStatus,
    digest: Option<Digest>,
    first_byte: Option<Duration>,
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
            demanded: None,
            started: Instant::now(),
            status: CLIENT_LEFT,
            cache: CacheStatus::None,
            digest: None,
            first_byte: None,
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

    /// It is to be told to whoever learns from requests.
    pub(super) fn note_demand(&mut self, demanded: Option<Box<Demanded>>) {
        self.demanded = demanded;
    }

    /// It has come by way of other servers.
    pub(super) fn note_requester(&mut self, requester: &Requester) {
        if let Some(demanded) = &mut self.demanded {
            demanded.note_requester(requester);
        }
    }

    /// The head of the answer is ready; it is about `digest`.
    pub(super) fn note_answer(&mut self, status: u16, cache: CacheStatus, digest: Option<Digest>, error: Option<String>) {
        (self.status, self.cache, self.digest) = (status, cache, digest);
        self.first_byte = Some(self.started.elapsed());
        if let Some(line) = &mut self.line {
            line.first_byte = self.first_byte;
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
        if let Some(demanded) = self.demanded.take() {
            demanded.tell(Outcome {
                status: self.status,
                cache: self.cache,
                digest: self.digest,
                sent: self.sent,
                first_byte: self.first_byte,
                total: self.started.elapsed(),
                complete: self.complete,
            });
        }
    }
}
