//! Bounds of what a policy can reach that waits until it is asked (Belady, 1966): they know the future.

use std::collections::BTreeSet;

use super::{Policy, Setting};
use crate::replay::workload::{ContentId, Step, What, Workload};

pub(super) struct Belady<'a> {
    workload: &'a Workload,
    region: u16,
    by_size: bool,
    /// For each content, the numbers of the requests for it that are still to come; the next one is the last here.
    coming: Vec<Vec<u32>>,
    now: u32,
    /// In the cache, in the order in which they stay.
    order: BTreeSet<(u64, ContentId)>,
    keys: Vec<u64>,
}

impl<'a> Belady<'a> {
    /// What is asked for again last leaves first; `by_size`, what takes most bytes for the longest time.
    pub(super) fn new(setting: &Setting<'a>, by_size: bool) -> Self {
        let Setting { workload, region, .. } = *setting;
        let mut coming = vec![Vec::new(); workload.world.contents.len()];
        let mut number = 0;
        for step in &workload.steps {
            if let What::Layer { region: place, content, .. } = step.what
                && place == region
            {
                coming[content as usize].push(number);
                number += 1;
            }
        }
        coming.iter_mut().for_each(|numbers| numbers.reverse());
        let keys = vec![0; workload.world.contents.len()];
        Self { workload, region, by_size, coming, now: 0, order: BTreeSet::new(), keys }
    }

    fn put(&mut self, content: ContentId) {
        let at = content as usize;
        let next = self.coming[at].last().map_or(u64::MAX, |next| u64::from(*next));
        // By size, the order of now: it is exact for what has just been asked for, and ages with the rest.
        let key = match next {
            u64::MAX => u64::MAX,
            next if self.by_size => (next - u64::from(self.now)).saturating_mul(self.workload.world.contents[at].size.max(1)),
            next => next,
        };
        self.keys[at] = key;
        self.order.insert((key, content));
    }
}

impl Policy for Belady<'_> {
    fn observe(&mut self, step: &Step) {
        if let What::Layer { region, content, .. } = step.what
            && region == self.region
        {
            self.coming[content as usize].pop();
            self.now += 1;
        }
    }

    fn hit(&mut self, content: ContentId) {
        self.order.remove(&(self.keys[content as usize], content));
        self.put(content);
    }

    fn insert(&mut self, content: ContentId) {
        self.put(content);
    }

    fn evict(&mut self) -> Option<ContentId> {
        self.order.pop_last().map(|(_, content)| content)
    }
}
