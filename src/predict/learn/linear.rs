//! The form that all that is learned here is scored in.

use serde::{Deserialize, Serialize};

use super::model::{Model, finite, sigmoid};

/// A weight for each feature and one that all rows have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// What a row of zeroes is worth.
    pub intercept: f64,
    /// What one more of each feature is worth.
    pub weights: Vec<f64>,
}

impl Linear {
    /// One that knows nothing: every row is worth 0, a probability of one half.
    pub fn neutral(width: usize) -> Self {
        Self { intercept: 0.0, weights: vec![0.0; width] }
    }

    /// The weighted sum: log-odds of a classifier, the expected value of a regression.
    pub fn value(&self, row: &[f32]) -> f64 {
        debug_assert_eq!(row.len(), self.weights.len(), "a row of another schema");
        self.weights.iter().zip(row).fold(self.intercept, |sum, (weight, &feature)| sum + weight * finite(feature))
    }
}

impl Model for Linear {
    fn width(&self) -> usize {
        self.weights.len()
    }

    fn score(&self, row: &[f32]) -> f64 {
        sigmoid(self.value(row))
    }

    fn explain(&self, row: &[f32], contributions: &mut [f64]) {
        for ((contribution, weight), &feature) in contributions.iter_mut().zip(&self.weights).zip(row) {
            *contribution = weight * finite(feature);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contributions_and_the_intercept_are_the_log_odds() {
        let linear = Linear { intercept: -1.0, weights: vec![2.0, 0.5, -1.0] };
        let row = [1.0, 4.0, f32::NAN];
        let mut contributions = [9.0; 3];
        linear.explain(&row, &mut contributions);
        assert_eq!(contributions, [2.0, 2.0, 0.0]);
        assert_eq!(linear.value(&row), 3.0);
        assert!((linear.score(&row) - 1.0 / (1.0 + (-3.0_f64).exp())).abs() < 1e-15);
        assert_eq!(Linear::neutral(3).score(&row), 0.5);
    }
}
