//! The most valuable layers of a region.

use std::{cmp::Reverse, collections::BTreeSet};

use petgraph::stable_graph::NodeIndex;
use serde::{Deserialize, Serialize};

use super::{
    super::{Interned, Role, Seconds, State, Viewer},
    Budget, Page, QuestionError, Sweep,
    image::distinct,
    shares::having,
};

/// Images that are named for one layer, at most.
const MOST_IMAGES: usize = 3;

/// Uses of one layer that are looked at to name them.
const MOST_USES: usize = 64;

/// The most valuable layers of a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Top {
    /// The region.
    pub region: String,
    /// How many layers have been asked for there.
    pub total: u64,
    /// Those of this page: the most valuable first.
    pub layers: Vec<Valuable>,
}

/// A layer that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Valuable {
    /// The layer.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// How often it was asked for, each time halved every hour, as of now.
    pub hour: f32,
    /// How often, each time halved every day.
    pub day: f32,
    /// How often, each time halved every week.
    pub week: f32,
    /// When it was last asked for, in seconds since the beginning of 1970.
    pub last: u32,
    /// Tags of images that have it: at most 3.
    pub images: Vec<String>,
}

/// What makes a layer valuable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The bytes that are asked for: how often, halved every day, times its length. What a cache saves its upstream.
    #[default]
    Bytes,
    /// How often it is asked for, halved every day. What a cache saves its clients.
    Rate,
}

/// The search for the most valuable layers: over the whole graph, in steps.
#[derive(Debug)]
pub struct Ranking {
    region: String,
    order: Order,
    page: Page,
    now: Seconds,
    sweep: Sweep,
    total: u64,
    best: BTreeSet<(Reverse<u64>, NodeIndex)>,
}

impl Ranking {
    /// Begins a search.
    ///
    /// # Errors
    /// When the viewer is not the operator.
    pub fn new(viewer: Viewer, region: &str, order: Order, page: Page, now: Seconds) -> Result<Self, QuestionError> {
        if viewer != Viewer::Operator {
            return Err(QuestionError::OperatorOnly);
        }
        let (region, sweep) = (region.to_owned(), Sweep::default());
        Ok(Self { region, order, page, now, sweep, total: 0, best: BTreeSet::new() })
    }

    /// Looks at some more nodes; false when these were the last ones.
    ///
    /// # Errors
    /// When nothing was asked for in the region, ever.
    pub fn step(&mut self, state: &State) -> Result<bool, QuestionError> {
        let region = self.interned(state)?;
        let Self { order, page, now, sweep, total, best, .. } = self;
        let most = page.offset.min(Page::FURTHEST) + page.limit.min(Page::LARGEST);
        Ok(sweep.step(state, |node| {
            let Some(value) = value(state, region, node, *order, *now) else { return 0 };
            *total += 1;
            best.insert((Reverse(value.to_bits()), node));
            if best.len() > most {
                best.pop_last();
            }
            0
        }))
    }

    /// What was found.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn finish(&self, state: &State) -> Result<Top, QuestionError> {
        let region = self.interned(state)?;
        let page = self.best.iter().skip(self.page.offset).take(self.page.limit);
        let layers = page.filter_map(|&(_, layer)| valuable(state, region, layer, self.now)).collect();
        Ok(Top { region: self.region.clone(), total: self.total, layers })
    }

    fn interned(&self, state: &State) -> Result<Interned, QuestionError> {
        state.names().find(&self.region).ok_or_else(|| QuestionError::Unknown(format!("region {}", self.region)))
    }
}

/// What a node is worth; nothing that is no layer is worth anything here.
fn value(state: &State, region: Interned, node: NodeIndex, order: Order, now: Seconds) -> Option<f64> {
    let content = state.as_content(node).filter(|content| matches!(content.role, Role::Layer | Role::Blob))?;
    let [_, day, _] = state.rates(region, node)?.at(now).map(f64::from);
    Some(match order {
        Order::Bytes => day * content.size as f64,
        Order::Rate => day,
    })
}

fn valuable(state: &State, region: Interned, layer: NodeIndex, now: Seconds) -> Option<Valuable> {
    // It may have been forgotten since.
    let content = state.as_content(layer)?;
    let rates = state.rates(region, layer)?;
    let [hour, day, week] = rates.at(now);
    let mut budget = Budget::new(MOST_USES);
    let (images, _) = having(state, Viewer::Operator, layer, &mut budget);
    let mut names: Vec<_> = distinct(images)
        .into_iter()
        .flat_map(|image| super::Image::of(state, Viewer::Operator, image, &mut budget).tags)
        .take(MOST_USES)
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MOST_IMAGES);
    Some(Valuable {
        digest: content.digest().to_string(),
        size: content.size,
        hour,
        day,
        week,
        last: rates.last(),
        images: names,
    })
}
