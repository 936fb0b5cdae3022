//! Learns from one label at a time: follow the regularised leader, per coordinate (linfa-ftrl).
//!
//! A row is scored when the question comes up and learned from when its answer is known; in between the model moves on. The step is
//! made on what the model would say of the row now, so a row is all that has to be kept for it.

use linfa::{DatasetBase, ParamGuard, dataset::Pr};
use ndarray::{Array1, Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use super::{
    error::LearnError,
    linear::Linear,
    model::{Model, finite},
};

/// How fast and how boldly it learns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FtrlSettings {
    /// The size of steps. From .1 to .3 is good for rows whose features are about 1 in size.
    pub alpha: f64,
    /// Makes the first steps smaller.
    pub beta: f64,
    /// Pulls weights towards 0, from 0 to 1.
    pub l2: f64,
}

impl Default for FtrlSettings {
    fn default() -> Self {
        Self { alpha: 0.1, beta: 1.0, l2: 0.0 }
    }
}

/// A logistic model that learns as labels become known.
///
/// What is learned depends on the rows, the labels and their order alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Ftrl {
    state: linfa_ftrl::Ftrl<f64>,
    /// The weights of the state, taken out once per step: a score is a plain dot product.
    linear: Linear,
    learned: u64,
}

/// What is kept of it. Written by name, so that nothing depends on the form that linfa gives its own state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Saved {
    settings: FtrlSettings,
    /// The sums of gradients, less the steps that were made; that of the intercept comes last.
    z: Vec<f64>,
    /// The sums of squared gradients.
    n: Vec<f64>,
    learned: u64,
}

impl Ftrl {
    /// One that says one half to every row of `width` features.
    ///
    /// # Errors
    ///
    /// [`LearnError::Settings`] for settings out of their range.
    pub fn new(width: usize, settings: FtrlSettings) -> Result<Self, LearnError> {
        // linfa begins with random sums: a model that has learned nothing would have opinions. So the state is made of zeroes.
        let zeroes = vec![0.0; width + 1];
        Self::try_from(Saved { settings, z: zeroes.clone(), n: zeroes, learned: 0 })
    }

    /// Learns that `row` came true, or did not.
    pub fn learn(&mut self, row: &[f32], came_true: bool) {
        let probability = [Pr::new(self.linear.score(row) as f32)];
        // linfa has no intercept: one feature is always 1. It makes one step per call on the summed gradient, so the number of rows
        // in a call is part of the learning rate: it is always one.
        let features = row.iter().map(|&feature| finite(feature)).chain([1.0]).collect();
        let Ok(row) = Array2::from_shape_vec((1, row.len() + 1), features) else { return };
        let step = DatasetBase::new(row, Array1::from_elem(1, came_true));
        self.state.update(&step, ArrayView1::from(&probability));
        self.linear = weights(&self.state);
        self.learned += 1;
    }

    /// How many labels it has learned from.
    pub const fn learned(&self) -> u64 {
        self.learned
    }

    /// What it has learned, for scoring elsewhere.
    pub const fn linear(&self) -> &Linear {
        &self.linear
    }
}

impl Model for Ftrl {
    fn width(&self) -> usize {
        self.linear.width()
    }

    fn score(&self, row: &[f32]) -> f64 {
        self.linear.score(row)
    }

    fn explain(&self, row: &[f32], contributions: &mut [f64]) {
        self.linear.explain(row, contributions);
    }
}

impl PartialEq for Ftrl {
    fn eq(&self, other: &Self) -> bool {
        Saved::from(self.clone()) == Saved::from(other.clone())
    }
}

impl TryFrom<Saved> for Ftrl {
    type Error = LearnError;

    fn try_from(saved: Saved) -> Result<Self, LearnError> {
        let FtrlSettings { alpha, beta, l2 } = saved.settings;
        linfa_ftrl::Ftrl::<f64>::params()
            .alpha(alpha)
            .beta(beta)
            .l1_ratio(0.0)
            .l2_ratio(l2)
            .check()
            .map_err(|error| LearnError::Settings(error.to_string()))?;
        if alpha == 0.0 || saved.z.is_empty() || saved.z.len() != saved.n.len() {
            return Err(LearnError::Settings("alpha is 0, or the sums are not of one length".to_owned()));
        }
        // The fields of linfa's model are private: serialisation is the only way in.
        let state = serde_json::json!({
            "alpha": alpha, "beta": beta, "l1_ratio": 0.0, "l2_ratio": l2,
            "z": serde_json::to_value(Array1::from(saved.z))?, "n": serde_json::to_value(Array1::from(saved.n))?,
        });
        let state = serde_json::from_value(state)?;
        Ok(Self { linear: weights(&state), state, learned: saved.learned })
    }
}

impl From<Ftrl> for Saved {
    fn from(ftrl: Ftrl) -> Self {
        let state = &ftrl.state;
        Self {
            settings: FtrlSettings { alpha: state.alpha(), beta: state.beta(), l2: state.l2_ratio() },
            z: state.z().to_vec(),
            n: state.n().to_vec(),
            learned: ftrl.learned,
        }
    }
}

fn weights(state: &linfa_ftrl::Ftrl<f64>) -> Linear {
    let mut weights = state.get_weights().to_vec();
    let intercept = weights.pop().unwrap_or_default();
    Linear { intercept, weights }
}

