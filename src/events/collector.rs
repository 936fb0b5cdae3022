//! What subscribers were not told of, as a metric.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};

use super::InProcess;

/// Tells how many events each subscriber has missed whenever metrics are read.
#[derive(Debug)]
pub struct DroppedCollector(pub Arc<InProcess>);

impl Collector for DroppedCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut dropped = BTreeMap::<_, u64>::new();
        for (name, count) in self.0.dropped() {
            *dropped.entry(name).or_default() += count;
        }
        let help = "Events that a subscriber was not told of, because it was behind";
        let mut family = encoder.encode_descriptor("events_dropped", help, None, MetricType::Counter)?;
        for (name, count) in dropped {
            ConstCounter::new(count).encode(family.encode_family(&[("subscriber", name)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::{
        events::{Bus, Event, What},
        oci::{Algorithm, Digest},
    };

    #[test]
    fn losses_are_told_by_subscriber() {
        let bus = Arc::new(InProcess::default());
        let (_slow, _quick) = (bus.subscribe("slow", 1), bus.subscribe("quick", 9));
        for _ in 0..3 {
            bus.publish(Event::now(What::BlobEvicted { digest: Digest::of(Algorithm::Sha256, b"") }));
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(DroppedCollector(bus)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("events_dropped_total{subscriber=\"slow\"} 2"), "{text}");
        assert!(text.contains("events_dropped_total{subscriber=\"quick\"} 0"), "{text}");
    }
}
