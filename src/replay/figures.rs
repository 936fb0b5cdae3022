//! What came of it.

use serde::Serialize;

/// Counts of one run. Bytes are bytes, times are milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Requests for layers.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Requests whose layer was here.
    pub hits: u64,
    /// Their bytes.
    pub hit_bytes: u64,
    /// Requests whose layer was on its way.
    pub late: u64,
    /// Bytes that clients waited for from the upstream.
    pub missed_bytes: u64,
    /// Layers that were prefetched.
    pub prefetched: u64,
    /// Their bytes.
    pub prefetched_bytes: u64,
    /// Prefetched layers that were asked for, on their way or here.
    pub used: u64,
    /// Their bytes.
    pub used_bytes: u64,
    /// Bytes of prefetched layers that left before anybody asked for them.
    pub wasted_bytes: u64,
    latencies: Vec<f32>,
}

/// Figures as they are told.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// Requests for layers.
    pub requests: u64,
    /// Share of them that were hits.
    pub object_hit_ratio: f64,
    /// The same by bytes.
    pub byte_hit_ratio: f64,
    /// Share of requests whose layer was on its way.
    pub late_ratio: f64,
    /// Bytes from the upstream, prefetches included.
    pub upstream_bytes: u64,
    /// Bytes of prefetches.
    pub prefetched_bytes: u64,
    /// Bytes of prefetches that were asked for.
    pub used_bytes: u64,
    /// Bytes of prefetches that left unused.
    pub wasted_bytes: u64,
    /// Median time until a layer was there.
    pub latency_p50_ms: f64,
    /// Of 95 in 100.
    pub latency_p95_ms: f64,
    /// Of 99 in 100.
    pub latency_p99_ms: f64,
    /// Mean.
    pub latency_mean_ms: f64,
}

impl Figures {
    pub(super) fn hit(&mut self, size: u64, prefetched: bool, latency: f64) {
        self.request(size, latency);
        self.hits += 1;
        self.hit_bytes += size;
        if prefetched {
            self.used += 1;
            self.used_bytes += size;
        }
    }

    pub(super) fn late(&mut self, size: u64, latency: f64) {
        self.request(size, latency);
        self.late += 1;
        self.used += 1;
        self.used_bytes += size;
    }

    pub(super) fn miss(&mut self, size: u64, latency: f64) {
        self.request(size, latency);
        self.missed_bytes += size;
    }

    pub(super) fn prefetch(&mut self, size: u64) {
        self.prefetched += 1;
        self.prefetched_bytes += size;
    }

    pub(super) fn waste(&mut self, size: u64) {
        self.wasted_bytes += size;
    }

    fn request(&mut self, size: u64, latency: f64) {
        self.requests += 1;
        self.bytes += size;
        self.latencies.push(latency as f32);
    }

    #[cfg(test)]
    pub(super) fn latencies(&self) -> usize {
        self.latencies.len()
    }

    /// As they are told.
    pub fn told(mut self) -> Told {
        self.latencies.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| {
            let place = (self.latencies.len() as f64 * share) as usize;
            self.latencies.get(place.min(self.latencies.len().saturating_sub(1))).map_or(0.0, |latency| f64::from(*latency))
        };
        let ratio = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let sum: f64 = self.latencies.iter().map(|latency| f64::from(*latency)).sum();
        Told {
            requests: self.requests,
            object_hit_ratio: ratio(self.hits, self.requests),
            byte_hit_ratio: ratio(self.hit_bytes, self.bytes),
            late_ratio: ratio(self.late, self.requests),
            upstream_bytes: self.missed_bytes + self.prefetched_bytes,
            prefetched_bytes: self.prefetched_bytes,
            used_bytes: self.used_bytes,
            wasted_bytes: self.wasted_bytes,
            latency_p50_ms: at(0.5),
            latency_p95_ms: at(0.95),
            latency_p99_ms: at(0.99),
            latency_mean_ms: sum / self.requests.max(1) as f64,
        }
    }
}
