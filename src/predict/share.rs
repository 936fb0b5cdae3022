//! Shares and rates that are learned.

use crate::events::Millis;

/// So many of so many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) of: f32,
    pub(super) were: f32,
}

impl Share {
    /// The share, between what was believed before (`prior`, with the weight of `weight` cases) and what was seen.
    pub(super) fn estimate(self, prior: f32, weight: f32) -> f32 {
        (self.were + prior * weight) / (self.of + weight)
    }
}

/// A count that is halved every half-life.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Decayed {
    count: f32,
    at: Millis,
}

impl Decayed {
    /// The count as of `now`.
    pub(super) fn get(self, now: Millis, half_life: Millis) -> f32 {
        let age = now.saturating_sub(self.at) as f32 / half_life as f32;
        self.count * (-age).exp2()
    }

    /// So many more.
    pub(super) fn add(&mut self, now: Millis, half_life: Millis, more: f32) {
        *self = Self { count: self.get(now, half_life) + more, at: now.max(self.at) };
    }
}
