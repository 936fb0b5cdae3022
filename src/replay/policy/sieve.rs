//! SIEVE (Zhang et al., NSDI 2024): a hand goes from the oldest to the newest and takes whatever was not asked for since it last
//! came by; nothing changes its place.

use super::{Policy, Setting, queue::Queue};
use crate::replay::workload::ContentId;

pub(super) struct Sieve {
    queue: Queue,
    visited: Vec<bool>,
    hand: Option<ContentId>,
}

impl Sieve {
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        let contents = setting.workload.world.contents.len();
        Self { queue: Queue::new(contents), visited: vec![false; contents], hand: None }
    }
}

impl Policy for Sieve {
    fn hit(&mut self, content: ContentId) {
        self.visited[content as usize] = true;
    }

    fn insert(&mut self, content: ContentId) {
        self.visited[content as usize] = false;
        self.queue.push(content);
    }

    fn evict(&mut self) -> Option<ContentId> {
        let mut victim = self.hand.or_else(|| self.queue.last())?;
        while std::mem::replace(&mut self.visited[victim as usize], false) {
            victim = self.queue.ahead(victim).or_else(|| self.queue.last())?;
        }
        self.hand = self.queue.ahead(victim);
        self.queue.remove(victim);
        Some(victim)
    }
}
