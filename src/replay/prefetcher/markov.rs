//! What followed last time: order-1 Markov chains, of layers or of images.

use std::collections::{HashMap, hash_map::Entry};

use super::{Prefetcher, Setting, View, Wish};
use crate::replay::workload::{ContentId, Step, What, Workload};

/// What is less likely to follow is not fetched.
const LEAST: f64 = 0.15;

/// The most likely followers that are fetched.
const FOLLOWERS: usize = 4;

/// Successions are remembered of at most so many followers of one thing.
const WIDTH: usize = 32;

/// Fetches what is likely to be asked for next by the same client.
pub(super) struct Markov<'a> {
    workload: &'a Workload,
    region: u16,
    by_image: bool,
    last: HashMap<u32, u32>,
    /// For each thing, how often it was followed, and by what.
    chains: HashMap<u32, Chain>,
}

#[derive(Default)]
struct Chain {
    total: u32,
    followers: Vec<(u32, u32)>,
}

impl Chain {
    fn note(&mut self, follower: u32) {
        self.total += 1;
        if let Some((_, count)) = self.followers.iter_mut().find(|(other, _)| *other == follower) {
            *count += 1;
        } else if self.followers.len() < WIDTH {
            self.followers.push((follower, 1));
        } else if let Some(rarest) = self.followers.iter_mut().min_by_key(|(other, count)| (*count, *other)) {
            *rarest = (follower, 1);
        }
    }

    fn likely(&self) -> impl Iterator<Item = u32> {
        let mut likely: Vec<(u32, u32)> = self.followers.clone();
        likely.retain(|(_, count)| f64::from(*count) >= LEAST * f64::from(self.total));
        likely.sort_unstable_by_key(|(follower, count)| (std::cmp::Reverse(*count), *follower));
        likely.into_iter().take(FOLLOWERS).map(|(follower, _)| follower)
    }
}

impl<'a> Markov<'a> {
    /// Of images when `by_image`, else of layers.
    pub(super) fn new(setting: &Setting<'a>, by_image: bool) -> Self {
        let Setting { workload, region } = *setting;
        Self { workload, region, by_image, last: HashMap::new(), chains: HashMap::new() }
    }

    fn layers(&self, one: u32) -> &[ContentId] {
        if self.by_image { &self.workload.world.images[one as usize] } else { &[] }
    }
}

impl Prefetcher for Markov<'_> {
    fn observe(&mut self, step: &Step, _cache: &dyn View, wishes: &mut Vec<Wish>) {
        let (region, client, one) = match step.what {
            What::Layer { region, client, content } if !self.by_image => (region, client, content),
            What::Image { region, client, image: Some(image), .. } if self.by_image => (region, client, image),
            _ => return,
        };
        if region != self.region {
            return;
        }
        match self.last.entry(client) {
            Entry::Occupied(mut last) => {
                let before = last.insert(one);
                if before != one {
                    self.chains.entry(before).or_default().note(one);
                }
            }
            Entry::Vacant(entry) => {
                entry.insert(one);
            }
        }
        let Some(chain) = self.chains.get(&one) else { return };
        for next in chain.likely() {
            let wish = |content| Wish { content, urgent: false };
            if self.by_image {
                wishes.extend(self.layers(next).iter().copied().map(wish));
            } else {
                wishes.push(wish(next));
            }
        }
    }
}