#[cfg(test)]
mod tests {
    use linfa::traits::FitWith;
    use ndarray::array;

    use super::*;

    /// Rows of two features of which the first decides, and a coin that is right nine times of ten.
    fn rows(count: usize) -> Vec<([f32; 2], bool)> {
        let mut random = fastrand::Rng::with_seed(7);
        let row = |_| {
            let row = [random.f32() * 2.0 - 1.0, random.f32()];
            (row, (row[0] > 0.0) == (random.f32() < 0.9))
        };
        (0..count).map(row).collect()
    }

    fn trained(rows: &[([f32; 2], bool)]) -> Ftrl {
        let mut ftrl = Ftrl::new(2, FtrlSettings::default()).unwrap();
        rows.iter().for_each(|(row, label)| ftrl.learn(row, *label));
        ftrl
    }

    #[test]
    fn it_begins_without_an_opinion_though_linfa_would_not() {
        let ftrl = Ftrl::new(2, FtrlSettings::default()).unwrap();
        assert_eq!(ftrl.score(&[3.0, -4.0]), 0.5);
        let begun = linfa_ftrl::Ftrl::<f64>::new(linfa_ftrl::Ftrl::params().check().unwrap(), 2);
        assert!(begun.z().iter().any(|&z| z != 0.0), "linfa begins with zeroes now: the way around is not needed any more");
    }

    #[test]
    fn it_learns_a_base_rate_though_linfa_has_no_intercept() {
        let mut ftrl = Ftrl::new(1, FtrlSettings::default()).unwrap();
        (0..2_000).for_each(|i| ftrl.learn(&[0.0], i % 5 == 0));
        assert!((ftrl.score(&[0.0]) - 0.2).abs() < 0.05, "{}", ftrl.score(&[0.0]));
        let params = linfa_ftrl::Ftrl::<f64>::params().alpha(0.1).beta(1.0).l1_ratio(0.0).l2_ratio(0.0);
        let zeroes = DatasetBase::new(array![[0.0], [0.0]], array![true, true]);
        let bare = params.fit_with(None, &zeroes).unwrap();
        assert_eq!(*linfa::traits::Predict::predict(&bare, &array![[0.0]])[0], 0.5, "linfa has an intercept now");
    }

    #[test]
    fn one_row_is_one_step_and_two_rows_in_a_step_are_not_two_steps() {
        let rows = rows(2);
        let mut together = Ftrl::new(2, FtrlSettings::default()).unwrap();
        let one_by_one = trained(&rows);
        let features = Array2::from_shape_fn((2, 3), |(i, j)| rows[i].0.get(j).map_or(1.0, |&feature| f64::from(feature)));
        let step = DatasetBase::new(features, array![rows[0].1, rows[1].1]);
        together.state.update(&step, ArrayView1::from(&[Pr::new(0.5), Pr::new(0.5)]));
        let ours: Vec<f64> = one_by_one.state.n().to_vec();
        assert_ne!(ours, together.state.n().to_vec(), "the size of a batch does not change the rate any more");
        let by_hand = {
            let first = (0.5 - f64::from(u8::from(rows[0].1))) * f64::from(rows[0].0[0]);
            let mut after = Ftrl::new(2, FtrlSettings::default()).unwrap();
            after.learn(&rows[0].0, rows[0].1);
            let second = (after.score(&rows[1].0) - f64::from(u8::from(rows[1].1))) * f64::from(rows[1].0[0]);
            first * first + second * second
        };
        assert!((ours[0] - by_hand).abs() < 1e-6, "{} {by_hand}", ours[0]);
    }

    #[test]
    fn it_learns_and_learns_the_same_again() {
        let rows = rows(4_000);
        let ftrl = trained(&rows);
        assert!(ftrl.score(&[0.8, 0.5]) > 0.8 && ftrl.score(&[-0.8, 0.5]) < 0.2);
        assert_eq!(ftrl, trained(&rows));
        assert_eq!(ftrl.learned(), 4_000);
    }

    #[test]
    fn it_goes_on_where_it_was_saved() {
        let rows = rows(200);
        let (before, after) = rows.split_at(100);
        let saved = serde_json::to_string(&trained(before)).unwrap();
        let mut loaded: Ftrl = serde_json::from_str(&saved).unwrap();
        after.iter().for_each(|(row, label)| loaded.learn(row, *label));
        let straight = trained(&rows);
        assert_eq!(loaded.learned(), 200);
        assert!((loaded.score(&[0.3, 0.3]) - straight.score(&[0.3, 0.3])).abs() < 1e-9);
        assert!(saved.len() < 400, "{saved}");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for settings in [
            FtrlSettings { alpha: -1.0, ..FtrlSettings::default() },
            FtrlSettings { alpha: 0.0, ..FtrlSettings::default() },
            FtrlSettings { l2: 2.0, ..FtrlSettings::default() },
        ] {
            assert!(matches!(Ftrl::new(2, settings), Err(LearnError::Settings(_))), "{settings:?}");
        }
        let torn = r#"{"settings":{"alpha":0.1,"beta":1.0,"l2":0.0},"z":[0.0],"n":[],"learned":0}"#;
        assert!(serde_json::from_str::<Ftrl>(torn).is_err());
    }
}
