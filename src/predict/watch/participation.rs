//! How likely something takes part in what its like do.

/// What the usual share counts for, in occasions.
const USUAL_WEIGHT: f32 = 2.0;

/// What each occasion leaves of the ones before.
const FADES: f32 = 0.95;

/// Nothing is certain.
const MOST: f32 = 0.95;

/// How often it has taken part.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Participation {
    took_part: f32,
    occasions: f32,
}

impl Participation {
    /// There was an occasion.
    pub(super) fn noted(&mut self, took_part: bool) {
        self.noted_many(if took_part { 1.0 } else { 0.0 }, 1.0);
    }

    /// There were occasions for several.
    pub(super) fn noted_many(&mut self, took_part: f32, occasions: f32) {
        self.took_part = FADES * self.took_part + took_part;
        self.occasions = FADES * self.occasions + occasions;
    }

    /// How likely it takes part next time, when `usual` of all do.
    pub(super) fn chance(&self, usual: f32) -> f32 {
        ((self.took_part + USUAL_WEIGHT * usual) / (self.occasions + USUAL_WEIGHT)).min(MOST)
    }
}
