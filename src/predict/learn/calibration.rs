//! Makes scores probabilities: of what is given 30 %, 30 % shall happen. The order of scores stays.

use std::collections::VecDeque;

use super::model::{logit, sigmoid};

/// Stretches and shifts log-odds: two numbers, so a few hundred labels are enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Platt {
    slope: f64,
    shift: f64,
}

impl Platt {
    /// Fits by Newton's method, held back towards leaving scores as they are by the weight of about ten labels.
    pub fn fit(pairs: impl Iterator<Item = (f64, bool)> + Clone) -> Self {
        const HELD: f64 = 2.5;
        const FLATTEST: f64 = 0.01;
        let (mut slope, mut shift) = (1.0, 0.0);
        for _ in 0..50 {
            let (mut gradient, mut hessian) = ([HELD * (slope - 1.0), HELD * shift], [HELD, 0.0, HELD]);
            for (score, label) in pairs.clone() {
                let x = logit(score);
                let probability = sigmoid(slope * x + shift);
                let off = probability - f64::from(u8::from(label));
                let weight = probability * (1.0 - probability);
                gradient[0] += off * x;
                gradient[1] += off;
                hessian[0] += weight * x * x;
                hessian[1] += weight * x;
                hessian[2] += weight;
            }
            let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
            let mut step = [
                (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant,
                (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant,
            ];
            // A falling function would turn the order of scores around: the slope stays where it is, and the shift does the rest.
            if slope <= FLATTEST && step[0] > 0.0 {
                step = [0.0, gradient[1] / hessian[2]];
            }
            // A long step could overshoot where the curve is flat.
            slope = (slope - step[0].clamp(-0.5, 0.5)).max(FLATTEST);
            shift -= step[1].clamp(-1.0, 1.0);
            if step.iter().all(|step| step.abs() < 1e-9) {
                break;
            }
        }
        Self { slope, shift }
    }

    /// The probability for a score.
    pub fn apply(self, score: f64) -> f64 {
        sigmoid(self.slope * logit(score) + self.shift)
    }
}

/// A calibration that is fitted again and again to what became known last.
#[derive(Debug, Clone)]
pub struct Recalibrated {
    /// How far back it looks, and how often it is fitted, in the caller's unit of time.
    span: u64,
    every: u64,
    /// The fewest pairs that are worth a fit, and the most that are kept.
    bounds: (usize, usize),
    pairs: VecDeque<(u64, f64, bool)>,
    due: u64,
    platt: Option<Platt>,
}

impl Recalibrated {
    /// Fitted every `every` to the last `span`, once there are `bounds.0` pairs, to the last `bounds.1` at most.
    pub const fn new(span: u64, every: u64, bounds: (usize, usize)) -> Self {
        Self { span, every, bounds, pairs: VecDeque::new(), due: 0, platt: None }
    }

    /// The probability for a score.
    pub fn apply(&self, score: f64) -> f64 {
        self.platt.map_or(score, |platt| platt.apply(score))
    }

    /// Takes in, at `now`, what came of something that had this score.
    pub fn learn(&mut self, now: u64, score: f64, label: bool) {
        self.pairs.push_back((now, score, label));
        while self.pairs.len() > self.bounds.1 || self.pairs.front().is_some_and(|(at, ..)| at.saturating_add(self.span) < now) {
            self.pairs.pop_front();
        }
        if now >= self.due && self.pairs.len() >= self.bounds.0 {
            self.platt = Some(Platt::fit(self.pairs.iter().map(|&(_, score, label)| (score, label))));
            self.due = now.saturating_add(self.every);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::learn::scores::calibration_error;

    /// Scores that are too sure of themselves by a factor of three in log-odds, and lean to yes.
    fn too_sure(count: usize) -> Vec<(f64, bool)> {
        let mut random = fastrand::Rng::with_seed(5);
        let mut pair = || {
            let truth = random.f64();
            (sigmoid(3.0 * logit(truth) + 1.0), random.f64() < truth)
        };
        (0..count).map(|_| pair()).collect()
    }

    #[test]
    fn the_error_comes_down_on_what_was_not_seen() {
        let pairs = too_sure(8_000);
        let (seen, unseen) = pairs.split_at(4_000);
        assert!(calibration_error(unseen) > 0.1);
        let platt = Platt::fit(seen.iter().copied());
        let calibrated: Vec<_> = unseen.iter().map(|&(score, label)| (platt.apply(score), label)).collect();
        assert!(calibration_error(&calibrated) < 0.03, "{platt:?}: {}", calibration_error(&calibrated));
    }

    #[test]
    fn probabilities_never_fall_as_scores_rise() {
        let platt = Platt::fit(too_sure(500).into_iter().map(|(score, label)| (score, !label)));
        assert!((0..1_000).map(|i| platt.apply(f64::from(i) / 1_000.0)).collect::<Vec<_>>().is_sorted());
    }

    #[test]
    fn without_evidence_scores_stay_as_they_are() {
        assert!((Platt::fit(std::iter::empty()).apply(0.3) - 0.3).abs() < 1e-9);
        let mut recalibrated = Recalibrated::new(7, 1, (100, 1_000));
        (0..50).for_each(|_| recalibrated.learn(1, 0.9, false));
        assert_eq!(recalibrated.apply(0.9), 0.9);
        (0..50).for_each(|_| recalibrated.learn(2, 0.9, false));
        assert!(recalibrated.apply(0.9) < 0.2);
        // What is too old is forgotten.
        (0..200).for_each(|_| recalibrated.learn(20, 0.9, true));
        recalibrated.learn(21, 0.9, true);
        assert!(recalibrated.apply(0.9) > 0.9);
    }
}
