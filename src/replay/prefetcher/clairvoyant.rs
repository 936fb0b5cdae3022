//! A bound: whatever will be asked for, if it was published by then.

use std::collections::HashSet;

use super::{Prefetcher, Setting, View, Wish};
use crate::{
    events::Millis,
    replay::workload::{ContentId, Step, What, Workload},
};

/// How far it looks ahead: long enough to fetch anything.
const AHEAD: Millis = 60_000;

/// Fetches every layer a little before it is asked for, unless nobody could know of it.
pub(super) struct Clairvoyant<'a> {
    workload: &'a Workload,
    region: u16,
    /// The first step that it has not looked at.
    next: usize,
    /// When an image was known that has the layer.
    published: Vec<Millis>,
    /// What will be asked for soon and is not published yet.
    unpublished: HashSet<ContentId>,
}

impl<'a> Clairvoyant<'a> {
    pub(super) fn new(setting: &Setting<'a>) -> Self {
        let Setting { workload, region } = *setting;
        let mut published = vec![Millis::MAX; workload.world.contents.len()];
        let mut told = vec![false; workload.world.images.len()];
        for step in &workload.steps {
            if let What::Image { image: Some(image), .. } | What::Moved { image: Some(image), .. } = step.what
                && !std::mem::replace(&mut told[image as usize], true)
            {
                for content in &workload.world.images[image as usize] {
                    let published = &mut published[*content as usize];
                    *published = step.at.min(*published);
                }
            }
        }
        Self { workload, region, next: 0, published, unpublished: HashSet::new() }
    }
}

impl Prefetcher for Clairvoyant<'_> {
    fn observe(&mut self, step: &Step, _cache: &dyn View, wishes: &mut Vec<Wish>) {
        while let Some(coming) = self.workload.steps.get(self.next).filter(|coming| coming.at <= step.at + AHEAD) {
            self.next += 1;
            if let What::Layer { region, content, .. } = coming.what
                && region == self.region
            {
                if self.published[content as usize] <= step.at {
                    wishes.push(Wish { content, urgent: true });
                } else {
                    self.unpublished.insert(content);
                }
            }
        }
        if let What::Image { image: Some(image), .. } | What::Moved { image: Some(image), .. } = step.what {
            let news =
                self.workload.world.images[image as usize].iter().copied().filter(|content| self.unpublished.remove(content));
            wishes.extend(news.map(|content| Wish { content, urgent: true }));
        }
    }
}
