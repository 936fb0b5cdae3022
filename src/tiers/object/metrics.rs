//! What the object tier counts.

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};

use crate::telemetry::{Metrics, OutcomeLabels};

/// The object tier's counters and gauges.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    lookups: Family<OutcomeLabels, Counter>,
    uploads: Family<OutcomeLabels, Counter>,
    records: Family<OutcomeLabels, Counter>,
    pub(super) read_bytes: Counter,
    pub(super) upload_bytes: Counter,
    pub(super) distrusted: Counter,
    pub(super) queue_entries: Gauge,
    pub(super) queue_bytes: Gauge,
    pub(super) breaker_open: Gauge,
}

impl Figures {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let figures = Self::default();
        metrics.register(|registry| {
            let names = [
                ("object_lookups", "Questions to the bucket, by outcome", &figures.lookups),
                ("object_uploads", "Contents for the bucket, by outcome", &figures.uploads),
                ("object_records", "Records for the bucket, by outcome", &figures.records),
            ];
            for (name, help, family) in names {
                registry.register(name, help, family.clone());
            }
            registry.register("object_read_bytes", "Bytes read from the bucket", figures.read_bytes.clone());
            registry.register("object_upload_bytes", "Bytes of contents sent to the bucket", figures.upload_bytes.clone());
            registry.register("object_distrusted", "Contents of the bucket that were wrong", figures.distrusted.clone());
            registry.register("object_queue_entries", "Contents that wait for their upload", figures.queue_entries.clone());
            registry.register("object_queue_bytes", "Bytes that wait for their upload", figures.queue_bytes.clone());
            registry.register("object_breaker_open", "Whether the bucket is left alone", figures.breaker_open.clone());
        });
        figures
    }

    /// `hit`, `absent`, `failed`, or `skipped`: the bucket was not asked.
    pub(super) fn looked_up(&self, outcome: &'static str) {
        self.lookups.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// `stored`, `present` before, `failed` and tried again, `wrong` bytes, or `dropped`.
    pub(super) fn uploaded(&self, outcome: &'static str) {
        self.uploads.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// `stored`, `superseded` by a newer one, `failed` and tried again, or `dropped`.
    pub(super) fn recorded(&self, outcome: &'static str) {
        self.records.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    #[cfg(test)]
    pub(super) fn uploads(&self, outcome: &'static str) -> u64 {
        self.uploads.get_or_create(&OutcomeLabels { outcome }).get()
    }

    #[cfg(test)]
    pub(super) fn lookups(&self, outcome: &'static str) -> u64 {
        self.lookups.get_or_create(&OutcomeLabels { outcome }).get()
    }

    #[cfg(test)]
    pub(super) fn records(&self, outcome: &'static str) -> u64 {
        self.records.get_or_create(&OutcomeLabels { outcome }).get()
    }
}
