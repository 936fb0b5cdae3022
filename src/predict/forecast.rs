//! What is learned of what will be asked for again, as the tiers ask for it.

use parking_lot::Mutex;

use super::{
    learn::{LearnError, Store},
    retention::Retention,
    scorer::Contribution,
    world::{ContentId, Step, World},
};
use crate::{events::Millis, oci::Digest, tiers::Rates};

/// Forecasts for the tiers of an edge. One thread tells what happens; tiers ask, each time for a moment.
#[derive(Debug)]
pub struct Forecast(Mutex<Retention>);

impl Forecast {
    /// For the requests of one region. Nothing is known yet.
    pub fn new(region: u16) -> Self {
        Self(Mutex::new(Retention::new(region)))
    }

    /// Something happens.
    pub fn observe(&self, step: &Step, world: &World) {
        self.0.lock().observe(step, world);
    }

    /// A content is held from now on.
    pub fn kept(&self, content: ContentId, world: &World) {
        self.0.lock().kept(content, world);
    }

    /// A content is not held any more.
    pub fn left(&self, content: ContentId) {
        self.0.lock().left(content);
    }

    /// How many requests for a content are expected, and why.
    pub(super) fn explain(&self, content: ContentId, now: Millis) -> (f64, Vec<Contribution>) {
        self.0.lock().explain(content, now)
    }

    /// Takes over what was learned before, if that is from more answers.
    pub(super) fn load(&self, store: &Store) -> Result<(), LearnError> {
        self.0.lock().model.load(store)
    }

    /// Keeps what has been learned.
    pub(super) fn save(&self, store: &Store) -> Result<(), LearnError> {
        self.0.lock().model.save(store)
    }

    /// Forgets all contents, whose numbers are given anew. What was learned stays.
    pub(super) fn forget(&self) {
        self.0.lock().forget();
    }
}

impl Rates for Forecast {
    fn log_rate(&self, digest: &Digest, counted: f32) -> f32 {
        self.0.lock().log_rate(digest).unwrap_or(counted)
    }

    fn fetches_ahead(&self) -> bool {
        true
    }
}
