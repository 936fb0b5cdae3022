//! What it costs the clients here when a move is found late.

use std::f32::consts::LN_2;

use crate::events::Millis;

/// After which time a pull counts half: a week.
const HALF_LIFE: f32 = 604_800.0;

/// The share of an image's bytes that is new after a move.
const NEW_SHARE: f32 = 0.3;

/// An image of which nothing is known.
const USUAL_BYTES: u64 = 100 << 20;

/// Bytes a second at which an image comes from an upstream.
const RATE: f32 = 25e6;

/// What asking an upstream for an image takes in any case, in seconds.
const ROUND_TRIPS: f32 = 0.5;

/// How often a tag is pulled here.
#[derive(Debug)]
pub(super) struct Demand {
    /// Pulls, weighted by customer, the older the less.
    pulls: f32,
    /// The last pull.
    pub(super) last: Millis,
    /// The size of the image.
    pub(super) bytes: u64,
}

impl Demand {
    pub(super) fn new(at: Millis) -> Self {
        Self { pulls: 0.0, last: at, bytes: USUAL_BYTES }
    }

    /// It was pulled.
    pub(super) fn pulled(&mut self, at: Millis, weight: f32) {
        self.pulls += weight;
        self.last = self.last.max(at);
    }

    /// So many seconds pass.
    pub(super) fn pass(&mut self, seconds: f32) {
        self.pulls *= left(seconds, HALF_LIFE);
    }

    /// Pulls a second.
    pub(super) fn rate(&self) -> f32 {
        self.pulls * LN_2 / HALF_LIFE
    }

    /// Seconds that clients wait for each second that a move goes unnoticed.
    pub(super) fn cost(&self) -> f32 {
        self.rate() * (ROUND_TRIPS + NEW_SHARE * self.bytes as f32 / RATE)
    }
}

/// What is left after so many seconds of what halves in `half_life`: 1 - x is near enough to e^-x while time passes in small steps.
pub(super) fn left(seconds: f32, half_life: f32) -> f32 {
    1.0 - (seconds / half_life * LN_2).min(1.0)
}
