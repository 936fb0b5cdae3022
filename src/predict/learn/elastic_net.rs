//! How many, and how soon: regressions on the logarithm (linfa-elasticnet).
//!
//! Counts of requests and times until the next one spread over many orders of magnitude, so it is their logarithm that is learned. A
//! Poisson regression would be the textbook's choice; linfa's Tweedie model does not converge on such data, and is not used.

use linfa::{DatasetBase, traits::Fit};
use linfa_elasticnet::ElasticNet;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::{
    error::LearnError,
    linear::Linear,
    window::{scale, standardised, unscaled},
};

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// A count of something within a fixed time, from 0: learned as log(1 + count).
    Count,
    /// A time until something, above 0: learned as its logarithm.
    Lag,
}

/// The fewest rows that are worth a fit.
const ROWS: usize = 50;
/// Times shorter than this count as this.
const SHORTEST_LAG: f64 = 1e-3;

/// A fitted regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    quantity: Quantity,
    linear: Linear,
    /// The standard deviation of what the logarithm was off by.
    spread: f64,
}

impl Regression {
    /// Fits `rows` of `width` features with what was observed after each. `penalty` pulls the weights of standardised features
    /// towards 0, half of it to exactly 0.
    ///
    /// # Errors
    ///
    /// [`LearnError::TooFew`] below fifty rows, [`LearnError::Fit`] if the solver fails.
    pub fn fit(quantity: Quantity, width: usize, rows: &[(&[f32], f64)], penalty: f64) -> Result<Self, LearnError> {
        if rows.len() < ROWS {
            return Err(LearnError::TooFew { rows: rows.len(), needed: ROWS });
        }
        let scale = scale(rows.iter().map(|(row, _)| *row), width);
        let features =
            rows.iter().flat_map(|(row, _)| row.iter().zip(&scale).map(|(&feature, &scale)| standardised(feature, scale)));
        let features = Array2::from_shape_vec((rows.len(), width), features.collect()).map_err(failed)?;
        let targets: Array1<f64> = rows.iter().map(|&(_, observed)| quantity.logarithm(observed)).collect();
        let dataset = DatasetBase::new(features, targets);
        let fitted = ElasticNet::params().penalty(penalty).l1_ratio(0.5).max_iterations(500).fit(&dataset).map_err(failed)?;
        let (intercept, weights) = unscaled(fitted.intercept(), &fitted.hyperplane().to_vec(), &scale);
        let linear = Linear { intercept, weights };
        let off = rows.iter().map(|&(row, observed)| (quantity.logarithm(observed) - linear.value(row)).powi(2));
        let spread = (off.sum::<f64>() / rows.len() as f64).sqrt();
        if !spread.is_finite() {
            return Err(failed("a weight is not finite"));
        }
        Ok(Self { quantity, linear, spread })
    }

    /// What is expected after `row`: half of what is observed is above it.
    pub fn median(&self, row: &[f32]) -> f64 {
        self.quantity.back(self.linear.value(row))
    }

    /// What nine tenths of what is observed after `row` are above: a lag's earliest time that is likely.
    pub fn tenth(&self, row: &[f32]) -> f64 {
        /// Standard deviations from the median to the first tenth of a normal distribution.
        const TENTH: f64 = 1.281_551_565_544_6;
        self.quantity.back(self.linear.value(row) - TENTH * self.spread)
    }
}

impl Quantity {
    fn logarithm(self, observed: f64) -> f64 {
        match self {
            Self::Count => observed.max(0.0).ln_1p(),
            Self::Lag => observed.max(SHORTEST_LAG).ln(),
        }
    }

    fn back(self, logarithm: f64) -> f64 {
        let bounded = logarithm.clamp(-50.0, 50.0);
        match self {
            Self::Count => bounded.exp_m1().max(0.0),
            Self::Lag => bounded.exp(),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> LearnError {
    LearnError::Fit(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lags of exp(3 + 2 x), each off by a factor of up to two either way.
    fn lags() -> Vec<([f32; 2], f64)> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut row = || [random.f32(), random.f32()];
        let rows: Vec<[f32; 2]> = (0..1_000).map(|_| row()).collect();
        rows.into_iter().map(|row| (row, (3.0 + 2.0 * f64::from(row[0]) + (random.f64() * 2.0 - 1.0) * 0.7).exp())).collect()
    }

    #[test]
    fn lags_are_learned_as_factors() {
        let lags = lags();
        let rows: Vec<_> = lags.iter().map(|(row, lag)| (row.as_slice(), *lag)).collect();
        let lag = Regression::fit(Quantity::Lag, 2, &rows, 0.01).unwrap();
        let (soon, late) = (lag.median(&[0.0, 0.5]), lag.median(&[1.0, 0.5]));
        assert!((soon / 3.0_f64.exp() - 1.0).abs() < 0.15 && (late / 5.0_f64.exp() - 1.0).abs() < 0.15, "{soon} {late}");
        let earlier = rows.iter().filter(|(row, observed)| *observed < lag.tenth(row)).count();
        assert!((50..=150).contains(&earlier), "{earlier} of a thousand came before the first tenth");
    }

    #[test]
    fn counts_are_never_negative_and_follow_what_causes_them() {
        let rows: Vec<([f32; 1], f64)> = (0..100).map(|i| ([i as f32 / 10.0], f64::from(i / 10))).collect();
        let rows: Vec<_> = rows.iter().map(|(row, count)| (row.as_slice(), *count)).collect();
        let count = Regression::fit(Quantity::Count, 1, &rows, 0.01).unwrap();
        assert_eq!(count.median(&[-1e6]), 0.0);
        assert!(count.median(&[9.0]) > 2.0 * count.median(&[3.0]) && count.tenth(&[9.0]) < count.median(&[9.0]));
        assert!(matches!(Regression::fit(Quantity::Count, 1, &rows[..9], 0.1), Err(LearnError::TooFew { rows: 9, needed: 50 })));
    }

    #[test]
    fn no_poisson_regression_of_linfa_is_used() {
        // It does not converge on ten thousand rows, and its deviance is not the one its gradient belongs to. The same crate's
        // isotonic regression takes pairs as they come, and is wrong when they are not sorted.
        let manifest = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        assert!(
            !manifest.contains("linfa-linear"),
            "linfa-linear's Tweedie regression must not be used: read this file's beginning"
        );
    }
}
