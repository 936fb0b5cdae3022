//! The tiers' occupancy as metrics.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::{Holding, Tiers, Usage};

/// Tells what each tier holds whenever metrics are read.
#[derive(Debug)]
pub struct UsageCollector(Arc<Tiers>);

type Figure = fn(&Usage) -> u64;
type HoldingFigure = fn(&Holding) -> u64;

impl Tiers {
    /// These tiers as a source of metrics.
    pub fn collector(self: Arc<Self>) -> UsageCollector {
        UsageCollector(self)
    }
}

impl Collector for UsageCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let usage = self.0.usage();
        let figures: [(&str, &str, Figure); 3] = [
            ("tier_bytes", "Bytes held by a tier", |usage| usage.bytes),
            ("tier_entries", "Contents held by a tier", |usage| usage.entries),
            ("tier_limit_bytes", "Most bytes that a tier may hold", |usage| usage.limit),
        ];
        for (name, help, figure) in figures {
            let rows = usage.iter().map(|(tier, usage)| ([("tier", &**tier)], figure(usage)));
            gauges(&mut encoder, name, help, rows)?;
        }
        self.encode_customers(&mut encoder)?;
        let quarantined = self.0.disks().iter().map(|disk| ([("tier", &**disk.label())], disk.quarantined()));
        gauges(&mut encoder, "tier_quarantined_files", "Damaged files that are kept aside", quarantined)?;
        let (entries, bytes) = self.0.hosted().usage();
        gauge(&mut encoder, "hosted_bytes", "Bytes of what was pushed, as files", bytes)?;
        gauge(&mut encoder, "hosted_entries", "Contents that were pushed, as files", entries)
    }
}

impl UsageCollector {
    fn encode_customers(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let holdings: Vec<_> = self.0.disks().iter().map(|disk| (disk.label(), disk.holdings())).collect();
        let figures: [(&str, &str, HoldingFigure); 2] = [
            ("tier_customer_bytes", "Bytes held by a tier, by who wanted them last", |holding| holding.bytes),
            ("tier_customer_entries", "Contents held by a tier, by who wanted them last", |holding| holding.entries),
        ];
        for (name, help, figure) in figures {
            let rows = holdings.iter().flat_map(|(tier, held)| {
                held.iter().map(move |holding| ([("tier", &***tier), ("customer", &*holding.customer)], figure(holding)))
            });
            gauges(encoder, name, help, rows)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, figure: u64) -> Result<(), fmt::Error> {
    ConstGauge::new(figure).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// Writes one gauge for each row of labels.
fn gauges<'a, const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = ([(&'a str, &'a str); LABELS], u64)>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, figure) in rows {
        ConstGauge::new(figure).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Content, ContentStore, DiskSettings, ScrubSettings, Tier, TierSettings, Wanted},
        *,
    };
    use crate::{
        oci::{Algorithm, Digest},
        telemetry::Metrics,
    };

    #[tokio::test]
    async fn what_is_held_is_told_by_tier_and_customer() {
        let folder = tempfile::tempdir().unwrap();
        let disks = vec![DiskSettings::new(folder.path(), 1000)];
        let settings = TierSettings { memory_limit: 2000, memory_max_entry: 1, disks, move_rate: 0, scrub: ScrubSettings::NEVER };
        let tiers = Arc::new(Tiers::open(settings, ContentStore::open(folder.path()).unwrap()).unwrap());
        let metrics = Metrics::new();
        tiers.register(&metrics);
        let digests = [1, 2, 3].map(|n| Digest::of(Algorithm::Sha256, &[n; 100]));
        for (n, digest) in digests.iter().enumerate() {
            tiers.disks()[0].store(digest, Content::Bytes(vec![n as u8 + 1; 100].into())).await.unwrap();
        }
        let acme = Wanted { customer: Some("acme".into()), ..Wanted::default() };
        tiers.lookup(&digests[0], &acme).await.unwrap();
        tiers.quarantine(&digests[2]).await;
        let text = metrics.encode();
        for line in [
            "harbinger_tier_bytes{tier=\"disk\"} 200",
            "harbinger_tier_limit_bytes{tier=\"memory\"} 2000",
            "harbinger_tier_customer_bytes{tier=\"disk\",customer=\"acme\"} 100",
            "harbinger_tier_customer_entries{tier=\"disk\",customer=\"unknown\"} 1",
            "harbinger_tier_quarantined_files{tier=\"disk\"} 1",
            "harbinger_hosted_bytes 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
