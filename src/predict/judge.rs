//! How likely it is that a content is asked for, and whether that is worth fetching it: learned from what was expected and came, or did
//! not.

mod arrivals;
mod challenger;
mod features;
mod models;
mod recent;
mod rows;

use serde::Serialize;

use super::{
    expected::Reason,
    followed::{Followed, Interest, Line},
    learn::{Decider, Guard, Labels},
    price::Price,
    prophet::{Cache, Settings, Without},
    scorer::Contribution,
    share::Decayed,
    world::{ContentId, Name, World},
};
use crate::events::Millis;
use arrivals::Arrivals;
use features::Row;
#[cfg(feature = "onnx")]
pub(super) use features::SCHEMA;
use models::{Models, Said};
use recent::{Recent, Thought};
pub(super) use rows::Rows;

/// What is asked for within this time was rightly expected.
const HORIZON: Millis = DAY;

const DAY: Millis = 86_400_000;

const WEEK: Millis = 7 * DAY;

/// Expectations that wait for their answer, at most.
const MOST_OPEN: usize = 200_000;

/// Answers before which the model is not asked.
const FEWEST_ANSWERS: u64 = 500;

/// Bytes that are expected within a day before which the guard has no opinion.
const FEWEST_BYTES: u64 = 1 << 30;

/// Share of the images that were expected of a customer's young clients and that these asked for, below which the rule fetches nothing.
const WORTH_IT: f32 = 0.2;

/// Decides which contents are fetched.
#[derive(Debug)]
pub(super) struct Judge {
    heats: Vec<Decayed>,
    open: Labels<ContentId, Box<Open>>,
    pub(super) models: Models,
    arrivals: Arrivals,
    guard: Guard,
    pub(super) price: Price,
    recent: Recent,
    without: Option<Without>,
    /// Where rows are written to once their answer is known.
    pub(super) rows: Option<Rows>,
}

/// Why an image is expected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) reason: Reason,
    pub(super) now: Millis,
    pub(super) name: Name,
    pub(super) customer: Option<u32>,
    /// When the line of this image was last pulled here by whom it is expected of.
    pub(super) last: Millis,
    /// Of the times it was expected of a young client, in how many it came.
    pub(super) share: f32,
}

/// What was thought of a content that was expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Why it was expected.
    pub reason: Reason,
    /// When.
    pub at: Millis,
    /// How likely it was that it is asked for.
    pub probability: f64,
    /// How likely it had to be to be worth its bytes.
    pub needed: f64,
    /// Who decided: what is learned (`model`, or `challenger` while that is better), the model that was given (`file`), the `rule`
    /// that needs no learning, or `nobody`, because neither had been right.
    pub decided_by: &'static str,
    /// Whether it was worth fetching.
    pub fetched: bool,
    /// When it is asked for, if it is: as likely before as after. `None` while too little is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Millis>,
    /// What the model goes by, the weightiest first.
    pub features: Vec<Contribution>,
}

/// A content that is worth fetching.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worth {
    /// How likely it is that it is asked for.
    pub(super) probability: f32,
    /// When, at the earliest that is likely.
    pub(super) earliest: Millis,
}

/// An expectation whose answer is not known yet.
#[derive(Debug)]
struct Open {
    at: Millis,
    row: Row,
    said: Said,
    line: Line,
    size: u64,
    /// Who would have fetched it.
    model: bool,
    rule: bool,
}

impl Judge {
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { budget, pace, without, .. } = *settings;
        Self {
            heats: Vec::new(),
            open: Labels::new(MOST_OPEN),
            models: Models::new(settings.name.clone(), pace),
            arrivals: Arrivals::new(pace),
            guard: Guard::new(3_600_000, FEWEST_BYTES),
            price: Price::new(budget),
            recent: Recent::default(),
            without,
            rows: None,
        }
    }

    /// A content of `size` bytes is asked for.
    pub(super) fn asked_for(&mut self, now: Millis, content: ContentId, size: u64, followed: &mut Followed) {
        while let Some(resolved) = self.open.expire(now) {
            self.learn(now, &resolved.item, false, followed);
        }
        for resolved in self.open.happen(&content, now) {
            self.learn(now, &resolved.item, resolved.came_true, followed);
        }
        let place = content as usize;
        if self.heats.len() <= place {
            self.heats.resize(place + 1, Decayed::default());
        }
        self.heats[place].add(now, DAY, 1.0);
        self.price.served(now, size);
    }

    fn learn(&mut self, now: Millis, open: &Open, came: bool, followed: &mut Followed) {
        self.models.learn(now, &open.row, &open.said, came);
        if came {
            self.arrivals.learn(now, &open.row, now.saturating_sub(open.at));
        }
        if let Some(rows) = &mut self.rows {
            rows.write(open.at, &open.row, came);
        }
        followed.learn(open.line, came);
        for (whose, wanted) in [(Decider::Model, open.model), (Decider::Rule, open.rule)] {
            if wanted {
                self.guard.learn(now, whose, open.size, came);
            }
        }
    }

    /// How likely it is that a content of an image that is expected is asked for, and when, if it is to be fetched.
    pub(super) fn decide(
        &mut self,
        case: &Case,
        interest: Interest,
        content: ContentId,
        world: &World,
        cache: &dyn Cache,
    ) -> Option<Worth> {
        let (novel, size) = (!cache.was_here(content), world.size(content));
        let heat = self.heats.get(content as usize).map_or(0.0, |heat| heat.get(case.now, DAY));
        let row = match self.without {
            Some(Without::Graph) => features::row(case, interest, true, size, 0.0),
            Some(Without::Time) => features::timeless(features::row(case, interest, novel, size, heat)),
            _ => features::row(case, interest, novel, size, heat),
        };
        let said = self.models.say(&row);
        let probability = said.probability;
        let needed = self.price.least_probability(case.now, size);
        let rule = if case.reason == Reason::CoPull { case.share >= WORTH_IT } else { novel };
        let knows = self.models.know();
        // The guard judges by what would be fetched if there were room for it: who may not spend has done nothing wrong.
        let model = knows && probability > Price::least_probability_within_budget(size);
        let open = Open { at: case.now, row, said, line: Line::of(case.name), size, model, rule };
        drop(self.open.ask(content, case.now + HORIZON, Box::new(open)));
        let decider = if knows { self.guard.decide(case.now) } else { Decider::Rule };
        let fetch = match decider {
            Decider::Model => probability > needed,
            Decider::Rule => rule,
            Decider::Nobody => false,
        };
        if fetch {
            self.price.spent(case.now, size);
        }
        let thought = Thought { reason: case.reason, at: case.now, probability, needed, decider, fetch, row };
        self.recent.note(content, thought);
        fetch.then(|| Worth { probability: probability as f32, earliest: case.now + self.arrivals.earliest(&row) })
    }

    /// What was thought of a content when it was last expected, if that is remembered.
    pub(super) fn explain(&self, content: ContentId) -> Option<Verdict> {
        let Thought { reason, at, probability, needed, decider, fetch, row } = self.recent.get(content)?;
        let decided_by = match decider {
            Decider::Model => self.models.speaker(),
            Decider::Rule => "rule",
            Decider::Nobody => "nobody",
        };
        let (due, features) = (self.arrivals.median(row).map(|lag| at + lag), self.models.explain(row));
        Some(Verdict {
            reason: *reason,
            at: *at,
            probability: *probability,
            needed: *needed,
            decided_by,
            fetched: *fetch,
            due,
            features,
        })
    }
}
