//! One learned probability.

use serde::Serialize;

use super::learn::{Ftrl, FtrlSettings, LearnError, Model, Schema, Store};

/// What one feature adds to a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Contribution {
    /// What the feature says.
    pub feature: &'static str,
    /// What it is.
    pub value: f32,
    /// What it adds to the logarithm of the odds.
    pub contribution: f64,
}

/// Scores rows, and learns as the answers become known.
#[derive(Debug)]
pub(super) struct Scorer {
    name: &'static str,
    schema: Schema,
    online: Ftrl,
}

impl Scorer {
    /// One that says one half to every row.
    pub(super) fn new(name: &'static str, schema: Schema) -> Self {
        let online = Ftrl::new(schema.width(), FtrlSettings::default()).expect("the default settings are good ones");
        Self { name, schema, online }
    }

    /// Takes over what was learned before, if that is from more answers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), LearnError> {
        let kept: Option<Ftrl> = store.load(self.name, self.schema.version)?;
        if let Some(kept) = kept.filter(|kept| kept.width() == self.schema.width() && kept.learned() > self.learned()) {
            self.online = kept;
        }
        Ok(())
    }

    /// Keeps what has been learned.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(super) fn save(&self, store: &Store) -> Result<(), LearnError> {
        store.save(self.name, self.schema.version, &self.online)
    }

    /// Log-odds of a row.
    pub(super) fn log_odds(&self, row: &[f32]) -> f64 {
        self.online.linear().value(row)
    }

    /// The answer to a row is known.
    pub(super) fn learn(&mut self, row: &[f32], came: bool) {
        self.online.learn(row, came);
    }

    /// How many answers it has learned from.
    pub(super) const fn learned(&self) -> u64 {
        self.online.learned()
    }

    /// What each feature of a row adds to its log-odds, the greatest first; those that add nothing are left out.
    pub(super) fn explain(&self, row: &[f32]) -> Vec<Contribution> {
        explain(self.schema, row, |contributions| self.online.explain(row, contributions))
    }
}

/// What each feature of a row adds to what a model says of it, the greatest first; those that add nothing are left out.
pub(super) fn explain(schema: Schema, row: &[f32], model: impl FnOnce(&mut [f64])) -> Vec<Contribution> {
    let mut contributions = vec![0.0; row.len()];
    model(&mut contributions);
    let named = schema.names.iter().zip(row).zip(contributions);
    let named = named.map(|((feature, value), contribution)| Contribution { feature, value: *value, contribution });
    let mut named: Vec<_> = named.filter(|one| one.contribution != 0.0).collect();
    named.sort_by(|one, other| other.contribution.abs().total_cmp(&one.contribution.abs()));
    named
}
