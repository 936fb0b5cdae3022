//! Fits a logistic model to a window of the past, all at once (linfa-logistic, L-BFGS): what challenges the model that learns online.
//!
//! It takes seconds for a hundred thousand rows: never on a thread that serves.

use linfa::{DatasetBase, traits::Fit};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};

use super::{
    error::LearnError,
    linear::Linear,
    window::{Window, standardised, unscaled},
};

/// How it is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticSettings {
    /// Pulls the weights of standardised features towards 0.
    pub l2: f64,
    /// Steps at most. With a model to start from, a few are enough.
    pub iterations: u64,
    /// The fewest rows that are worth a fit.
    pub rows: usize,
}

impl Default for LogisticSettings {
    fn default() -> Self {
        Self { l2: 1.0, iterations: 60, rows: 200 }
    }
}

/// The model that fits `window` best. Its weights are for features as they come. `start` is where the search begins: a model that was
/// fitted to a window much like this one, or [`Linear::neutral`].
///
/// # Errors
///
/// [`LearnError::TooFew`] and [`LearnError::OneOutcome`] if the window says too little, [`LearnError::Fit`] if the solver fails.
pub fn fit_logistic(window: &Window, settings: LogisticSettings, start: &Linear) -> Result<Linear, LearnError> {
    let rows = window.len();
    if rows < settings.rows.max(2) {
        return Err(LearnError::TooFew { rows, needed: settings.rows.max(2) });
    }
    let positives = window.labels().filter(|&label| label).count();
    if positives == 0 || positives == rows {
        return Err(LearnError::OneOutcome(rows));
    }
    let scale = window.scale();
    let features = window.rows().flat_map(|row| row.iter().zip(&scale).map(|(&feature, &scale)| standardised(feature, scale)));
    let features = Array2::from_shape_vec((rows, window.width()), features.collect()).map_err(failed)?;
    let dataset = DatasetBase::new(features, Array1::from_iter(window.labels()));
    // linfa calls the more frequent outcome the positive one and gives its probability.
    let sign = |is_positive: bool| if is_positive { 1.0 } else { -1.0 };
    let begin = sign(2 * positives > rows);
    let weights = start.weights.iter().zip(&scale).map(|(weight, (_, deviation))| weight * deviation);
    let shift: f64 = start.weights.iter().zip(&scale).map(|(weight, (mean, _))| weight * mean).sum();
    let begin = weights.chain([start.intercept + shift]).map(|weight| begin * weight).collect();
    let fitted = LogisticRegression::default()
        .alpha(settings.l2)
        .max_iterations(settings.iterations)
        .gradient_tolerance(1e-4 * rows as f64)
        .initial_params(begin)
        .fit(&dataset)
        .map_err(failed)?;
    let sign = sign(fitted.labels().pos.class);
    let weights: Vec<f64> = fitted.params().iter().map(|weight| sign * weight).collect();
    let (intercept, weights) = unscaled(sign * fitted.intercept(), &weights, &scale);
    if !intercept.is_finite() || weights.iter().any(|weight| !weight.is_finite()) {
        return Err(LearnError::Fit("a weight is not finite".to_owned()));
    }
    Ok(Linear { intercept, weights })
}

fn failed(error: impl std::fmt::Display) -> LearnError {
    LearnError::Fit(error.to_string())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::predict::learn::Model;

    /// A window where the first feature decides, and a share of all labels is turned off.
    fn window(positives: f32) -> Window {
        let mut random = fastrand::Rng::with_seed(3);
        let mut window = Window::new(3, 2_000, u64::MAX);
        for at in 0..2_000 {
            let row = [random.f32() * 100.0 + 1_000.0, random.f32(), 4.0];
            window.push(at, &row, row[0] > 1_050.0 && random.f32() < positives);
        }
        window
    }

    #[test]
    fn the_outcome_that_happens_is_the_positive_one_whichever_is_more_frequent() {
        // The first window has fewer positives than negatives, the second one more.
        let mut frequent = Window::new(3, 2_000, u64::MAX);
        let rare = window(0.9);
        rare.rows().zip(rare.labels()).filter(|(row, _)| row[0] > 1_030.0).for_each(|(row, label)| frequent.push(0, row, label));
        for window in [rare, frequent] {
            let model = fit_logistic(&window, LogisticSettings::default(), &Linear::neutral(3)).unwrap();
            assert!(model.weights[0] > 0.0, "{model:?}");
            assert!(model.score(&[1_090.0, 0.5, 4.0]) > 0.8 && model.score(&[1_005.0, 0.5, 4.0]) < 0.2);
            assert_eq!(model.weights[2], 0.0, "a feature that never changes says nothing");
        }
    }

    #[test]
    fn linfa_takes_the_more_frequent_outcome_for_the_positive_one() {
        let class = |labels| {
            let dataset = DatasetBase::new(array![[1.0], [2.0], [3.0]], labels);
            LogisticRegression::default().fit(&dataset).unwrap().labels().pos.class
        };
        assert!(class(array![true, true, false]));
        assert!(!class(array![false, false, true]), "linfa has changed: the sign need not be turned any more");
    }

    #[test]
    fn a_window_that_says_nothing_is_refused() {
        let settings = LogisticSettings { rows: 10, ..LogisticSettings::default() };
        let mut window = Window::new(1, 100, 100);
        assert!(matches!(fit_logistic(&window, settings, &Linear::neutral(1)), Err(LearnError::TooFew { rows: 0, needed: 10 })));
        (0..10).for_each(|at| window.push(at, &[at as f32], true));
        assert!(matches!(fit_logistic(&window, settings, &Linear::neutral(1)), Err(LearnError::OneOutcome(10))));
    }

    #[test]
    fn the_same_window_gives_the_same_model() {
        let fit = || fit_logistic(&window(0.7), LogisticSettings::default(), &Linear::neutral(3)).unwrap();
        assert_eq!(fit(), fit());
    }

    #[test]
    fn a_model_to_start_from_saves_steps() {
        for positives in [0.9, 0.4] {
            let window = window(positives);
            let full = fit_logistic(&window, LogisticSettings::default(), &Linear::neutral(3)).unwrap();
            let one_step = LogisticSettings { iterations: 1, ..LogisticSettings::default() };
            let from_full = fit_logistic(&window, one_step, &full).unwrap();
            let from_nothing = fit_logistic(&window, one_step, &Linear::neutral(3)).unwrap();
            let off = |other: &Linear| (other.weights[0] - full.weights[0]).abs() / full.weights[0];
            assert!(off(&from_full) < 0.01 && off(&from_nothing) > 0.1, "{full:?} {from_full:?} {from_nothing:?}");
        }
    }
}
