//! S3-FIFO (Yang et al., SOSP 2023), by bytes: what comes in waits in a small queue of a tenth of the room; what is asked for there
//! twice goes on to the main queue, the rest leaves and is remembered for a while.

use super::{Policy, Setting, queue::Queue};
use crate::replay::workload::{ContentId, Workload};

/// Share of the room that the small queue has, and the bytes that are remembered of what has left it.
const SMALL: f64 = 0.1;
const GHOST: f64 = 0.9;

/// How often a content is asked for in the small queue before it may stay.
const PROMOTED: u8 = 2;

/// More requests than these say nothing more.
const MOST: u8 = 3;

pub(super) struct S3Fifo<'a> {
    workload: &'a Workload,
    small: Line,
    main: Line,
    ghost: Line,
    uses: Vec<u8>,
    is_known: bool,
    is_full: bool,
}

/// A queue that knows its bytes.
struct Line {
    queue: Queue,
    bytes: u64,
    room: u64,
}

impl Line {
    fn new(contents: usize, room: f64) -> Self {
        Self { queue: Queue::new(contents), bytes: 0, room: room as u64 }
    }

    fn push(&mut self, content: ContentId, size: u64) {
        self.queue.push(content);
        self.bytes += size;
    }

    fn remove(&mut self, content: ContentId, size: u64) -> bool {
        let was_there = self.queue.remove(content);
        self.bytes -= if was_there { size } else { 0 };
        was_there
    }
}

impl<'a> S3Fifo<'a> {
    pub(super) fn new(setting: &Setting<'a>) -> Self {
        let (contents, room) = (setting.workload.world.contents.len(), setting.capacity as f64);
        Self {
            workload: setting.workload,
            small: Line::new(contents, room * SMALL),
            main: Line::new(contents, room * (1.0 - SMALL)),
            ghost: Line::new(contents, room * GHOST),
            uses: vec![0; contents],
            is_known: false,
            is_full: false,
        }
    }

    fn size(&self, content: ContentId) -> u64 {
        self.workload.world.contents[content as usize].size
    }

    fn evict_small(&mut self) -> Option<ContentId> {
        while let Some(content) = self.small.queue.last() {
            let size = self.size(content);
            self.small.remove(content, size);
            if self.uses[content as usize] >= PROMOTED {
                self.uses[content as usize] = 0;
                self.main.push(content, size);
                continue;
            }
            while self.ghost.bytes + size > self.ghost.room {
                let Some(forgotten) = self.ghost.queue.last() else { break };
                self.ghost.remove(forgotten, self.size(forgotten));
            }
            if size <= self.ghost.room {
                self.ghost.push(content, size);
            }
            return Some(content);
        }
        None
    }

    fn evict_main(&mut self) -> Option<ContentId> {
        while let Some(content) = self.main.queue.last() {
            let size = self.size(content);
            self.main.remove(content, size);
            let uses = &mut self.uses[content as usize];
            if *uses == 0 {
                return Some(content);
            }
            *uses = (*uses).min(MOST) - 1;
            self.main.push(content, size);
        }
        None
    }
}

impl Policy for S3Fifo<'_> {
    fn hit(&mut self, content: ContentId) {
        let uses = &mut self.uses[content as usize];
        *uses = (*uses + 1).min(MOST);
    }

    fn admits(&mut self, content: ContentId) -> bool {
        let size = self.size(content);
        self.is_known = self.ghost.remove(content, size);
        self.is_known || size < self.small.room
    }

    fn insert(&mut self, content: ContentId) {
        let size = self.size(content);
        self.uses[content as usize] = 0;
        let is_known = std::mem::take(&mut self.is_known) || self.ghost.remove(content, size);
        let small_is_full = self.small.bytes >= self.small.room;
        if is_known || (!self.is_full && small_is_full) {
            self.main.push(content, size);
        } else {
            self.small.push(content, size);
        }
    }

    fn evict(&mut self) -> Option<ContentId> {
        self.is_full = true;
        if self.main.bytes > self.main.room || self.small.bytes == 0 {
            self.evict_main().or_else(|| self.evict_small())
        } else {
            self.evict_small().or_else(|| self.evict_main())
        }
    }
}
