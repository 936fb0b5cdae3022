//! When to ask an upstream whether a tag has moved.
//!
//! What is fetched after a move is worth nothing when the move is found late, and an upstream bears only so many questions. So the
//! questions go where they save most: to tags that are pulled here often, that are likely to have moved since they were last looked
//! at, and whose images take long to come.
//!
//! Of each tag that is pulled here by its name it is known how likely it is to have moved by now: by how often it and its like
//! move, by the hour, and by what has been found of others. Tags of one repository mostly move together, so one of them is looked
//! at for all; images that stand on the same lowest layer are rebuilt within days after one of them was. How long a move has
//! probably gone unnoticed, times what each second of that costs the clients here, is what a question would save. Those that save
//! most are asked, within a budget.
//!
//! A repository of which ever new tags are pulled will have another one, of which nobody here has heard: its list of tags is asked
//! for, by the same reckoning and within the same budget, and what is new in it is looked at.
//!
//! [`Watch`] does nothing and does not know the time, so that a simulation can ask it too; [`Poller`] acts on it.

mod anatomy;
mod answer;
mod budget;
mod class;
mod demand;
mod followed;
mod lists;
mod memory;
mod metrics;
mod participation;
mod poller;
mod question;
mod releases;
mod rhythm;
mod scouts;
mod settings;
mod subject;
mod waves;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Listed};
pub use poller::{Hints, Look, Poller, TooMany};
pub use question::Question;
pub use settings::Settings;
pub use subject::Subject;

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use anatomy::Anatomy;
use budget::Budget;
use class::Classes;
use followed::{Evidence, Followed};
use releases::Releases;
use rhythm::Rhythm;
use scouts::{Scout, Scouts};
use subject::Group;
use waves::Waves;

use crate::{
    events::{Event, Kind, ManifestSeen, Millis, Request, Source, What},
    oci::Digest,
};

/// Tags that are followed at most.
pub const MOST: usize = 10_000;

/// Who has not been pulled for so long is followed no more.
const FORGOTTEN: Millis = 30 * 86_400_000;

/// How finely time passes while what happened before is heard.
const STEP: Millis = 600_000;

/// What a question has to save to be worth asking, in seconds that clients wait.
const LEAST: f32 = 2e-5;

/// One in so many questions goes to who has not been looked at for longest: what is believed may be wrong.
const NEGLECTED: u8 = 3;

/// All tags that are followed at one edge.
#[derive(Debug)]
pub struct Watch {
    settings: Settings,
    tags: Vec<Followed>,
    places: HashMap<Subject, u32>,
    /// The tags of each repository.
    groups: HashMap<Group, Vec<u32>>,
    budget: Budget,
    /// Whose turn the next question is: those that save most, or those that were neglected.
    turn: u8,
    classes: Classes,
    rhythm: Rhythm,
    waves: Waves,
    anatomy: Anatomy,
    releases: Releases,
    /// Up to when everything has been reckoned.
    reckoned: Millis,
}

