//! Who predicts.

use harbinger::predict::learn::{
    Ftrl, FtrlSettings, Learner, Linear, LogisticSettings, Model, Recalibrated, Window, fit_logistic,
};

use crate::features::DAY;

/// A feature that is a rate, as its log-odds halved, or an outcome.
pub(crate) struct Column {
    /// Where it is in the row.
    pub(crate) index: usize,
    /// Whether it is log-odds.
    pub(crate) is_rate: bool,
}

impl Learner for Column {
    fn predict(&mut self, row: &[f32], _heard: &[f64], _now: u64) -> f64 {
        let value = f64::from(row[self.index]);
        if self.is_rate { probability(2.0 * value) } else { value }
    }

    fn learn(&mut self, _row: &[f32], _said: &[f64], _came_true: bool, _now: u64) {}
}

/// Learns from each label as it becomes known.
pub(crate) struct Online(Ftrl);

impl Online {
    /// For rows of `width` features.
    pub(crate) fn new(width: usize) -> Self {
        Self(Ftrl::new(width, FtrlSettings::default()).expect("the settings are right"))
    }
}

impl Learner for Online {
    fn predict(&mut self, row: &[f32], _heard: &[f64], _now: u64) -> f64 {
        self.0.score(row)
    }

    fn learn(&mut self, row: &[f32], _said: &[f64], came_true: bool, _now: u64) {
        self.0.learn(row, came_true);
    }
}

/// Fitted anew every week to what became known in the last year.
pub(crate) struct Weekly {
    window: Window,
    due: u64,
    model: Linear,
}

impl Weekly {
    const SETTINGS: LogisticSettings = LogisticSettings { l2: 30.0, iterations: 15, rows: 200 };

    /// For rows of `width` features.
    pub(crate) fn new(width: usize) -> Self {
        Self { window: Window::new(width, 100_000, 365 * DAY), due: 0, model: Linear::neutral(width) }
    }
}

impl Learner for Weekly {
    fn predict(&mut self, row: &[f32], _heard: &[f64], now: u64) -> f64 {
        if now >= self.due {
            self.due = now + 7 * DAY;
            // Too few labels, or all the same: the model that stands is as good as any.
            if let Ok(model) = fit_logistic(&self.window, Self::SETTINGS, &self.model) {
                self.model = model;
            }
        }
        self.model.score(row)
    }

    fn learn(&mut self, row: &[f32], _said: &[f64], came_true: bool, now: u64) {
        self.window.push(now, row, came_true);
    }
}

/// The mean of the log-odds of some of the learners before it, calibrated every day on what became known in the last two months.
pub(crate) struct Blend {
    of: &'static [usize],
    calibration: Recalibrated,
}

impl Blend {
    /// Of the learners of these numbers.
    pub(crate) fn new(of: &'static [usize]) -> Self {
        Self { of, calibration: Recalibrated::new(60 * DAY, DAY, (300, 20_000)) }
    }

    fn mean(&self, said: &[f64]) -> f64 {
        probability(
            self.of.iter().map(|&learner| (said[learner] / (1.0 - said[learner])).ln()).sum::<f64>() / self.of.len() as f64,
        )
    }
}

impl Learner for Blend {
    fn predict(&mut self, _row: &[f32], heard: &[f64], _now: u64) -> f64 {
        self.calibration.apply(self.mean(heard))
    }

    fn learn(&mut self, _row: &[f32], said: &[f64], came_true: bool, now: u64) {
        self.calibration.learn(now, self.mean(said), came_true);
    }
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
