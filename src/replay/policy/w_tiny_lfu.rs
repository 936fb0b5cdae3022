//! W-TinyLFU (Einziger, Friedman and Manes, ACM TOS 2017), by bytes: what comes in waits in a window of a hundredth of the room; from
//! there it gets into the main part, a segmented LRU, only when it was asked for more often than what it would push out.

use super::{Policy, Setting, queue::Queue};
use crate::replay::workload::{ContentId, Workload};

/// Shares of the room: of the window, and of the protected part of the rest.
const WINDOW: f64 = 0.01;
const PROTECTED: f64 = 0.8;

/// Most that a content is counted.
const MOST: u8 = 15;

pub(super) struct WTinyLfu<'a> {
    workload: &'a Workload,
    window: Queue,
    probation: Queue,
    protected: Queue,
    window_bytes: u64,
    protected_bytes: u64,
    window_room: u64,
    protected_room: u64,
    /// How often each was asked for; halved now and then. A sketch would take less room and err; here it is exact.
    counts: Vec<u8>,
    requests: usize,
    /// What has last come from the window, and has not yet been compared with what it would push out.
    candidate: Option<ContentId>,
}

impl<'a> WTinyLfu<'a> {
    pub(super) fn new(setting: &Setting<'a>) -> Self {
        let (contents, room) = (setting.workload.world.contents.len(), setting.capacity as f64);
        Self {
            workload: setting.workload,
            window: Queue::new(contents),
            probation: Queue::new(contents),
            protected: Queue::new(contents),
            window_bytes: 0,
            protected_bytes: 0,
            window_room: (room * WINDOW) as u64,
            protected_room: (room * (1.0 - WINDOW) * PROTECTED) as u64,
            counts: vec![0; contents],
            requests: 0,
            candidate: None,
        }
    }

    fn size(&self, content: ContentId) -> u64 {
        self.workload.world.contents[content as usize].size
    }

    fn count(&mut self, content: ContentId) {
        let count = &mut self.counts[content as usize];
        *count = (*count + 1).min(MOST);
        self.requests += 1;
        if self.requests >= 10 * self.counts.len() {
            self.requests = 0;
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// The protected part keeps within its room.
    fn demote(&mut self) {
        while self.protected_bytes > self.protected_room {
            let Some(content) = self.protected.pop() else { break };
            self.protected_bytes -= self.size(content);
            self.probation.push(content);
        }
    }
}

impl Policy for WTinyLfu<'_> {
    fn hit(&mut self, content: ContentId) {
        self.count(content);
        if self.window.remove(content) {
            self.window.push(content);
        } else if self.protected.remove(content) {
            self.protected.push(content);
        } else if self.probation.remove(content) {
            self.protected.push(content);
            self.protected_bytes += self.size(content);
            self.demote();
        }
    }

    fn insert(&mut self, content: ContentId) {
        self.count(content);
        self.window.push(content);
        self.window_bytes += self.size(content);
        while self.window_bytes > self.window_room {
            let Some(candidate) = self.window.pop() else { break };
            self.window_bytes -= self.size(candidate);
            self.probation.push(candidate);
            self.candidate = Some(candidate);
        }
    }

    fn evict(&mut self) -> Option<ContentId> {
        if let (Some(candidate), Some(victim)) = (self.candidate.take(), self.probation.last())
            && self.counts[candidate as usize] <= self.counts[victim as usize]
            && self.probation.remove(candidate)
        {
            return Some(candidate);
        }
        if let Some(content) = self.probation.pop() {
            return Some(content);
        }
        let protected = self.protected.pop();
        let content = protected.or_else(|| self.window.pop())?;
        let bytes = if protected.is_some() { &mut self.protected_bytes } else { &mut self.window_bytes };
        *bytes -= self.workload.world.contents[content as usize].size;
        Some(content)
    }
}