impl Watch {
    /// Follows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            budget: Budget::new(&settings),
            settings,
            turn: 0,
            tags: Vec::new(),
            places: HashMap::new(),
            groups: HashMap::new(),
            classes: Classes::default(),
            rhythm: Rhythm::default(),
            waves: Waves::default(),
            anatomy: Anatomy::default(),
            releases: Releases::default(),
            reckoned: 0,
        }
    }

    /// How many tags are followed.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Whether a tag is followed.
    pub fn follows(&self, subject: &Subject) -> bool {
        self.places.contains_key(subject)
    }

    /// Learns from what has happened. Events may come twice, late, or not at all.
    pub fn hear(&mut self, event: &Event) {
        match &event.what {
            What::Request(request) => self.requested(event.at, request),
            What::TagMoved { repository, tag, digest } => {
                let subject = Subject { repository: repository.clone(), tag: tag.clone() };
                match (self.places.get(&subject).copied(), digest) {
                    (Some(place), Some(digest)) => self.names(place, event.at, digest),
                    (Some(place), None) => self.unfollow(place),
                    (None, _) => {}
                }
            }
            What::ManifestSeen(seen) => self.seen(event.at, seen),
            _ => {}
        }
    }

    /// Learns from what happened before, in its order, and lets pass the time that passed then.
    pub fn recall(&mut self, event: &Event) {
        if event.at >= self.reckoned.saturating_add(STEP) {
            self.reckon(event.at);
        }
        self.hear(event);
    }

    /// What to ask now, that first which saves most. It counts as asked; [`Self::answered`] and [`Self::listed`] are told what came
    /// of it.
    pub fn due(&mut self, now: Millis) -> Vec<Question> {
        self.reckon(now);
        self.budget.refill(now);
        if self.budget.is_spent() {
            return Vec::new();
        }
        let mut due = self.new_tags(now);
        let (mut scouts, mut neglected, mut lists) = (self.scouts(now), self.neglected(now), self.lists(now));
        while !self.budget.is_spent() {
            self.turn = (self.turn + 1) % NEGLECTED;
            let is_for_neglected = self.turn == 0 && !neglected.is_empty();
            let list = lists.last().copied();
            let scout = if is_for_neglected { None } else { scouts.pop_best(list.map_or(LEAST, |list| list.saves)) };
            if let Some(list) = list.filter(|_| scout.is_none() && !is_for_neglected) {
                lists.pop();
                due.extend(self.ask_for_list(list.group, now));
                continue;
            }
            let Some(place) = scout.or_else(|| neglected.pop()) else { break };
            let tag = &mut self.tags[place as usize];
            if tag.is_asked || !self.budget.spend(&tag.subject.repository.route, now) {
                continue;
            }
            tag.is_asked = true;
            due.push(Question::Tag(tag.subject.clone()));
            // It looks for its siblings too: a second one is worth what the first leaves unknown.
            scouts.damp(tag.group, 1.0 - tag.participation.chance(self.waves.typical()));
        }
        due
    }

    /// What came of a question, at `at`.
    pub fn answered(&mut self, subject: &Subject, at: Millis, answer: Answer) {
        if let Answer::Limited(pause) = answer {
            self.budget.keep_quiet(&subject.repository.route, at + pause.as_millis() as Millis);
        }
        let Some(place) = self.places.get(subject).copied() else { return self.new_tag_answered(subject, at, answer) };
        match answer {
            Answer::Same => self.confirmed(place, at),
            Answer::Names(digest) => self.names(place, at, &digest),
            Answer::Gone => self.unfollow(place),
            Answer::Fixed => self.tags[place as usize].sleep(at, Duration::from_secs(86_400)),
            Answer::Failed | Answer::Limited(_) => self.tags[place as usize].failed(at),
        }
    }

    /// Takes over other settings; what has been learned stays.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.budget = Budget::new(&settings);
        self.settings = settings;
    }

    fn requested(&mut self, at: Millis, request: &Request) {
        let is_pull = matches!(request.kind, Kind::Manifest | Kind::ManifestHead) && request.succeeded() && request.is_here();
        let Some(tag) = request.tag.as_ref().filter(|_| is_pull && !request.repository.route.is_empty()) else { return };
        let subject = Subject { repository: request.repository.clone(), tag: tag.clone() };
        let place = self.follow(subject, at);
        let weight = self.settings.weight(request.customer.as_deref());
        self.tags[place as usize].demand.pulled(at, weight);
        let Some(digest) = &request.digest else { return };
        // What was served without asking says nothing about now.
        let is_fresh = matches!(request.source, Source::Revalidated | Source::Upstream | Source::Joined);
        if is_fresh || self.tags[place as usize].digest.is_none() {
            self.names(place, at, digest);
        }
    }

    fn seen(&mut self, at: Millis, seen: &ManifestSeen) {
        self.anatomy.seen(seen);
        let Some(members) = self.groups.get(&Group::of(&seen.repository)).cloned() else { return };
        for place in members {
            self.place_in_family(place, at);
        }
    }

    /// Finds out on which lowest layer a tag's image stands, if it is known by now.
    fn place_in_family(&mut self, place: u32, at: Millis) {
        let tag = &mut self.tags[place as usize];
        let Some(known) = tag.digest.filter(|_| tag.is_unplaced).and_then(|digest| self.anatomy.of(digest)) else { return };
        tag.is_unplaced = false;
        tag.demand.bytes = known.bytes;
        let (old, new) = (tag.family.replace(known.family), known.family);
        if let Some(old) = old.filter(|old| *old != new) {
            self.rebuilt(place, old, at);
        }
    }

    /// An image has been rebuilt on another lowest layer: so will be others that stand on the old one.
    fn rebuilt(&mut self, first: u32, family: u64, at: Millis) {
        let group = self.tags[first as usize].group;
        let stands_on_it = |tag: &Followed| tag.family == Some(family) && tag.group != group;
        let others = self.tags.iter().filter(|tag| stands_on_it(tag)).count();
        let share = self.waves.rebuilt(family, at, others);
        for tag in self.tags.iter_mut().filter(|tag| stands_on_it(tag)) {
            tag.excite(Evidence::Base, share);
        }
    }

    /// A tag names `digest`: it has moved if it named something else.
    fn names(&mut self, place: u32, at: Millis, digest: &Digest) {
        let tag = &mut self.tags[place as usize];
        let digest = subject::short(digest);
        let old = tag.digest.replace(digest);
        if old == Some(digest) {
            return self.confirmed(place, at);
        }
        tag.is_unplaced = true;
        if old.is_some() {
            self.classes.moved(tag.class);
            self.rhythm.moved(at);
            tag.moved(at);
            let group = tag.group;
            self.sibling_moved(place, group, at);
        } else {
            tag.looked_at(at);
        }
        self.place_in_family(place, at);
    }

    /// Tags of a repository move together.
    fn sibling_moved(&mut self, first: u32, group: Group, at: Millis) {
        let members = self.groups.get(&group).cloned().unwrap_or_default();
        let opened = self.waves.opened(group, at);
        if opened.is_new {
            self.close_wave(&members, opened.before);
        }
        let typical = self.waves.typical();
        for place in members.into_iter().filter(|place| *place != first) {
            let tag = &mut self.tags[place as usize];
            // Who was found unmoved, or has moved, since this began, has had its chance; what is left of it is on its way.
            if opened.is_new || tag.last_looked < opened.at {
                let chance = tag.participation.chance(typical);
                tag.excite(Evidence::Sibling, chance);
            }
        }
    }

    /// Learns who takes part when its siblings move, from the last time that they did.
    fn close_wave(&mut self, members: &[u32], before: Option<Millis>) {
        let Some(began) = before else { return };
        let is_in_it = |tag: &Followed| tag.last_moved.is_some_and(|moved| moved >= began && moved < began + waves::SIBLINGS);
        let known: Vec<u32> = members.iter().copied().filter(|place| self.tags[*place as usize].since < began).collect();
        let moved = known.iter().filter(|place| is_in_it(&self.tags[**place as usize])).count();
        for place in &known {
            let tag = &mut self.tags[*place as usize];
            let took_part = is_in_it(tag);
            tag.participation.noted(took_part);
            if took_part {
                tag.company.noted(moved > 1);
            }
        }
        // The one that was found first is no proof of anything.
        self.waves.closed(moved.saturating_sub(1), known.len().saturating_sub(1));
    }

    /// A tag was looked at and has not moved, and its siblings have probably not either.
    fn confirmed(&mut self, place: u32, at: Millis) {
        let tag = &mut self.tags[place as usize];
        tag.looked_at(at);
        let would_have = tag.participation.chance(self.waves.typical());
        let Some(members) = self.groups.get(&tag.group) else { return };
        for sibling in members.iter().filter(|sibling| **sibling != place) {
            let sibling = &mut self.tags[*sibling as usize];
            // Of its moves, those are ruled out that the one that was looked at would have joined.
            sibling.believe(1.0 - would_have * sibling.company.chance(waves::COMPANY));
        }
    }

    /// Lets time pass for all tags.
    fn reckon(&mut self, now: Millis) {
        if self.reckoned == 0 || now <= self.reckoned {
            // The beginning, or a clock that was set back.
            self.reckoned = now;
            return;
        }
        let seconds = (now - self.reckoned) as f32 / 1000.0;
        let pace = self.rhythm.pass(now, seconds);
        let classes = &mut self.classes;
        classes.fade(seconds);
        for tag in &mut self.tags {
            classes.watched(tag.class, seconds);
            tag.pass(seconds, classes.rate(tag.class), pace);
        }
        self.reckoned = now;
        self.forget(now);
    }

    /// What a question for each tag would save, by repository.
    fn scouts(&self, now: Millis) -> Scouts {
        let mut scouts = Scouts::default();
        let typical = self.waves.typical();
        for (group, members) in &self.groups {
            let Some(first) = members.first() else { continue };
            let route = &self.tags[*first as usize].subject.repository.route;
            if self.settings.is_off(route) || self.budget.is_quiet(route, now) {
                continue;
            }
            let saves: f32 = members.iter().map(|place| self.tags[*place as usize].late_cost()).sum();
            if saves < LEAST {
                continue;
            }
            let mut found = Vec::with_capacity(members.len());
            let mut asked = 1.0;
            for place in members {
                let tag = &self.tags[*place as usize];
                let chance = tag.participation.chance(typical);
                if tag.is_asked {
                    asked *= 1.0 - chance;
                } else if tag.is_awake(now, self.settings.nearest) {
                    let own = tag.late_cost();
                    found.push(Scout { own, others: chance * (saves - own), place: *place });
                }
            }
            scouts.add(*group, found, asked);
        }
        scouts
    }

    /// Who has not been looked at for too long, the longest last.
    fn neglected(&self, now: Millis) -> Vec<u32> {
        let Settings { nearest, farthest, .. } = &self.settings;
        let is_neglected = |tag: &Followed| {
            let route = &tag.subject.repository.route;
            let may_be_asked = !tag.is_asked && tag.is_awake(now, *nearest);
            may_be_asked && tag.is_overdue(now, *farthest) && !self.settings.is_off(route) && !self.budget.is_quiet(route, now)
        };
        let mut places: Vec<u32> =
            (0..self.tags.len() as u32).filter(|place| is_neglected(&self.tags[*place as usize])).collect();
        places.sort_unstable_by_key(|place| (Reverse(self.tags[*place as usize].last_looked), *place));
        places
    }

    fn follow(&mut self, subject: Subject, at: Millis) -> u32 {
        if let Some(place) = self.places.get(&subject) {
            return *place;
        }
        let place = self.tags.len() as u32;
        let tag = Followed::new(subject.clone(), at);
        self.groups.entry(tag.group).or_default().push(place);
        self.releases.follow(&tag);
        self.tags.push(tag);
        self.places.insert(subject, place);
        place
    }

    fn unfollow(&mut self, place: u32) {
        self.tags.swap_remove(place as usize);
        self.find_places();
    }

    /// Forgets who is not pulled any more, and who is pulled least when there are too many.
    fn forget(&mut self, now: Millis) {
        let is_old = |tag: &Followed| tag.demand.last.saturating_add(FORGOTTEN) < now;
        if self.tags.len() <= MOST && !self.tags.iter().any(is_old) {
            return;
        }
        self.tags.retain(|tag| !is_old(tag));
        if self.tags.len() > MOST {
            self.tags.sort_by(|one, other| other.demand.rate().total_cmp(&one.demand.rate()));
            // Some room, so that this is not done for each new tag.
            self.tags.truncate(MOST - MOST / 10);
        }
        self.find_places();
    }

    fn find_places(&mut self) {
        self.places.clear();
        self.groups.clear();
        for (place, tag) in self.tags.iter().enumerate() {
            self.places.insert(tag.subject.clone(), place as u32);
            self.groups.entry(tag.group).or_default().push(place as u32);
        }
        self.releases.recount(&self.tags);
    }
}
