//! First in, first out.

use super::{Policy, Setting, queue::Queue};
use crate::replay::workload::ContentId;

pub(super) struct Fifo(Queue);

impl Fifo {
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        Self(Queue::new(setting.workload.world.contents.len()))
    }
}

impl Policy for Fifo {
    fn hit(&mut self, _content: ContentId) {}

    fn insert(&mut self, content: ContentId) {
        self.0.push(content);
    }

    fn evict(&mut self) -> Option<ContentId> {
        self.0.pop()
    }
}
