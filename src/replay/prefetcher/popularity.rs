//! What is asked for most, kept here whatever the policy thinks.

use super::{Prefetcher, Setting, View, Wish};
use crate::{
    events::Millis,
    replay::workload::{ContentId, Step, What},
};

/// How often the most popular are looked for.
const EVERY: Millis = 3_600_000;

/// How many are kept here.
const TOP: usize = 1_000;

/// What was not asked for in this time is not popular.
const FORGOTTEN: Millis = 3 * 86_400_000;

/// A count is halved in this time.
const HALF_LIFE: f64 = 86_400_000.0;

/// Every hour, the layers with the greatest decayed counts.
pub(super) struct Popularity {
    region: u16,
    counts: Vec<(f64, Millis)>,
    next: Millis,
}

impl Popularity {
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        Self { region: setting.region, counts: vec![(0.0, 0); setting.workload.world.contents.len()], next: 0 }
    }

    fn count(&self, content: usize, now: Millis) -> f64 {
        let (count, at) = self.counts[content];
        count * (-((now - at) as f64) / HALF_LIFE).exp2()
    }
}

impl Prefetcher for Popularity {
    fn observe(&mut self, step: &Step, _cache: &dyn View, wishes: &mut Vec<Wish>) {
        if step.at >= self.next {
            self.next = step.at + EVERY;
            let seen = (0..self.counts.len()).filter(|content| self.counts[*content].1 + FORGOTTEN > step.at);
            let mut order: Vec<(f64, ContentId)> =
                seen.map(|content| (self.count(content, step.at), content as ContentId)).collect();
            let by_count = |one: &(f64, ContentId), other: &(f64, ContentId)| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1));
            if order.len() > TOP {
                order.select_nth_unstable_by(TOP, by_count);
                order.truncate(TOP);
            }
            order.sort_unstable_by(by_count);
            wishes.extend(order.iter().map(|(_, content)| Wish { content: *content, urgent: false }));
        }
        if let What::Layer { region, content, .. } = step.what
            && region == self.region
        {
            let count = self.count(content as usize, step.at);
            self.counts[content as usize] = (count + 1.0, step.at);
        }
    }
}
