//! Who says how likely it is: the model that learns from each answer, the challenger while it is better, or one that was trained
//! elsewhere.

use std::sync::Arc;

use super::{DAY, FEWEST_ANSWERS, challenger::Challenger, features};
use crate::{
    events::Millis,
    predict::{
        learn::{FtrlSettings, LearnError, Model, Pace, Recalibrated, Regional, Store},
        scorer::{Contribution, explain},
    },
};

/// Answers that probabilities are calibrated to: those of a week, once there are so many, and at most.
const CALIBRATED_TO: (usize, usize) = (500, 40_000);

/// The name under which what was learned is kept.
const NAME: &str = "expected";

#[derive(Debug)]
pub(in crate::predict) struct Models {
    region: Arc<str>,
    /// Begins, in a region that is new, as what was learned in others.
    online: Regional,
    challenger: Challenger,
    given: Option<Arc<dyn Model>>,
    calibration: Recalibrated,
}

/// What was said of a row when it was asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// The probability.
    pub(super) probability: f64,
    /// Before it was calibrated.
    score: f64,
    online: f64,
    challenger: Option<f64>,
}

impl Models {
    pub(super) fn new(region: Arc<str>, pace: Pace) -> Self {
        Self {
            region,
            online: Regional::new(features::SCHEMA.width(), FtrlSettings::default()).expect("the default settings are good ones"),
            challenger: Challenger::new(pace),
            given: None,
            calibration: Recalibrated::new(7 * DAY, DAY, CALIBRATED_TO),
        }
    }

    /// Lets one that was trained elsewhere speak, whatever is learned here.
    pub(in crate::predict) fn give(&mut self, model: Arc<dyn Model>) {
        self.given = Some(model);
    }

    /// Whether what is said is worth listening to.
    pub(super) fn know(&self) -> bool {
        self.given.is_some() || self.online.learned() >= FEWEST_ANSWERS
    }

    pub(super) fn say(&self, row: &[f32]) -> Said {
        let (online, challenger) = (self.online.score(&self.region, row), self.challenger.score(row));
        let score = match &self.given {
            Some(given) => given.score(row),
            None => challenger.filter(|_| self.challenger.leader().is_some()).unwrap_or(online),
        };
        Said { probability: self.calibration.apply(score), score, online, challenger }
    }

    /// What it is called that speaks.
    pub(super) fn speaker(&self) -> &'static str {
        match (&self.given, self.challenger.leader()) {
            (Some(_), _) => "file",
            (None, Some(_)) => "challenger",
            (None, None) => "model",
        }
    }

    pub(super) fn explain(&self, row: &[f32]) -> Vec<Contribution> {
        match (&self.given, self.challenger.leader()) {
            (Some(given), _) => explain(features::SCHEMA, row, |contributions| given.explain(row, contributions)),
            (None, Some(leader)) => explain(features::SCHEMA, row, |contributions| leader.explain(row, contributions)),
            (None, None) => explain(features::SCHEMA, row, |contributions| self.online.explain(&self.region, row, contributions)),
        }
    }

    /// The answer to a row is known at `now`.
    pub(super) fn learn(&mut self, now: Millis, row: &[f32], said: &Said, came: bool) {
        self.calibration.learn(now, said.score, came);
        self.challenger.learn(now, row, said.online, said.challenger, came);
        self.online.learn(&self.region, row, came);
    }

    /// Takes over what was learned before, if that is from more answers.
    pub(in crate::predict) fn load(&mut self, store: &Store) -> Result<(), LearnError> {
        let kept: Option<Regional> = store.load(NAME, features::SCHEMA.version)?;
        if let Some(kept) = kept.filter(|kept| kept.width() == features::SCHEMA.width() && kept.learned() > self.online.learned())
        {
            self.online = kept;
        }
        Ok(())
    }

    /// Keeps what has been learned online; the rest is learned again from the demand log.
    pub(in crate::predict) fn save(&self, store: &Store) -> Result<(), LearnError> {
        store.save(NAME, features::SCHEMA.version, &self.online)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::HORIZON, *};

    #[derive(Debug)]
    struct Always(f64);

    impl Model for Always {
        fn width(&self) -> usize {
            features::SCHEMA.width()
        }

        fn score(&self, _row: &[f32]) -> f64 {
            self.0
        }

        fn explain(&self, _row: &[f32], contributions: &mut [f64]) {
            contributions.fill(0.0);
            contributions[2] = self.0;
        }
    }

    #[test]
    fn a_model_that_is_given_speaks_at_once_and_the_others_learn_on() {
        let mut models = Models::new("here".into(), Pace::AtOnce);
        let row = [1.0; features::SCHEMA.width()];
        assert_eq!((models.know(), models.speaker(), models.say(&row).probability), (false, "model", 0.5));
        models.give(Arc::new(Always(0.8)));
        assert_eq!((models.know(), models.speaker(), models.say(&row).probability), (true, "file", 0.8));
        assert_eq!(models.explain(&row).len(), 1);
        let said = models.say(&row);
        models.learn(1, &row, &said, false);
        assert!(models.say(&row).online < 0.5);
    }

    #[test]
    fn a_region_begins_with_what_was_learned_in_another() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("models.redb")).unwrap();
        let (mut old, mut new) = (Models::new("old".into(), Pace::AtOnce), Models::new("new".into(), Pace::AtOnce));
        let row = [1.0; features::SCHEMA.width()];
        for answer in 0..FEWEST_ANSWERS {
            let said = old.say(&row);
            old.learn(answer, &row, &said, true);
        }
        old.save(&store).unwrap();
        assert_eq!((new.know(), new.say(&row).online), (false, 0.5));
        new.load(&store).unwrap();
        assert!(new.know() && new.say(&row).online > 0.9);
        let said = new.say(&row);
        new.learn(0, &row, &said, false);
        assert!(new.say(&row).online < said.online && old.say(&row).online == said.online);
    }

    #[test]
    fn what_is_too_sure_is_calibrated() {
        let mut models = Models::new("here".into(), Pace::AtOnce);
        models.give(Arc::new(Always(0.9)));
        let row = [1.0; features::SCHEMA.width()];
        for answer in 0..1_000 {
            let said = models.say(&row);
            models.learn(answer * HORIZON / 400, &row, &said, answer % 2 == 0);
        }
        let probability = models.say(&row).probability;
        assert!((0.45..0.55).contains(&probability), "{probability}");
    }
}
