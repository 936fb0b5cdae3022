//! Figures of several runs, side by side.

use serde::Serialize;

use crate::{
    cli::table::{
        Align::{Left, Right},
        Table, size,
    },
    replay::Told,
};

/// Runs in one region.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The region.
    pub(super) region: String,
    /// Bytes of all layers that are asked for there.
    pub(super) footprint: u64,
    /// The runs.
    pub(super) rows: Vec<Row>,
}

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) policy: String,
    pub(super) prefetch: String,
    /// Bytes that the cache could hold.
    pub(super) capacity: u64,
    #[serde(flatten)]
    pub(super) told: Told,
}

impl Report {
    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new([
            ("POLICY", Left),
            ("PREFETCH", Left),
            ("CAPACITY", Right),
            ("HITS", Right),
            ("BYTE HITS", Right),
            ("LATE", Right),
            ("UPSTREAM", Right),
            ("PREFETCHED", Right),
            ("USED", Right),
            ("MEAN MS", Right),
            ("P50 MS", Right),
            ("P99 MS", Right),
        ]);
        for Row { policy, prefetch, capacity, told } in &self.rows {
            let used = match told.prefetched_bytes {
                0 => "-".to_owned(),
                bytes => format!("{:.3}", told.used_bytes as f64 / bytes as f64),
            };
            table.push([
                policy.clone(),
                prefetch.clone(),
                size(*capacity),
                format!("{:.4}", told.object_hit_ratio),
                format!("{:.4}", told.byte_hit_ratio),
                format!("{:.4}", told.late_ratio),
                size(told.upstream_bytes),
                size(told.prefetched_bytes),
                used,
                format!("{:.1}", told.latency_mean_ms),
                format!("{:.1}", told.latency_p50_ms),
                format!("{:.1}", told.latency_p99_ms),
            ]);
        }
        let requests = self.rows.first().map_or(0, |row| row.told.requests);
        format!("{table}{requests} requests in {}, for {} of layers\n", self.region, size(self.footprint))
    }
}
