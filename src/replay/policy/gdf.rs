//! Greedy-dual size frequency (Cherkasova, 1998), and its family: `frequency / size^exponent`, above a floor that rises with what
//! leaves.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Policy, Setting};
use crate::{
    predict::Deployed,
    replay::workload::{ContentId, Step, Workload},
};

/// A size of this many bytes more is added to each, so that the smallest do not outweigh all others.
const LEAST_SIZE: f64 = 50_000.0;

/// How much more a content is worth that one image in use needs; and how many such images count.
const IN_USE: f64 = 4.0;
const MOST_IN_USE: u32 = 4;

pub(super) struct Gdf<'a> {
    workload: &'a Workload,
    exponent: f64,
    least_size: f64,
    /// Whether a content that left is as frequent as before when it comes back.
    remembers: bool,
    deployed: Option<Deployed>,
    heap: BinaryHeap<Reverse<(Priority, ContentId)>>,
    /// In force, by content; `None` for what is not in the cache.
    priorities: Vec<Option<Priority>>,
    frequencies: Vec<u32>,
    floor: f64,
}

/// A number that is not negative, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Priority(u64);

impl Priority {
    fn new(value: f64) -> Self {
        // Floats that are not negative are in the order of their bits.
        Self(value.max(0.0).to_bits())
    }
}

impl<'a> Gdf<'a> {
    /// With `size^exponent`.
    pub(super) fn new(setting: &Setting<'a>, exponent: f64) -> Self {
        let contents = setting.workload.world.contents.len();
        Self {
            workload: setting.workload,
            exponent,
            least_size: LEAST_SIZE,
            remembers: true,
            deployed: None,
            heap: BinaryHeap::new(),
            priorities: vec![None; contents],
            frequencies: vec![0; contents],
            floor: 0.0,
        }
    }

    /// As it was published: by size itself, and without a memory.
    pub(super) fn classic(setting: &Setting<'a>) -> Self {
        Self { least_size: 0.0, remembers: false, ..Self::new(setting, 1.0) }
    }

    /// What customers run now is worth more, and what only a superseded version used leaves first.
    pub(super) fn with_graph(self, region: u16) -> Self {
        Self { deployed: Some(Deployed::new(region)), ..self }
    }

    fn rate(&mut self, content: ContentId) {
        let at = content as usize;
        self.frequencies[at] += 1;
        let in_use = self.deployed.as_ref().map_or(0, |deployed| deployed.uses(content));
        let worth = if in_use > 0 { IN_USE * f64::from(in_use.min(MOST_IN_USE)) } else { 1.0 };
        let size = self.workload.world.contents[at].size as f64 + self.least_size;
        let value = f64::from(self.frequencies[at]) * worth * (1e6 / size.max(1.0)).powf(self.exponent);
        self.put(content, self.floor + value);
    }

    fn put(&mut self, content: ContentId, value: f64) {
        let priority = Priority::new(value);
        self.priorities[content as usize] = Some(priority);
        self.heap.push(Reverse((priority, content)));
    }
}

impl Policy for Gdf<'_> {
    fn observe(&mut self, step: &Step) {
        let Some(deployed) = &mut self.deployed else { return };
        for content in deployed.observe(step, &self.workload.world) {
            if self.priorities[content as usize].is_some() {
                self.put(content, self.floor);
            }
        }
    }

    fn hit(&mut self, content: ContentId) {
        self.rate(content);
    }

    fn insert(&mut self, content: ContentId) {
        if !self.remembers {
            self.frequencies[content as usize] = 0;
        }
        self.rate(content);
    }

    fn evict(&mut self) -> Option<ContentId> {
        loop {
            let Reverse((priority, content)) = self.heap.pop()?;
            if self.priorities[content as usize] == Some(priority) {
                self.priorities[content as usize] = None;
                self.floor = f64::from_bits(priority.0);
                return Some(content);
            }
        }
    }
}
