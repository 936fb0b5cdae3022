//! What is pulled here, and by whom: whose next version will be too.

use hashbrown::HashMap;

use super::{
    share::{Decayed, Share},
    world::Name,
};
use crate::events::Millis;

/// Who has pulled within this time still follows.
const FOLLOWS: Millis = 30 * DAY;

const DAY: Millis = 86_400_000;

/// The half-life of rates of pulls and moves.
const HALF_LIFE: Millis = 7 * DAY;

/// Versions that follow each other: of a public image, what one tag names over time; of a private one, all tags of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) repository: u32,
    pub(super) tag: Option<u32>,
}

impl Line {
    pub(super) fn of(name: Name) -> Self {
        Self { repository: name.repository, tag: (!name.private).then_some(name.tag) }
    }
}

/// How a line of versions is pulled here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Interest {
    /// When it was last pulled here, by anybody.
    pub(super) last: Option<Millis>,
    pub(super) pulls: Decayed,
    pub(super) moves: Decayed,
    /// Of what it was expected that it is asked for here, what was.
    pub(super) kept: Share,
}

/// What is pulled here.
#[derive(Debug, Default)]
pub(super) struct Followed {
    lines: HashMap<Line, Interest>,
    /// When a customer last pulled a private line here.
    customers: HashMap<(u32, u32), Millis>,
}

impl Followed {
    /// A customer pulls an image here.
    pub(super) fn pulled(&mut self, at: Millis, customer: u32, name: Name) {
        let interest = self.lines.entry(Line::of(name)).or_default();
        interest.last = Some(at);
        interest.pulls.add(at, HALF_LIFE, 1.0);
        if name.private {
            self.customers.insert((customer, name.repository), at);
        }
    }

    /// A tag of a line names a new image.
    pub(super) fn moved(&mut self, now: Millis, name: Name) {
        if let Some(interest) = self.lines.get_mut(&Line::of(name)) {
            interest.moves.add(now, HALF_LIFE, 1.0);
        }
    }

    /// When what a name is the next version of was last pulled here, if it is followed.
    pub(super) fn last(&self, name: Name, now: Millis) -> Option<Millis> {
        recent(self.interest(name).last?, now)
    }

    /// When a customer last pulled a private line here, if it follows.
    pub(super) fn by(&self, customer: u32, name: Name, now: Millis) -> Option<Millis> {
        recent(*self.customers.get(&(customer, name.repository)).filter(|_| name.private)?, now)
    }

    pub(super) fn interest(&self, name: Name) -> Interest {
        self.lines.get(&Line::of(name)).copied().unwrap_or_default()
    }

    /// What was expected of a line has come, or has not.
    pub(super) fn learn(&mut self, line: Line, came: bool) {
        let share = &mut self.lines.entry(line).or_default().kept;
        // The past counts less and less.
        *share = Share { of: share.of * 0.98 + 1.0, were: share.were * 0.98 + if came { 1.0 } else { 0.0 } };
    }
}

impl Interest {
    pub(super) fn pulls(self, now: Millis) -> f32 {
        self.pulls.get(now, HALF_LIFE)
    }

    pub(super) fn moves(self, now: Millis) -> f32 {
        self.moves.get(now, HALF_LIFE)
    }
}

fn recent(last: Millis, now: Millis) -> Option<Millis> {
    (now.saturating_sub(last) <= FOLLOWS).then_some(last)
}
