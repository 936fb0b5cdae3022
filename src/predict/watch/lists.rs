//! When to ask for lists of tags, and what follows from them.

use super::{Answer, LEAST, Listed, Question, Subject, Watch, subject::Group};
use crate::{
    events::{Millis, Repository},
    oci::Tag,
};

/// A list of tags that may be asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) group: Group,
    /// What the answer saves, in seconds that clients wait.
    pub(super) saves: f32,
}

impl Watch {
    /// What came of asking for a list of tags, at `at`. How many new ones are to be looked at: they are due next.
    pub fn listed(&mut self, repository: &Repository, at: Millis, listed: Listed) -> usize {
        if let Listed::Limited(pause) = listed {
            self.budget.keep_quiet(&repository.route, at + pause.as_millis() as Millis);
        }
        let places = &self.places;
        let is_followed = |tag: &Tag| places.contains_key(&Subject { repository: repository.clone(), tag: tag.clone() });
        self.releases.listed(Group::of(repository), at, listed, is_followed)
    }

    /// The new tags that lists have told of, as far as they may be asked for.
    pub(super) fn new_tags(&mut self, now: Millis) -> Vec<Question> {
        let budget = &mut self.budget;
        let new = self.releases.take_new(|subject| budget.spend(&subject.repository.route, now));
        new.into_iter().map(Question::Tag).collect()
    }

    pub(super) fn new_tag_answered(&mut self, subject: &Subject, at: Millis, answer: Answer) {
        match answer {
            Answer::Failed | Answer::Limited(_) => self.releases.missed(subject),
            Answer::Fixed => self.releases.leave_alone(&subject.repository, at),
            Answer::Same | Answer::Names(_) | Answer::Gone => {}
        }
    }

    /// What each list of tags would save, the most last.
    pub(super) fn lists(&self, now: Millis) -> Vec<List> {
        let mut lists = Vec::new();
        if !self.settings.tag_lists {
            return lists;
        }
        for (group, repository, late) in self.releases.late(now, self.settings.nearest) {
            if self.settings.is_off(&repository.route) || self.budget.is_quiet(&repository.route, now) {
                continue;
            }
            let members = self.groups.get(&group).into_iter().flatten();
            let cost: f32 = members.map(|place| self.tags[*place as usize].demand.cost()).sum();
            lists.extend(Some(List { group, saves: late * cost }).filter(|list| list.saves >= LEAST));
        }
        lists.sort_unstable_by(|one, other| one.saves.total_cmp(&other.saves).then(other.group.cmp(&one.group)));
        lists
    }

    pub(super) fn ask_for_list(&mut self, group: Group, now: Millis) -> Option<Question> {
        let route = &self.groups.get(&group)?.first().map(|place| &self.tags[*place as usize])?.subject.repository.route;
        if !self.budget.spend(route, now) {
            return None;
        }
        self.releases.asked(group).map(Question::List)
    }
}
