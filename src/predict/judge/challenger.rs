//! A model that is fitted anew every week to the last four, and decides while it is better than the one that learns from each answer.

use super::{DAY, WEEK, features};
use crate::{
    events::Millis,
    predict::learn::{Contest, Fitting, LearnError, Linear, LogisticSettings, Model, Pace, Window, fit_logistic},
};

/// Rows that it is fitted to at most. Of more, every second one is, or every fourth, and so on.
const MOST_ROWS: usize = 20_000;

/// Answers of a week before which the two are not compared.
const FEWEST_ANSWERS: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Challenger {
    window: Window,
    /// One in so many rows is taken in, and how many have passed since.
    stride: u32,
    passed: u32,
    /// When it is fitted next, and when the two are compared next.
    fit_at: Millis,
    compare_at: Millis,
    fitting: Fitting<Result<Linear, LearnError>>,
    model: Option<Linear>,
    contest: Contest,
    leads: bool,
}

impl Challenger {
    pub(super) const fn new(pace: Pace) -> Self {
        Self {
            window: Window::new(features::SCHEMA.width(), MOST_ROWS, 4 * WEEK),
            stride: 1,
            passed: 0,
            fit_at: 0,
            compare_at: 0,
            fitting: Fitting::new(pace),
            model: None,
            contest: Contest::new(DAY, 7, FEWEST_ANSWERS),
            leads: false,
        }
    }

    /// The probability of a row, once there is a model.
    pub(super) fn score(&self, row: &[f32]) -> Option<f64> {
        self.model.as_ref().map(|model| model.score(row))
    }

    /// The model, if it is better than what learns from each answer.
    pub(super) fn leader(&self) -> Option<&Linear> {
        self.model.as_ref().filter(|_| self.leads)
    }

    /// The answer to a row is known, of which the online model and this one had said so much when it was asked about.
    pub(super) fn learn(&mut self, now: Millis, row: &[f32], online: f64, own: Option<f64>, came: bool) {
        if let Some(own) = own {
            let (champion, challenger) = if self.leads { (own, online) } else { (online, own) };
            self.contest.learn(now, champion, challenger, came);
            self.compare(now);
        }
        self.take_in(now, row, came);
        self.fit(now);
    }

    /// Once a day: who looks often enough sees anybody win once.
    fn compare(&mut self, now: Millis) {
        if now < self.compare_at {
            return;
        }
        self.compare_at = now + DAY;
        if self.contest.challenger_wins() {
            self.leads = !self.leads;
            self.contest.reset();
            let leader = if self.leads { "the model of the last four weeks" } else { "the model that learns from each answer" };
            tracing::info!(leader, "another model is better now, and decides");
        }
    }

    fn take_in(&mut self, now: Millis, row: &[f32], came: bool) {
        self.passed += 1;
        if self.passed < self.stride {
            return;
        }
        self.passed = 0;
        self.window.push(now, row, came);
        if self.window.len() == MOST_ROWS {
            self.window.thin();
            self.stride *= 2;
        } else if self.stride > 1 && self.window.len() < MOST_ROWS / 8 {
            self.stride /= 2;
        }
    }

    fn fit(&mut self, now: Millis) {
        match self.fitting.take() {
            Some(Ok(model)) => self.model = Some(model),
            Some(Err(error @ LearnError::Fit(_))) => tracing::warn!(%error, "the challenger stays as it was"),
            // There is too little to learn from yet.
            Some(Err(_)) | None => {}
        }
        if now < self.fit_at || self.fitting.is_under_way() {
            return;
        }
        self.fit_at = now + WEEK;
        let start = self.model.clone().unwrap_or_else(|| Linear::neutral(self.window.width()));
        let window = self.window.clone();
        self.fitting.begin(move || fit_logistic(&window, LogisticSettings::default(), &start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers an hour, for weeks, of which the online model says nothing; they come if `truth` says so of a number below 1.
    fn taught(
        challenger: &mut Challenger,
        weeks: std::ops::Range<u64>,
        online: impl Fn(f32) -> f64,
        truth: impl Fn(f32) -> bool,
    ) {
        let mut random = fastrand::Rng::with_seed(weeks.start);
        for at in (weeks.start * WEEK..weeks.end * WEEK).step_by(DAY as usize / 480) {
            let feature = random.f32();
            let mut row = [0.0; features::SCHEMA.width()];
            row[3] = feature;
            let own = challenger.score(&row);
            challenger.learn(at, &row, online(feature), own, truth(feature));
        }
    }

    #[test]
    fn it_leads_while_it_is_better() {
        let mut challenger = Challenger::new(Pace::AtOnce);
        let is_large = |feature: f32| feature > 0.5;
        taught(&mut challenger, 0..1, |_| 0.5, is_large);
        assert!(challenger.leader().is_none(), "it was fitted to nothing yet");
        taught(&mut challenger, 1..3, |_| 0.5, is_large);
        assert!(challenger.leader().is_some());
        // The world turns around, and only the other one has noticed.
        taught(&mut challenger, 3..4, |feature| if is_large(feature) { 0.1 } else { 0.9 }, |feature| !is_large(feature));
        assert!(challenger.leader().is_none());
    }

    #[test]
    fn it_does_not_lead_when_it_is_not_better() {
        let mut challenger = Challenger::new(Pace::AtOnce);
        let is_large = |feature: f32| feature > 0.5;
        taught(&mut challenger, 0..5, |feature| if is_large(feature) { 0.999 } else { 0.001 }, is_large);
        assert!(challenger.model.is_some() && challenger.leader().is_none());
    }

    #[test]
    fn many_rows_are_thinned_and_span_four_weeks() {
        let mut challenger = Challenger::new(Pace::AtOnce);
        let row = [0.0; features::SCHEMA.width()];
        for answer in 0..100_000_u64 {
            challenger.learn(answer * 20_000, &row, 0.5, None, answer % 3 == 0);
        }
        assert_eq!(challenger.stride, 8);
        assert!((MOST_ROWS / 2..MOST_ROWS).contains(&challenger.window.len()), "{}", challenger.window.len());
    }
}
