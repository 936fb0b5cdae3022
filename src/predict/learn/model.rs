//! A pure score of a row.

use std::fmt::Debug;

/// What the numbers of a row mean. Models learned under one version are of no use under another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Changes whenever a feature is added, removed, moved, or computed in another way.
    pub version: u32,
    /// What the features are called, in the order of the row.
    pub names: &'static [&'static str],
}

impl Schema {
    /// How many features a row has.
    pub const fn width(&self) -> usize {
        self.names.len()
    }
}

/// Says how likely it is that what a row describes comes true.
///
/// Pure: the same row gives the same answer until the model has learned. What is learned here allocates nothing to give it.
pub trait Model: Debug + Send + Sync {
    /// How many features a row has.
    fn width(&self) -> usize;

    /// The probability, from 0 to 1. A feature that is not finite counts as 0.
    fn score(&self, row: &[f32]) -> f64;

    /// What each feature adds to the log-odds of the score, in the order of the row, into `contributions`, which is as long as the
    /// row. What is left of the log-odds is the same for all rows.
    fn explain(&self, row: &[f32], contributions: &mut [f64]);
}

/// The probability whose log-odds these are. Never quite 0 or 1, so that its logarithm is finite.
pub(super) fn sigmoid(log_odds: f64) -> f64 {
    let bounded = log_odds.clamp(-35.0, 35.0);
    if bounded >= 0.0 {
        1.0 / (1.0 + (-bounded).exp())
    } else {
        let exp = bounded.exp();
        exp / (1.0 + exp)
    }
}

/// The log-odds of a probability, which is kept off 0 and 1.
pub(super) fn logit(probability: f64) -> f64 {
    let bounded = probability.clamp(1e-12, 1.0 - 1e-12);
    (bounded / (1.0 - bounded)).ln()
}

/// A feature as a model takes it.
pub(super) fn finite(feature: f32) -> f64 {
    if feature.is_finite() { f64::from(feature) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_stay_inside_zero_and_one_where_single_precision_would_not() {
        let sure = sigmoid(30.0);
        assert!(sure < 1.0 && sigmoid(1e9) < 1.0 && sigmoid(-1e9) > 0.0);
        // The trap: linfa gives its probabilities in single precision, where this one is 1 and its log-loss infinite.
        assert_eq!(sure as f32, 1.0);
        assert!((logit(sigmoid(3.0)) - 3.0).abs() < 1e-9 && (logit(sigmoid(-3.0)) + 3.0).abs() < 1e-9);
        assert!(logit(0.0).is_finite() && logit(1.0).is_finite());
    }
}
