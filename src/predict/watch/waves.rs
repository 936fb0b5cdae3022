//! What moves together: the tags of a repository within hours, images on the same lowest layer within days.

use std::collections::HashMap;

use super::{participation::Participation, subject::Group};
use crate::events::Millis;

/// For how long tags of a repository still move together.
pub(super) const SIBLINGS: Millis = 2 * 3_600_000;

/// For how long images are rebuilt after one on the same lowest layer was.
const REBUILDS: Millis = 72 * 3_600_000;

/// Waves that are remembered at most, of each kind.
const MOST: usize = 20_000;

/// What siblings are believed to do before anything is known.
const FIRST_SIBLINGS: f32 = 0.5;
const FIRST_REBUILDS: f32 = 0.5;

/// How often a tag that moves has company, before anything is known.
pub(super) const COMPANY: f32 = 0.5;

/// The waves that are running, and what past ones have taught.
#[derive(Debug, Default)]
pub(super) struct Waves {
    siblings: HashMap<Group, Millis>,
    rebuilds: HashMap<u64, Rebuild>,
    take_part: Participation,
    follow: Participation,
}

/// A wave of siblings that a move belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    /// When it began.
    pub(super) at: Millis,
    /// Whether the move has begun it.
    pub(super) is_new: bool,
    /// When the one before began.
    pub(super) before: Option<Millis>,
}

/// Images that are rebuilt because a lowest layer is old.
#[derive(Debug, Clone, Copy)]
struct Rebuild {
    began: Millis,
    /// How many stood on the layer.
    all: f32,
    /// How many have been rebuilt, after the first.
    rebuilt: f32,
}

impl Waves {
    /// The wave that a move in a repository belongs to.
    pub(super) fn opened(&mut self, group: Group, at: Millis) -> Opened {
        let before = self.siblings.get(&group).copied();
        if let Some(began) = before.filter(|began| at < began + SIBLINGS) {
            return Opened { at: began, is_new: false, before };
        }
        if self.siblings.len() >= MOST {
            self.siblings.retain(|_, began| at < *began + SIBLINGS);
        }
        self.siblings.insert(group, at);
        Opened { at, is_new: true, before }
    }

    /// In a wave that is over, so many of all siblings moved.
    pub(super) fn closed(&mut self, moved: usize, all: usize) {
        if all > 0 {
            // Each wave counts the same: one large repository is not everybody.
            self.take_part.noted_many(moved as f32 / all as f32, 1.0);
        }
    }

    /// The share of siblings that usually moves along.
    pub(super) fn typical(&self) -> f32 {
        self.take_part.chance(FIRST_SIBLINGS)
    }

    /// An image has been rebuilt that stood on this lowest layer, on which `others` others still stand. The share of those that is
    /// rebuilt too.
    pub(super) fn rebuilt(&mut self, lowest: u64, at: Millis, others: usize) -> f32 {
        let began = match self.rebuilds.get_mut(&lowest) {
            Some(rebuild) if at < rebuild.began + REBUILDS => {
                rebuild.rebuilt += 1.0;
                return self.follow.chance(FIRST_REBUILDS);
            }
            _ => at,
        };
        let over: Vec<u64> =
            self.rebuilds.iter().filter(|(_, one)| one.began + REBUILDS <= at).map(|(lowest, _)| *lowest).collect();
        for lowest in over {
            if let Some(rebuild) = self.rebuilds.remove(&lowest).filter(|rebuild| rebuild.all > 0.0) {
                self.follow.noted_many((rebuild.rebuilt / rebuild.all).min(1.0), 1.0);
            }
        }
        if self.rebuilds.len() < MOST {
            self.rebuilds.insert(lowest, Rebuild { began, all: others as f32, rebuilt: 0.0 });
        }
        self.follow.chance(FIRST_REBUILDS)
    }
}
