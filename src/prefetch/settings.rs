//! What is in force.

use std::{collections::HashMap, sync::Arc};

use super::plan::Places;
use crate::config::{self, Config};

/// The part of a configuration that prefetching goes by.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) prefetch: config::Prefetch,
    pub(super) region: Arc<str>,
    weights: HashMap<Arc<str>, f64>,
    /// What all disks hold together.
    disks: u64,
    /// How many blobs each upstream sends at once.
    places: HashMap<Arc<str>, usize>,
}

impl Settings {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            prefetch: config.prefetch.clone(),
            region: config.server.region.as_str().into(),
            weights: config.customer.iter().map(|customer| (customer.name.as_str().into(), customer.weight)).collect(),
            disks: config.storage.disk.iter().map(|disk| disk.limit.as_u64()).fold(0, u64::saturating_add),
            places: config.upstream.iter().map(|upstream| (upstream.route_name().into(), upstream.max_concurrency)).collect(),
        }
    }

    /// What is in force when `new` is taken over while running: the disks and the region stay what they are.
    pub(super) fn followed_by(&self, new: Self) -> Self {
        Self { disks: self.disks, region: self.region.clone(), ..new }
    }

    /// How much a customer counts.
    pub(super) fn weight(&self, customer: Option<&Arc<str>>) -> f64 {
        customer.and_then(|name| self.weights.get(name)).copied().unwrap_or(1.0)
    }

    /// Bytes that may be here without anybody having asked for them.
    pub(super) fn room(&self) -> u64 {
        (self.disks as f64 * self.prefetch.disk_share) as u64
    }

    /// How many transfers each upstream may have: clients keep half of its places for themselves, and three quarters from what is
    /// not urgent.
    pub(super) fn places(&self) -> impl Iterator<Item = (&Arc<str>, Places)> {
        self.places.iter().map(|(route, places)| (route, Places { pulls: places / 2, rest: places / 4 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Customer, Upstream};

    #[test]
    fn clients_keep_most_of_an_upstreams_places() {
        let mut config = Config { upstream: vec![Upstream::new("a.io"), Upstream::new("b.io")], ..Config::default() };
        config.customer = vec![Customer { name: "acme".to_owned(), weight: 4.0 }];
        config.upstream[1].max_concurrency = 6;
        let settings = Settings::new(&config);
        let weights = [Some("acme".into()), Some("x".into()), None].map(|name| settings.weight(name.as_ref()));
        assert_eq!(weights, [4.0, 1.0, 1.0]);
        let places: HashMap<_, _> = settings.places().collect();
        assert_eq!(places[&Arc::from("b.io")], Places { pulls: 3, rest: 1 });
    }
}
