//! One tag that is followed: how likely it has moved unnoticed, and for how long.

use std::time::Duration;

use super::{
    class::Class,
    demand::{Demand, left},
    participation::Participation,
    subject::{Group, Subject},
};
use crate::events::Millis;

/// What the class's rate counts for, in moves.
const CLASS_WEIGHT: f32 = 0.5;

/// After how many seconds a move counts half: 60 days.
const HALF_LIFE: f32 = 5_184_000.0;

/// In how many seconds most siblings that will move have moved.
const SIBLINGS_TAKE: f32 = 900.0;

/// In how many seconds most images that are rebuilt have been: a day and a half.
const REBUILDS_TAKE: f32 = 130_000.0;

/// A tag that has moved has done so for now.
const RESTS: Millis = 600_000;

/// The pause after a question that was not answered, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// A tag, and what is believed of it.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) subject: Subject,
    pub(super) group: Group,
    pub(super) class: Class,
    pub(super) demand: Demand,
    /// How often it moves when its siblings do.
    pub(super) participation: Participation,
    /// How often its siblings move when it does.
    pub(super) company: Participation,
    /// What it names.
    pub(super) digest: Option<u64>,
    /// The lowest layer of its image.
    pub(super) family: Option<u64>,
    /// Whether the lowest layer of what it names now is still to be found out.
    pub(super) is_unplaced: bool,
    pub(super) since: Millis,
    pub(super) last_looked: Millis,
    pub(super) last_moved: Option<Millis>,
    /// Whether a question is under way.
    pub(super) is_asked: bool,
    moves: f32,
    watched: f32,
    /// The hazard of moving, summed up since it was last looked at.
    hazard: f32,
    /// The chance that it has moved since then.
    chance: f32,
    /// How long it has been moved unnoticed, in seconds, as expected.
    late: f32,
    /// Hazard that is still to come, because siblings have moved.
    from_siblings: f32,
    /// The same, because an image on the same lowest layer was rebuilt.
    from_base: f32,
    failures: u32,
    asleep_until: Millis,
}

/// Why a tag is expected to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Another tag of its repository has moved.
    Sibling,
    /// An image on the same lowest layer has been rebuilt.
    Base,
}

impl Followed {
    pub(super) fn new(subject: Subject, at: Millis) -> Self {
        Self {
            group: Group::of(&subject.repository),
            class: Class::of(&subject.tag),
            subject,
            demand: Demand::new(at),
            participation: Participation::default(),
            company: Participation::default(),
            digest: None,
            family: None,
            is_unplaced: true,
            since: at,
            last_looked: at,
            last_moved: None,
            is_asked: false,
            moves: 0.0,
            watched: 0.0,
            hazard: 0.0,
            chance: 0.0,
            late: 0.0,
            from_siblings: 0.0,
            from_base: 0.0,
            failures: 0,
            asleep_until: 0,
        }
    }

    /// So many seconds pass, in which tags of its class move at `class_rate`, and everything moves at `pace` times the usual.
    pub(super) fn pass(&mut self, seconds: f32, class_rate: f32, pace: f32) {
        let rate = (self.moves + CLASS_WEIGHT) / (self.watched + CLASS_WEIGHT / class_rate);
        let siblings = self.from_siblings * (seconds / SIBLINGS_TAKE).min(1.0);
        let base = self.from_base * (seconds / REBUILDS_TAKE).min(1.0) * pace.min(2.0);
        self.from_siblings -= siblings;
        self.from_base = (self.from_base - base).max(0.0);
        let before = self.chance;
        self.hazard += rate * pace * seconds + siblings + base;
        self.chance = chance_of(self.hazard);
        self.late += seconds * (before + self.chance) / 2.0;
        self.watched += seconds;
        self.moves *= left(seconds, HALF_LIFE);
        self.watched *= left(seconds, HALF_LIFE);
        self.demand.pass(seconds);
    }

    /// Something says that it moves, or has just moved, with this chance.
    pub(super) fn excite(&mut self, evidence: Evidence, chance: f32) {
        let hazard = -(1.0 - chance).ln();
        match evidence {
            // Half of those that move together have moved already.
            Evidence::Sibling => {
                self.hazard += hazard / 2.0;
                self.chance = chance_of(self.hazard);
                self.from_siblings = self.from_siblings.max(hazard / 2.0);
            }
            Evidence::Base => self.from_base = self.from_base.max(hazard),
        }
    }

    /// Only this share of what was feared is left: a sibling has not moved.
    pub(super) fn believe(&mut self, left: f32) {
        self.hazard *= left;
        self.chance = chance_of(self.hazard);
        self.late *= left;
    }

    /// It is known what it names, as of `at`.
    pub(super) fn looked_at(&mut self, at: Millis) {
        (self.is_asked, self.failures, self.asleep_until) = (false, 0, 0);
        self.last_looked = self.last_looked.max(at);
        (self.hazard, self.chance, self.late) = (0.0, 0.0, 0.0);
    }

    /// It has moved.
    pub(super) fn moved(&mut self, at: Millis) {
        self.looked_at(at);
        self.moves += 1.0;
        self.last_moved = Some(at);
        (self.from_siblings, self.from_base) = (0.0, 0.0);
        self.asleep_until = at + RESTS;
    }

    /// A question was not answered.
    pub(super) fn failed(&mut self, at: Millis) {
        let pause = FIRST_PAUSE * (1 << self.failures.min(6));
        self.failures += 1;
        self.sleep(at, pause);
    }

    /// It is left alone for so long.
    pub(super) fn sleep(&mut self, at: Millis, pause: Duration) {
        self.is_asked = false;
        self.asleep_until = at + pause.as_millis() as Millis;
    }

    /// Whether it may be asked for.
    pub(super) fn is_awake(&self, now: Millis, nearest: Duration) -> bool {
        self.digest.is_some() && self.asleep_until <= now && self.last_looked + nearest.as_millis() as Millis <= now
    }

    /// Whether it has not been looked at for long.
    pub(super) fn is_overdue(&self, now: Millis, farthest: Duration) -> bool {
        self.last_looked + (farthest.as_millis() as Millis) < now
    }

    /// What clients here have lost since it was last looked at, as expected.
    pub(super) fn late_cost(&self) -> f32 {
        self.late * self.demand.cost()
    }
}

/// The chance of at least one move, of a hazard that has been summed up.
fn chance_of(hazard: f32) -> f32 {
    -(-hazard).exp_m1()
}
