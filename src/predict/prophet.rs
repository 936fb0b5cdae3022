//! What will be asked for in one region, from what happens everywhere.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::{
    clients::{Clients, Pull},
    expected::Reason,
    followed::Followed,
    judge::{Case, Judge, Rows, Verdict, Worth},
    learn::{LearnError, Model, Pace, Store},
    world::{ContentId, Name, Step, What, World},
};
use crate::events::Millis;

/// What is known of the cache.
pub trait Cache {
    /// Whether a content has ever been here.
    fn was_here(&self, content: ContentId) -> bool;

    /// Whether a content is here or on its way.
    fn is_here(&self, content: ContentId) -> bool;
}

/// A content that is expected to be asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The content.
    pub content: ContentId,
    /// An image that has it.
    pub name: Name,
    /// For whom, if for anybody in particular.
    pub customer: Option<u32>,
    /// Why.
    pub reason: Reason,
    /// How likely it is that it is asked for.
    pub probability: f32,
    /// When, at the earliest that is likely.
    pub due: Millis,
}

/// What a prophet is for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region in which things are expected.
    pub region: u16,
    /// What it is called.
    pub name: Arc<str>,
    /// What may be fetched.
    pub budget: Budget,
    /// What it does without, to see what that is good for.
    pub without: Option<Without>,
    /// Where models are fitted that take long.
    pub pace: Pace,
}

/// What may be fetched before it is asked for, in a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// As a share of what clients are sent.
    pub share: f64,
    /// Bytes, in any case.
    pub floor: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { share: 0.15, floor: 1 << 30 }
    }
}

/// A kind of knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// What images have in common, and which layers a client has from others.
    Graph,
    /// The time of day and of the week, and how long ago things were.
    Time,
    /// Other regions.
    Regions,
    /// Who runs what.
    Customers,
}

/// Tells what will be asked for.
#[derive(Debug)]
pub struct Prophet {
    settings: Settings,
    followed: Followed,
    clients: Clients,
    judge: Judge,
}

impl Prophet {
    /// Nothing is known yet.
    pub fn new(settings: Settings) -> Self {
        let judge = Judge::new(&settings);
        Self { settings, followed: Followed::default(), clients: Clients::default(), judge }
    }

    /// Whether what a step names is expected here, by whoever follows it.
    pub fn follows(&self, step: &Step) -> bool {
        match step.what {
            What::Moved { name, .. } => self.followed.last(name, step.at).is_some(),
            What::Image { customer, name, .. } => self.followed.by(customer, name, step.at).is_some(),
            What::Layer { .. } => false,
        }
    }

    /// Lets a model that was trained elsewhere say how likely things are, whatever is learned here.
    pub fn give(&mut self, model: Arc<dyn Model>) {
        self.judge.models.give(model);
    }

    /// What may be fetched from now on.
    pub fn set_budget(&mut self, budget: Budget) {
        self.judge.price.budget = budget;
    }

    /// Writes what it learns from to `out`, as [`RowWriter`](super::learn::RowWriter) does, until [`Self::finish_rows`].
    ///
    /// # Errors
    /// When the first line cannot be written.
    pub fn write_rows(&mut self, out: Box<dyn Write + Send>) -> io::Result<()> {
        self.judge.rows = Some(Rows::new(out)?);
        Ok(())
    }

    /// Writes no more rows.
    ///
    /// # Errors
    /// When one could not be written: the table ends before it.
    pub fn finish_rows(&mut self) -> io::Result<()> {
        self.judge.rows.take().map_or(Ok(()), Rows::finish)
    }

    /// What was thought of a content when it was last expected.
    pub fn explain(&self, content: ContentId) -> Option<Verdict> {
        self.judge.explain(content)
    }

