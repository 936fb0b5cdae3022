//! The tiers' occupancy as metrics.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};

use super::{Tiers, Usage};

/// Tells what each tier holds whenever metrics are read.
#[derive(Debug)]
pub struct UsageCollector(Arc<Tiers>);

type Figure = fn(&Usage) -> u64;

impl Tiers {
    /// These tiers as a source of metrics.
    pub fn collector(self: Arc<Self>) -> UsageCollector {
        UsageCollector(self)
    }
}

impl Collector for UsageCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let usage = self.0.usage();
        let figures: [(&str, &str, Figure); 3] = [
            ("tier_bytes", "Bytes held by a tier", |usage| usage.bytes),
            ("tier_entries", "Contents held by a tier", |usage| usage.entries),
            ("tier_limit_bytes", "Most bytes that a tier may hold", |usage| usage.limit),
        ];
        for (name, help, figure) in figures {
            let kind = prometheus_client::metrics::MetricType::Gauge;
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (tier, usage) in &usage {
                let gauge = ConstGauge::new(figure(usage));
                gauge.encode(family.encode_family(&[("tier", tier.as_str())])?)?;
            }
        }
        Ok(())
    }
}
