//! The past that a model is fitted to.

use std::collections::VecDeque;

use super::model::finite;

/// Rows with their labels and times, bounded in number and in age: the oldest go first.
#[derive(Debug, Clone)]
pub struct Window {
    width: usize,
    capacity: usize,
    age: u64,
    rows: VecDeque<(u64, bool, Box<[f32]>)>,
}

impl Window {
    /// An empty one for rows of `width` features, of at most `capacity` rows that are at most `age` old, in the caller's unit.
    pub const fn new(width: usize, capacity: usize, age: u64) -> Self {
        Self { width, capacity, age, rows: VecDeque::new() }
    }

    /// Takes in a row of the time `at` whose label is known, and lets go of what is too old or too much.
    pub fn push(&mut self, at: u64, row: &[f32], label: bool) {
        debug_assert_eq!(row.len(), self.width, "a row of another schema");
        self.rows.push_back((at, label, row.into()));
        while self.rows.len() > self.capacity || self.rows.front().is_some_and(|(first, ..)| first.saturating_add(self.age) < at)
        {
            self.rows.pop_front();
        }
    }

    /// Lets go of every second row.
    pub fn thin(&mut self) {
        let mut is_kept = false;
        self.rows.retain(|_| {
            is_kept = !is_kept;
            is_kept
        });
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many features a row has.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The labels, oldest first.
    pub fn labels(&self) -> impl Iterator<Item = bool> {
        self.rows.iter().map(|(_, label, _)| *label)
    }

    /// The rows, oldest first.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> + Clone {
        self.rows.iter().map(|(_, _, row)| &**row)
    }

    /// The mean and the standard deviation of each feature in this window. Nothing else may scale rows: what is not in the window
    /// yet must not be known.
    pub(super) fn scale(&self) -> Vec<(f64, f64)> {
        scale(self.rows(), self.width)
    }
}

/// The mean and the standard deviation of each feature.
pub(super) fn scale<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, width: usize) -> Vec<(f64, f64)> {
    let count = rows.clone().count().max(1) as f64;
    let mut sums = vec![(0.0, 0.0); width];
    for row in rows.clone() {
        sums.iter_mut().zip(row).for_each(|((sum, _), &feature)| *sum += finite(feature));
    }
    for row in rows {
        for ((sum, squares), &feature) in sums.iter_mut().zip(row) {
            let off = finite(feature) - *sum / count;
            *squares += off * off;
        }
    }
    sums.into_iter().map(|(sum, squares)| (sum / count, (squares / count).sqrt())).collect()
}

/// A feature in standard deviations from its mean; 0 if it is always the same.
pub(super) fn standardised(feature: f32, (mean, deviation): (f64, f64)) -> f64 {
    if deviation > 1e-9 { (finite(feature) - mean) / deviation } else { 0.0 }
}

/// Weights for standardised features made weights for features as they come, and the intercept that goes with them.
pub(super) fn unscaled(intercept: f64, weights: &[f64], scale: &[(f64, f64)]) -> (f64, Vec<f64>) {
    let raw = |(&weight, &(_, deviation)): (&f64, &(f64, f64))| if deviation > 1e-9 { weight / deviation } else { 0.0 };
    let raw: Vec<f64> = weights.iter().zip(scale).map(raw).collect();
    let shift: f64 = raw.iter().zip(scale).map(|(weight, (mean, _))| weight * mean).sum();
    (intercept - shift, raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_rows_leave_first() {
        let mut window = Window::new(1, 3, 100);
        (0..5).for_each(|i| window.push(i, &[i as f32], i % 2 == 0));
        assert_eq!(window.rows().map(|row| row[0]).collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
        window.push(103, &[9.0], true);
        assert_eq!(window.rows().map(|row| row[0]).collect::<Vec<_>>(), [3.0, 4.0, 9.0]);
        assert_eq!(window.labels().collect::<Vec<_>>(), [false, true, true]);
        window.thin();
        assert_eq!(window.rows().map(|row| row[0]).collect::<Vec<_>>(), [3.0, 9.0]);
        window.push(1_000, &[0.0], true);
        assert_eq!(window.len(), 1);
    }

    #[test]
    fn weights_mean_the_same_after_the_scale_is_taken_out() {
        let mut window = Window::new(3, 10, 100);
        [[1.0, 5.0, 7.0], [3.0, 9.0, 7.0], [8.0, 1.0, 7.0]].iter().for_each(|row| window.push(0, row, true));
        let scale = window.scale();
        assert_eq!((scale[0].0, scale[2]), (4.0, (7.0, 0.0)));
        let weights = [0.5, -2.0, 3.0];
        let (intercept, raw) = unscaled(0.25, &weights, &scale);
        let row = [2.0, 4.0, 11.0];
        let scaled: f64 = row.iter().zip(&scale).zip(weights).map(|((&x, &s), weight)| standardised(x, s) * weight).sum();
        let plain: f64 = row.iter().zip(&raw).map(|(&x, weight)| f64::from(x) * weight).sum();
        assert!((scaled + 0.25 - (plain + intercept)).abs() < 1e-12);
    }
}
