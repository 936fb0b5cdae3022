//! Test, then train: predictions in the order of time, and labels when they are known.
//!
//! Features are read from what was known before the moment of a question: all questions of a moment are asked before anything that
//! happens at that moment is taken in. A yes is learned when it happens, a no when its time is over.

use std::hash::Hash;

use super::labels::{Labels, Resolved};

#[cfg(test)]
mod leaks;

/// What happens, as questions, their answers, and a state that features are read from.
pub trait Stream {
    /// Something that happens.
    type Event;
    /// What a question is about.
    type Key: Clone + Eq + Hash;

    /// How long after its question a yes counts, in the unit of [`Stream::time`].
    fn horizon(&self) -> u64;

    /// When it happens. Events come in this order.
    fn time(event: &Self::Event) -> u64;

    /// The questions that an event raises, each with its features, read from the state before it.
    fn questions(&self, event: &Self::Event, ask: &mut dyn FnMut(Self::Key, Box<[f32]>));

    /// What the event is the yes to.
    fn answers(&self, event: &Self::Event) -> Option<Self::Key>;

    /// The event becomes a part of the state.
    fn take_in(&mut self, event: &Self::Event);

    /// The answer to a question of the time `asked` becomes a part of the state, at `now`.
    fn learn(&mut self, key: &Self::Key, row: &[f32], asked: u64, came_true: bool, now: u64);
}

/// Who predicts.
///
/// Learners have an order, and each hears what those before it have said: one can make an opinion out of theirs.
pub trait Learner {
    /// The probability that what `row` describes comes true, as of `now`. `heard` is what the learners before this one have said.
    fn predict(&mut self, row: &[f32], heard: &[f64], now: u64) -> f64;

    /// What `row` describes came true, or did not: known as of `now`. `said` is what all learners said when they were asked.
    fn learn(&mut self, row: &[f32], said: &[f64], came_true: bool, now: u64);
}

/// A question, what each learner said, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// When it was asked.
    pub at: u64,
    /// The learners' probabilities, in their order.
    pub said: Vec<f64>,
    /// Whether it came true; none if the events end before that is known.
    pub came_true: Option<bool>,
}

/// Lets `learners` predict what is asked along `events`, and learn when it is known. The predictions are in the order of the questions.
pub fn run<S: Stream>(stream: &mut S, learners: &mut [Box<dyn Learner>], events: &[S::Event]) -> Vec<Prediction> {
    let mut predictions: Vec<Prediction> = Vec::new();
    let mut labels = Labels::new(usize::MAX);
    for moment in events.chunk_by(|a, b| S::time(a) == S::time(b)) {
        let now = S::time(&moment[0]);
        while let Some(resolved) = labels.expire(now) {
            learn(stream, learners, &mut predictions, resolved, now);
        }
        let mut asked = Vec::new();
        moment.iter().for_each(|event| stream.questions(event, &mut |key, row| asked.push((key, row))));
        for event in moment {
            for resolved in stream.answers(event).map(|key| labels.happen(&key, now)).unwrap_or_default() {
                learn(stream, learners, &mut predictions, resolved, now);
            }
        }
        for (key, row) in asked {
            let mut said = Vec::with_capacity(learners.len());
            for learner in learners.iter_mut() {
                said.push(learner.predict(&row, &said, now));
            }
            let question = Asked { key: key.clone(), row, number: predictions.len() };
            predictions.push(Prediction { at: now, said, came_true: None });
            let taken = labels.ask(key, now.saturating_add(stream.horizon()), question);
            debug_assert!(taken.is_ok(), "there is room for all");
        }
        moment.iter().for_each(|event| stream.take_in(event));
    }
    predictions
}

/// What is kept of a question until its answer.
struct Asked<K> {
    key: K,
    row: Box<[f32]>,
    number: usize,
}

fn learn<S: Stream>(
    stream: &mut S,
    learners: &mut [Box<dyn Learner>],
    predictions: &mut [Prediction],
    resolved: Resolved<Asked<S::Key>>,
    now: u64,
) {
    let Resolved { item: Asked { key, row, number }, came_true, .. } = resolved;
    let prediction = &mut predictions[number];
    prediction.came_true = Some(came_true);
    for learner in learners.iter_mut() {
        learner.learn(&row, &prediction.said, came_true, now);
    }
    stream.learn(&key, &row, prediction.at, came_true, now);
}
