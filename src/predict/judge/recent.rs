//! The last thoughts, so that they can be explained.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::features::Row;
use crate::{
    events::Millis,
    predict::{expected::Reason, learn::Decider, world::ContentId},
};

/// Contents whose last thought is remembered.
const MOST: usize = 20_000;

/// A decision, and what it was made on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thought {
    pub(super) reason: Reason,
    pub(super) at: Millis,
    pub(super) probability: f64,
    pub(super) needed: f64,
    pub(super) decider: Decider,
    pub(super) fetch: bool,
    pub(super) row: Row,
}

#[derive(Debug, Default)]
pub(super) struct Recent {
    thoughts: HashMap<ContentId, Thought>,
    oldest: VecDeque<ContentId>,
}

impl Recent {
    pub(super) fn note(&mut self, content: ContentId, thought: Thought) {
        if self.thoughts.insert(content, thought).is_none() {
            self.oldest.push_back(content);
        }
        if self.oldest.len() > MOST
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.thoughts.remove(&oldest);
        }
    }

    pub(super) fn get(&self, content: ContentId) -> Option<&Thought> {
        self.thoughts.get(&content)
    }
}
