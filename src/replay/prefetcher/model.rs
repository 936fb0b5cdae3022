//! What `serve` runs.

use super::{Prefetcher, Setting, View, Wish};
use crate::{
    events::Millis,
    predict::{Budget, Cache, Candidate, ContentId, Prophet, Settings, Step, Without, World, learn::Pace},
};

pub(super) struct Model<'a> {
    world: &'a World,
    prophet: Prophet,
    found: Vec<Candidate>,
}

/// The simulator's cache, as a prophet sees it.
struct Seen<'a>(&'a dyn View);

impl Cache for Seen<'_> {
    fn was_here(&self, content: ContentId) -> bool {
        self.0.was_here(content)
    }

    fn is_here(&self, content: ContentId) -> bool {
        self.0.is_here(content)
    }
}

impl<'a> Model<'a> {
    /// Without a kind of knowledge, to see what that is good for.
    pub(super) fn new(setting: &Setting<'a>, without: Option<Without>) -> Self {
        let prophet = Prophet::new(Settings {
            region: setting.region,
            name: setting.workload.regions.get(usize::from(setting.region)).cloned().unwrap_or_default(),
            budget: Budget::default(),
            without,
            pace: Pace::AtOnce,
        });
        Self { world: &setting.workload.world, prophet, found: Vec::new() }
    }

    fn wish(&mut self, wishes: &mut Vec<Wish>) {
        let wish = |candidate: Candidate| Wish { content: candidate.content, urgent: candidate.reason.is_urgent() };
        wishes.extend(self.found.drain(..).map(wish));
    }
}

impl Prefetcher for Model<'_> {
    fn observe(&mut self, step: &Step, cache: &dyn View, wishes: &mut Vec<Wish>) {
        self.prophet.observe(step, self.world, &Seen(cache), &mut self.found);
        self.wish(wishes);
    }

    fn discover(&mut self, step: &Step, now: Millis, cache: &dyn View, wishes: &mut Vec<Wish>) {
        self.prophet.discover(step, now, self.world, &Seen(cache), &mut self.found);
        self.wish(wishes);
    }

    fn prophet(&mut self) -> Option<&mut Prophet> {
        Some(&mut self.prophet)
    }
}
