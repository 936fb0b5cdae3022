//! Facts, in plain lists: what is true at the end of a history, whatever came before.

use std::collections::{BTreeMap, BTreeSet};

use super::{MANIFESTS, REPOSITORIES, Step, event};
use crate::graph::model::State;

/// What late news are told by; see `apply::tags`.
const SLACK: u32 = 60;

/// Who has what, what tags name and named (with since when and until when), and of which manifests it is known what they say.
#[derive(Debug, Default)]
pub(super) struct Facts {
    has: BTreeSet<(usize, &'static str)>,
    names: BTreeMap<(usize, usize), Vec<Name>>,
    known: BTreeSet<&'static str>,
}

/// What is named, since when, and until when.
type Name = (&'static str, u32, u32);

impl Facts {
    pub(super) fn tell(&mut self, step: &Step, at: u32) {
        match *step {
            Step::Seen(r, m) => {
                self.has.insert((r, MANIFESTS[m]));
                self.known.insert(MANIFESTS[m]);
            }
            Step::Deleted(r, m) => {
                if REPOSITORIES[r].0.is_empty() {
                    let tags: Vec<_> = self.names.keys().copied().filter(|&(other, _)| other == r).collect();
                    for tag in tags {
                        if self.current(tag).is_some_and(|name| name == MANIFESTS[m]) {
                            self.untag(tag, at);
                        }
                    }
                }
                self.has.remove(&(r, MANIFESTS[m]));
            }
            Step::Moved(r, t, m) => self.moved((r, t), MANIFESTS[m], at),
            Step::Untagged(r, t) => self.untag((r, t), at),
            _ => {}
        }
        self.settle();
    }

    pub(super) fn forgotten(&mut self, name: &'static str) {
        self.has.retain(|(_, other)| *other != name);
        self.names.values_mut().for_each(|names| names.retain(|(other, ..)| *other != name));
        self.known.remove(name);
        self.settle();
    }

    pub(super) fn history_forgotten(&mut self) {
        self.names.values_mut().for_each(|names| names.retain(|(.., until)| *until == 0));
        self.settle();
    }

    /// A graph that has only been told what is true now.
    pub(super) fn rebuilt(&self) -> State {
        let mut state = State::default();
        let mut tell = |step: Step| event(&step, 1).into_iter().for_each(|event| state.apply(&event));
        let place = |name: &str| MANIFESTS.iter().position(|other| *other == name).unwrap();
        for name in &self.known {
            tell(Step::Seen(0, place(name)));
        }
        for &(r, name) in &self.has {
            tell(Step::Seen(r, place(name)));
        }
        for &tag in self.names.keys() {
            if let Some(name) = self.current(tag) {
                tell(Step::Moved(tag.0, tag.1, place(name)));
            }
        }
        // They were only seen to be known.
        for name in self.known.iter().filter(|name| !self.has.contains(&(0, name))) {
            tell(Step::Deleted(0, place(name)));
        }
        state
    }

    fn current(&self, tag: (usize, usize)) -> Option<&'static str> {
        self.names.get(&tag)?.iter().find(|(.., until)| *until == 0).map(|(name, ..)| *name)
    }

    fn moved(&mut self, tag: (usize, usize), name: &'static str, at: u32) {
        let current = self.current(tag);
        let names = self.names.entry(tag).or_default();
        let last = names.iter().map(|(_, since, until)| *since.max(until)).max().unwrap_or_default();
        if at.saturating_add(SLACK) < last {
            // It was named until the next change, whenever that was: history.
            if !names.iter().any(|(other, since, _)| (*other, *since) == (name, at)) {
                let next = names.iter().flat_map(|(_, since, until)| [*since, *until]).filter(|other| *other > at).min();
                names.push((name, at, next.unwrap()));
            }
        } else if current != Some(name) {
            let at = at.max(last);
            for (.., until) in names.iter_mut().filter(|(.., until)| *until == 0) {
                *until = at;
            }
            names.push((name, at, 0));
        }
    }

    fn untag(&mut self, tag: (usize, usize), at: u32) {
        for (_, since, until) in self.names.entry(tag).or_default() {
            if *until == 0 && *since <= at.saturating_add(SLACK) {
                *until = at.max(*since);
            }
        }
    }

    /// Forgets what manifests say that nobody holds.
    fn settle(&mut self) {
        loop {
            let named: BTreeSet<_> = self.names.values().flatten().map(|(name, ..)| *name).collect();
            let held: BTreeSet<_> = self.known.iter().flat_map(|name| children(name)).collect();
            let before = self.known.len();
            let has = &self.has;
            self.known.retain(|name| has.iter().any(|(_, other)| other == name) || named.contains(name) || held.contains(name));
            if self.known.len() == before {
                return;
            }
        }
    }
}

fn children(name: &str) -> impl Iterator<Item = &str> {
    name.strip_prefix('+').into_iter().flat_map(|children| children.split('+'))
}