    /// Takes over what was learned before, if that is from more answers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load(&mut self, store: &Store) -> Result<(), LearnError> {
        self.judge.models.load(store)
    }

    /// Keeps what has been learned.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn save(&self, store: &Store) -> Result<(), LearnError> {
        self.judge.models.save(store)
    }

    /// Takes over what another one has learned, which is of no use any more then, and its budget; not what it remembers.
    pub fn take_over(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.judge.models, &mut other.judge.models);
        self.set_budget(other.judge.price.budget);
    }

    fn lacks(&self, knowledge: Without) -> bool {
        self.settings.without == Some(knowledge)
    }

    /// Something happens. Appends what is expected because of it to `found`, what is most urgent first.
    pub fn observe(&mut self, step: &Step, world: &World, cache: &dyn Cache, found: &mut Vec<Candidate>) {
        match step.what {
            What::Layer { region, client, content } if region == self.settings.region => {
                self.clients.given(step.at, client, content);
                self.judge.asked_for(step.at, content, world.size(content), &mut self.followed);
            }
            What::Image { region, customer, name, .. } => {
                if region == self.settings.region {
                    self.followed.pulled(step.at, customer, name);
                }
                self.understand(step, step.at, world, cache, found);
            }
            What::Moved { .. } | What::Layer { .. } => {}
        }
    }

    /// It is `now`, and it is found out that a tag has moved.
    pub fn discover(&mut self, moved: &Step, now: Millis, world: &World, cache: &dyn Cache, found: &mut Vec<Candidate>) {
        if let What::Moved { name, .. } = moved.what {
            self.followed.moved(now, name);
            self.understand(moved, now, world, cache, found);
        }
    }

    /// It is `now`, and it is known what image a step is about that was [observed](Self::observe) or [discovered](Self::discover)
    /// before. Appends what is expected because of it to `found`, what is most urgent first.
    pub fn understand(&mut self, step: &Step, now: Millis, world: &World, cache: &dyn Cache, found: &mut Vec<Candidate>) {
        match step.what {
            What::Image { region, customer, client, name, image: Some(image) } if region == self.settings.region => {
                self.pulled(Pull { at: step.at, customer, client, name, image }, world, cache, found);
            }
            What::Image { customer, name, image: Some(image), .. }
                if !self.lacks(Without::Regions) && !self.lacks(Without::Customers) =>
            {
                if let Some(last) = self.followed.by(customer, name, now) {
                    let case = Case { reason: Reason::Elsewhere, now, name, customer: Some(customer), last, share: 0.0 };
                    self.propose(&case, image, world, cache, found);
                }
            }
            What::Moved { name, image: Some(image) } => {
                if let Some(last) = self.followed.last(name, now) {
                    let case = Case { reason: Reason::Moved, now, name, customer: None, last, share: 0.0 };
                    self.propose(&case, image, world, cache, found);
                }
            }
            _ => {}
        }
    }

    fn pulled(&mut self, pull: Pull, world: &World, cache: &dyn Cache, found: &mut Vec<Candidate>) {
        let Pull { customer, name, .. } = pull;
        let from = found.len();
        if !self.lacks(Without::Graph) {
            let of_pull = |content| Candidate {
                content,
                name,
                customer: Some(customer),
                reason: Reason::Pull,
                probability: 1.0,
                due: pull.at,
            };
            let lacking = self.clients.lacking(pull.client, pull.image, world);
            found.extend(lacking.filter(|content| !cache.is_here(*content)).map(of_pull));
        }
        // More of them are there in time.
        found[from..].sort_by_key(|candidate| world.size(candidate.content));
        let from = found.len();
        let announced = if self.lacks(Without::Customers) { Vec::new() } else { self.clients.pulled(pull) };
        for announced in announced {
            let (name, share) = (announced.name, announced.share);
            let case = Case { reason: Reason::CoPull, now: pull.at, name, customer: Some(customer), last: pull.at, share };
            self.propose(&case, announced.image, world, cache, found);
        }
        found[from..].sort_by_key(|candidate| world.size(candidate.content));
    }

    /// Those layers of an image that are likely enough.
    fn propose(&mut self, case: &Case, image: u32, world: &World, cache: &dyn Cache, found: &mut Vec<Candidate>) {
        let interest = self.followed.interest(case.name);
        for content in world.layers(image) {
            if cache.is_here(content) {
                continue;
            }
            if let Some(Worth { probability, earliest }) = self.judge.decide(case, interest, content, world, cache) {
                let Case { name, customer, reason, .. } = *case;
                found.push(Candidate { content, name, customer, reason, probability, due: earliest });
            }
        }
    }
}

#[cfg(test)]
mod tests;
