//! Least recently used.

use super::{Policy, Setting, queue::Queue};
use crate::replay::workload::ContentId;

pub(super) struct Lru(Queue);

impl Lru {
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        Self(Queue::new(setting.workload.world.contents.len()))
    }
}

impl Policy for Lru {
    fn hit(&mut self, content: ContentId) {
        self.0.remove(content);
        self.0.push(content);
    }

    fn insert(&mut self, content: ContentId) {
        self.0.push(content);
    }

    fn evict(&mut self) -> Option<ContentId> {
        self.0.pop()
    }
}
