//! Which tag of each repository to ask for, and what that would save.

use super::subject::Group;

/// The tags that may be asked for, by repository.
#[derive(Debug, Default)]
pub(super) struct Scouts {
    groups: Vec<Siblings>,
}

/// A tag that may be asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scout {
    /// What the answer saves for the tag itself.
    pub(super) own: f32,
    /// What it saves for its siblings, which are looked at when it has moved.
    pub(super) others: f32,
    /// Where the tag is.
    pub(super) place: u32,
}

#[derive(Debug)]
struct Siblings {
    group: Group,
    /// The best one last.
    scouts: Vec<Scout>,
    /// The share of what they would save that questions under way have not saved.
    left: f32,
}

impl Scouts {
    /// The tags of one repository; questions that are under way leave unknown the share `left`.
    pub(super) fn add(&mut self, group: Group, mut scouts: Vec<Scout>, left: f32) {
        if scouts.is_empty() {
            return;
        }
        scouts.sort_by(|one, other| one.value().total_cmp(&other.value()).then(other.place.cmp(&one.place)));
        self.groups.push(Siblings { group, scouts, left });
    }

    /// The tag that saves most, if it saves `least`.
    pub(super) fn pop_best(&mut self, least: f32) -> Option<u32> {
        let by_value =
            |one: &&mut Siblings, other: &&mut Siblings| one.value().total_cmp(&other.value()).then(other.group.cmp(&one.group));
        let best = self.groups.iter_mut().max_by(by_value).filter(|best| best.value() >= least)?;
        best.scouts.pop().map(|scout| scout.place)
    }

    /// A question for one of a repository leaves unknown the share `left` of what the others would tell.
    pub(super) fn damp(&mut self, group: Group, left: f32) {
        if let Some(siblings) = self.groups.iter_mut().find(|siblings| siblings.group == group) {
            siblings.left *= left;
        }
    }
}

impl Scout {
    fn value(&self) -> f32 {
        self.own + self.others
    }
}

impl Siblings {
    fn value(&self) -> f32 {
        self.scouts.last().map_or(-1.0, |scout| scout.value() * self.left)
    }
}
