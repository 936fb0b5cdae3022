//! What `serve` runs: the index of a disk tier.

use std::{sync::Arc, time::Duration};

use hashbrown::HashMap;

use super::{Policy, Setting};
use crate::{
    config::Storage,
    oci::Digest,
    predict::Forecast,
    replay::workload::{ContentId, Step, Workload},
    telemetry::TierName,
    tiers::{DecayedCounts, Index, Rates, Wanted},
};

pub(super) struct Served<'a> {
    workload: &'a Workload,
    numbers: HashMap<Digest, ContentId>,
    index: Index,
    wanted: Wanted,
    forecast: Option<Arc<Forecast>>,
    /// What has left and has not been told yet.
    left: Vec<Digest>,
}

impl<'a> Served<'a> {
    /// By what is expected.
    pub(super) fn forecasting(setting: &Setting<'a>) -> Self {
        let forecast = Arc::new(Forecast::new(setting.region));
        Self::with(setting, forecast.clone(), Some(forecast))
    }

    /// By the past alone.
    pub(super) fn counting(setting: &Setting<'a>) -> Self {
        Self::with(setting, Arc::new(DecayedCounts), None)
    }

    fn with(setting: &Setting<'a>, rates: Arc<dyn Rates>, forecast: Option<Arc<Forecast>>) -> Self {
        let workload = setting.workload;
        let numbers = workload.world.contents.iter().zip(0..).map(|(content, number)| (content.digest, number)).collect();
        let exponent = Storage::default().size_exponent as f32;
        let index = Index::replaying(TierName::Ssd, None, exponent, rates);
        Self { workload, numbers, index, wanted: Wanted::default(), forecast, left: Vec::new() }
    }
}

impl Policy for Served<'_> {
    fn observe(&mut self, step: &Step) {
        self.index.set_clock(Duration::from_millis(step.at));
        if let Some(forecast) = &self.forecast {
            forecast.observe(step, &self.workload.world);
        }
    }

    fn hit(&mut self, content: ContentId) {
        self.index.touch(&self.workload.world.contents[content as usize].digest, &self.wanted);
    }

    fn insert(&mut self, content: ContentId) {
        if let Some(forecast) = &self.forecast {
            forecast.kept(content, &self.workload.world);
        }
        let content = self.workload.world.contents[content as usize];
        self.index.insert(content.digest, content.size, Duration::ZERO);
    }

    fn evict(&mut self) -> Option<ContentId> {
        if self.left.is_empty() {
            self.left = self.index.shrink(self.index.bytes().saturating_sub(1));
        }
        let content = self.numbers.get(&self.left.pop()?).copied()?;
        if let Some(forecast) = &self.forecast {
            forecast.left(content);
        }
        Some(content)
    }
}
