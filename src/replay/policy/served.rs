//! What `serve` runs: the index of a disk tier.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Policy, Setting};
use crate::{
    oci::Digest,
    replay::workload::{ContentId, Step, Workload},
    telemetry::TierName,
    tiers::{DecayedCounts, Index, Wanted},
};

pub(super) struct Served<'a> {
    workload: &'a Workload,
    numbers: HashMap<Digest, ContentId>,
    index: Index,
    wanted: Wanted,
    /// What has left and has not been told yet.
    left: Vec<Digest>,
}

impl<'a> Served<'a> {
    pub(super) fn new(setting: &Setting<'a>) -> Self {
        let workload = setting.workload;
        let numbers = workload.contents.iter().zip(0..).map(|(content, number)| (content.digest, number)).collect();
        let exponent = crate::config::Storage::default().size_exponent as f32;
        let index = Index::replaying(TierName::Ssd, None, exponent, Arc::new(DecayedCounts));
        Self { workload, numbers, index, wanted: Wanted::default(), left: Vec::new() }
    }
}

impl Policy for Served<'_> {
    fn observe(&mut self, step: &Step) {
        self.index.set_clock(Duration::from_millis(step.at));
    }

    fn hit(&mut self, content: ContentId) {
        self.index.touch(&self.workload.contents[content as usize].digest, &self.wanted);
    }

    fn insert(&mut self, content: ContentId) {
        let content = self.workload.contents[content as usize];
        self.index.insert(content.digest, content.size, Duration::ZERO);
    }

    fn evict(&mut self) -> Option<ContentId> {
        if self.left.is_empty() {
            self.left = self.index.shrink(self.index.bytes().saturating_sub(1));
        }
        self.numbers.get(&self.left.pop()?).copied()
    }
}
