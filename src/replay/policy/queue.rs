//! Contents in a line, each of which can leave from the middle.

use crate::replay::workload::ContentId;

const NONE: ContentId = ContentId::MAX;

/// A line: contents enter at the front, and the one at the back has been there longest.
#[derive(Debug)]
pub(super) struct Queue {
    /// Towards the front and towards the back, by content; both `NONE` also for what is not in line.
    links: Vec<[ContentId; 2]>,
    inside: Vec<bool>,
    front: ContentId,
    back: ContentId,
}

const FRONT: usize = 0;
const BACK: usize = 1;

impl Queue {
    pub(super) fn new(contents: usize) -> Self {
        Self { links: vec![[NONE; 2]; contents], inside: vec![false; contents], front: NONE, back: NONE }
    }

    /// Puts a content that is not in line at the front.
    pub(super) fn push(&mut self, content: ContentId) {
        self.links[content as usize] = [NONE, self.front];
        self.inside[content as usize] = true;
        match self.front {
            NONE => self.back = content,
            front => self.links[front as usize][FRONT] = content,
        }
        self.front = content;
    }

    /// Takes a content out, wherever it stands; false when it is not in line.
    pub(super) fn remove(&mut self, content: ContentId) -> bool {
        if !std::mem::replace(&mut self.inside[content as usize], false) {
            return false;
        }
        let [front, back] = self.links[content as usize];
        match front {
            NONE => self.front = back,
            front => self.links[front as usize][BACK] = back,
        }
        match back {
            NONE => self.back = front,
            back => self.links[back as usize][FRONT] = front,
        }
        true
    }

    /// The content that has been in line longest.
    pub(super) fn last(&self) -> Option<ContentId> {
        (self.back != NONE).then_some(self.back)
    }

    /// Takes out the content that has been in line longest.
    pub(super) fn pop(&mut self) -> Option<ContentId> {
        let content = self.last()?;
        self.remove(content);
        Some(content)
    }

    /// The content that stands in front of one that is in line.
    pub(super) fn ahead(&self, content: ContentId) -> Option<ContentId> {
        let front = self.links[content as usize][FRONT];
        (front != NONE).then_some(front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_been_there_longest_leaves_first_unless_taken_out() {
        let mut queue = Queue::new(5);
        assert_eq!(queue.pop(), None);
        (0..4).for_each(|content| queue.push(content));
        assert!(queue.remove(1) && !queue.remove(1) && !queue.remove(4));
        assert_eq!((queue.last(), queue.ahead(0), queue.ahead(3)), (Some(0), Some(2), None));
        queue.remove(0);
        queue.push(0);
        assert_eq!([queue.pop(), queue.pop(), queue.pop(), queue.pop()], [Some(2), Some(3), Some(0), None]);
        assert!(!queue.remove(3));
    }
}
