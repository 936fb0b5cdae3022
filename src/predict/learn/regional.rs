//! One model per region, which begins as everybody's.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    error::LearnError,
    ftrl::{Ftrl, FtrlSettings},
    linear::Linear,
    model::{Model, sigmoid},
};

/// Labels until a region's model speaks for itself alone.
const FULL: u64 = 500;
/// Regions that have a model of their own, at most.
const REGIONS: usize = 256;

/// A model of all regions together, and one of each that begins as a copy of it.
///
/// A region with few labels is scored by both, the more by its own the more labels it has, and from five hundred on by its own alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regional {
    everywhere: Ftrl,
    regions: HashMap<String, Own>,
}

/// A region's own model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Own {
    model: Ftrl,
    labels: u64,
}

impl Regional {
    /// One that says one half to every row of `width` features.
    ///
    /// # Errors
    ///
    /// [`LearnError::Settings`] for settings out of their range.
    pub fn new(width: usize, settings: FtrlSettings) -> Result<Self, LearnError> {
        Ok(Self { everywhere: Ftrl::new(width, settings)?, regions: HashMap::new() })
    }

    /// How many features a row has.
    pub fn width(&self) -> usize {
        self.everywhere.linear().width()
    }

    /// The probability that `row` comes true in `region`.
    pub fn score(&self, region: &str, row: &[f32]) -> f64 {
        let everywhere = self.everywhere.linear();
        match self.own(region) {
            Some((own, weight)) => sigmoid(weight * own.value(row) + (1.0 - weight) * everywhere.value(row)),
            None => sigmoid(everywhere.value(row)),
        }
    }

    /// What each feature adds to the log-odds of the score.
    pub fn explain(&self, region: &str, row: &[f32], contributions: &mut [f64]) {
        let everywhere = self.everywhere.linear();
        let (own, weight) = self.own(region).unwrap_or((everywhere, 0.0));
        let weights = own.weights.iter().zip(&everywhere.weights).map(|(own, all)| weight * own + (1.0 - weight) * all);
        for ((contribution, weight), &feature) in contributions.iter_mut().zip(weights).zip(row) {
            *contribution = weight * super::model::finite(feature);
        }
    }

    /// Learns that `row` came true in `region`, or did not.
    pub fn learn(&mut self, region: &str, row: &[f32], came_true: bool) {
        if !self.regions.contains_key(region) && self.regions.len() < REGIONS {
            self.regions.insert(region.to_owned(), Own { model: self.everywhere.clone(), labels: 0 });
        }
        if let Some(own) = self.regions.get_mut(region) {
            own.model.learn(row, came_true);
            own.labels += 1;
        }
        self.everywhere.learn(row, came_true);
    }

    /// How many labels have been learned from, in all regions.
    pub const fn learned(&self) -> u64 {
        self.everywhere.learned()
    }

    /// The region's own weights, and how much they count.
    fn own(&self, region: &str) -> Option<(&Linear, f64)> {
        let own = self.regions.get(region)?;
        Some((own.model.linear(), own.labels.min(FULL) as f64 / FULL as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(labels: u64) -> Regional {
        let mut regional = Regional::new(1, FtrlSettings::default()).unwrap();
        // The world says yes to the feature, the south says no.
        (0..3_000).for_each(|i| regional.learn("north", &[1.0], i % 10 != 0));
        (0..labels).for_each(|_| regional.learn("south", &[1.0], false));
        regional
    }

    #[test]
    fn a_new_region_is_like_all_and_becomes_like_itself() {
        let (new, young, old) = (taught(0), taught(20), taught(1_000));
        let score = |regional: &Regional| regional.score("south", &[1.0]);
        assert!(score(&new) > 0.85 && (score(&new) - new.score("nowhere", &[1.0])).abs() < 1e-12);
        assert!(score(&young) < score(&new) && score(&young) > 0.5);
        assert!(score(&old) < 0.2 && old.score("north", &[1.0]) > 0.85);
    }

    #[test]
    fn contributions_add_up() {
        let regional = taught(100);
        let mut contributions = [0.0];
        regional.explain("south", &[2.0], &mut contributions);
        let (with, without) = (regional.score("south", &[2.0]), regional.score("south", &[0.0]));
        let odds = |probability: f64| (probability / (1.0 - probability)).ln();
        assert!((odds(with) - odds(without) - contributions[0]).abs() < 1e-9);
    }

    #[test]
    fn regions_are_bounded_and_saved() {
        let mut regional = Regional::new(1, FtrlSettings::default()).unwrap();
        (0..300).for_each(|i| regional.learn(&format!("region {i}"), &[1.0], true));
        assert_eq!((regional.regions.len(), regional.learned()), (REGIONS, 300));
        let loaded: Regional = serde_json::from_str(&serde_json::to_string(&regional).unwrap()).unwrap();
        assert!((loaded.score("region 3", &[1.0]) - regional.score("region 3", &[1.0])).abs() < 1e-12);
    }
}
