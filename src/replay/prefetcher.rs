//! What is fetched before it is asked for.

mod clairvoyant;
mod markov;
mod model;
mod popularity;
mod rule;

use super::workload::{ContentId, Step, Workload};
use crate::{
    events::Millis,
    predict::{Prophet, Without},
};

/// Decides what is fetched, from what has happened so far.
pub(super) trait Prefetcher {
    /// Something happened somewhere; the simulator has not acted on it yet. Puts into `wishes` what is to be fetched now.
    fn observe(&mut self, step: &Step, cache: &dyn View, wishes: &mut Vec<Wish>);

    /// It is `now`, and a tag was moved a while ago: as long as it takes to find out.
    fn discover(&mut self, _step: &Step, _now: Millis, _cache: &dyn View, _wishes: &mut Vec<Wish>) {}

    /// The prophet that it asks, if it asks one.
    fn prophet(&mut self) -> Option<&mut Prophet> {
        None
    }
}

/// What a prefetcher can see of the cache.
pub(super) trait View {
    /// Whether a content has ever been here.
    fn was_here(&self, content: ContentId) -> bool;

    /// Whether a content is here or on its way.
    fn is_here(&self, content: ContentId) -> bool;
}

/// A content to be fetched, unless it is here or on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) content: ContentId,
    /// Whether it goes before what is only likely to be asked for some time.
    pub(super) urgent: bool,
}

/// What a prefetcher is made of.
pub(super) struct Setting<'a> {
    pub(super) workload: &'a Workload,
    pub(super) region: u16,
}

type Make = for<'a> fn(&Setting<'a>) -> Box<dyn Prefetcher + 'a>;

/// All prefetchers: name, meaning, and how one is made.
const ALL: &[(&str, &str, Make)] = &[
    ("none", "nothing", |_| Box::new(Nothing)),
    ("manifest", "on a manifest all its layers (FAST 2018)", |setting| Box::new(rule::Rule::manifests(setting))),
    ("tag-follow", "new images of public tags that were pulled here within 30 days", |setting| {
        Box::new(rule::Rule::tags(setting))
    }),
    ("popularity", "every hour the thousand layers with the greatest decayed counts", |setting| {
        Box::new(popularity::Popularity::new(setting))
    }),
    ("markov-layer", "the layers that followed this one before", |setting| Box::new(markov::Markov::new(setting, false))),
    ("markov-image", "the layers of the images that followed this one before", |setting| {
        Box::new(markov::Markov::new(setting, true))
    }),
    ("rule", "tag-follow, pushes, and what a customer pulls elsewhere; only layers that were never here", |setting| {
        Box::new(rule::Rule::new(setting))
    }),
    ("graph-rule", "rule, and on a manifest the layers that its client lacks", |setting| {
        Box::new(rule::Rule::new(setting).with_clients())
    }),
    (
        "model",
        "what serve runs: graph-rule and what else a client's customer runs, each layer judged by what is learned",
        |setting| Box::new(model::Model::new(setting, None)),
    ),
    ("model-graph", "model without what images have in common", |setting| {
        Box::new(model::Model::new(setting, Some(Without::Graph)))
    }),
    ("model-time", "model without times", |setting| Box::new(model::Model::new(setting, Some(Without::Time)))),
    ("model-regions", "model without what happens in other regions", |setting| {
        Box::new(model::Model::new(setting, Some(Without::Regions)))
    }),
    ("model-customers", "model without who runs what", |setting| Box::new(model::Model::new(setting, Some(Without::Customers)))),
    ("clairvoyant", "bound: everything a minute before it is asked for, if it was published by then", |setting| {
        Box::new(clairvoyant::Clairvoyant::new(setting))
    }),
];

/// Name and meaning of each prefetcher.
pub fn prefetchers() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().map(|(name, meaning, _)| (*name, *meaning))
}

/// Makes a prefetcher by its name; `None` when there is no such prefetcher.
pub(super) fn make<'a>(name: &str, setting: &Setting<'a>) -> Option<Box<dyn Prefetcher + 'a>> {
    ALL.iter().find(|(own, ..)| *own == name).map(|(.., make)| make(setting))
}

struct Nothing;

impl Prefetcher for Nothing {
    fn observe(&mut self, _step: &Step, _cache: &dyn View, _wishes: &mut Vec<Wish>) {}
}
