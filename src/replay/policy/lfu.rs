//! Least frequently used since it came in; of equals, the one that was asked for longest ago leaves first.

use std::collections::BTreeSet;

use super::{Policy, Setting};
use crate::replay::workload::ContentId;

pub(super) struct Lfu {
    order: BTreeSet<(u32, u64, ContentId)>,
    /// How often, and when last.
    uses: Vec<(u32, u64)>,
    clock: u64,
}

impl Lfu {
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        Self { order: BTreeSet::new(), uses: vec![(0, 0); setting.workload.world.contents.len()], clock: 0 }
    }

    fn put(&mut self, content: ContentId, times: u32) {
        self.clock += 1;
        self.uses[content as usize] = (times, self.clock);
        self.order.insert((times, self.clock, content));
    }
}

impl Policy for Lfu {
    fn hit(&mut self, content: ContentId) {
        let (times, last) = self.uses[content as usize];
        self.order.remove(&(times, last, content));
        self.put(content, times + 1);
    }

    fn insert(&mut self, content: ContentId) {
        self.put(content, 1);
    }

    fn evict(&mut self) -> Option<ContentId> {
        self.order.pop_first().map(|(.., content)| content)
    }
}
