//! Repositories that release under new tags: which there are, and what is new in their lists of tags.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::{Listed, Subject, class::Class, followed::Followed, subject::Group};
use crate::{
    events::{Millis, Repository},
    graph::Version,
    oci::Tag,
};

/// So many tags of a kind that are pulled here within a month, and the next one will be, too.
const SEVERAL: u32 = 3;

/// Lists that are remembered at most: some 20 MB, if all are as long as can be.
const LISTS: usize = 100;

/// New tags of one list that are looked at: the newest.
const NEW_EACH: usize = 4;

/// New tags that wait to be looked at.
const NEW: usize = 256;

/// Tags are released at most as often as over a day, and at least as over a month, whenever the first one was pulled.
const SHORTEST: f32 = 86_400.0;
const LONGEST: f32 = 2_592_000.0;

/// The pause after a question that was not answered, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The pause after a list that is of no use.
const ALONE: Duration = Duration::from_secs(86_400);

/// All repositories that release under new tags.
#[derive(Debug, Default)]
pub(super) struct Releases {
    lines: HashMap<Group, Line>,
    new: VecDeque<Subject>,
}

/// What is pulled of a repository, and what its list was.
#[derive(Debug)]
struct Line {
    repository: Repository,
    pulled: HashMap<Kin, Pulled>,
    /// The tags that it had when it was last listed: hashes of their names.
    known: Option<HashSet<u64>>,
    last_listed: Millis,
    asleep_until: Millis,
    failures: u32,
    is_asked: bool,
}

/// What tags that follow each other have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kin(Box<str>);

/// Tags of a kind that are followed.
#[derive(Debug, Clone, Copy)]
struct Pulled {
    count: u32,
    /// When the first was pulled for the first time.
    since: Millis,
}

impl Releases {
    /// A tag is followed from now on. Of public repositories, nothing is expected of a tag that has never been pulled: their lists
    /// are of no use.
    pub(super) fn follow(&mut self, tag: &Followed) {
        let repository = &tag.subject.repository;
        let Some(kin) = kin(&tag.subject.tag).filter(|_| repository.private) else { return };
        let line = self.lines.entry(tag.group).or_insert_with(|| Line::new(repository.clone(), tag.since));
        let pulled = line.pulled.entry(kin).or_insert(Pulled { count: 0, since: tag.since });
        pulled.count += 1;
        pulled.since = pulled.since.min(tag.since);
    }

    /// These are the tags that are followed.
    pub(super) fn recount(&mut self, tags: &[Followed]) {
        self.lines.values_mut().for_each(|line| line.pulled.clear());
        tags.iter().for_each(|tag| self.follow(tag));
        self.lines.retain(|_, line| !line.pulled.is_empty());
    }

    /// The repositories whose lists may be asked for, and for how many seconds each one's last release has gone unnoticed, as
    /// expected.
    pub(super) fn late(&self, now: Millis, nearest: Duration) -> impl Iterator<Item = (Group, &Repository, f32)> {
        let is_full = self.lines.values().filter(|line| line.known.is_some()).count() >= LISTS;
        let lines = self.lines.iter().filter(move |(_, line)| !is_full || line.known.is_some());
        let lines = lines.filter(move |(_, line)| line.is_awake(now, nearest));
        lines.filter_map(move |(group, line)| Some((*group, &line.repository, line.late(now)?)))
    }

    /// A question is under way.
    pub(super) fn asked(&mut self, group: Group) -> Option<Repository> {
        let line = self.lines.get_mut(&group)?;
        line.is_asked = true;
        Some(line.repository.clone())
    }

    /// What came of it. What is new waits to be looked at; the first list is what later ones are compared to. How many are new.
    pub(super) fn listed(&mut self, group: Group, at: Millis, listed: Listed, is_followed: impl Fn(&Tag) -> bool) -> usize {
        let Some(line) = self.lines.get_mut(&group) else { return 0 };
        line.is_asked = false;
        let tags = match listed {
            Listed::Tags(tags) => tags,
            Listed::Useless => {
                line.known = None;
                line.sleep(at, ALONE);
                return 0;
            }
            Listed::Failed | Listed::Limited(_) => {
                line.sleep(at, FIRST_PAUSE * (1 << line.failures.min(6)));
                line.failures += 1;
                return 0;
            }
        };
        (line.last_listed, line.failures, line.asleep_until) = (at, 0, 0);
        let old = line.known.replace(tags.iter().map(hash).collect());
        let Some(old) = old else { return 0 };
        let new = tags.into_iter().filter(|tag| !old.contains(&hash(tag)) && line.continues(tag) && !is_followed(tag));
        let mut new: Vec<_> = new.map(|tag| (Version::of(tag.as_str()), tag)).collect();
        new.sort();
        let newest = new.split_off(new.len().saturating_sub(NEW_EACH));
        let count = newest.len();
        self.new.extend(newest.into_iter().map(|(_, tag)| Subject { repository: line.repository.clone(), tag }));
        self.new.drain(..self.new.len().saturating_sub(NEW));
        count
    }

    /// Takes those new tags that `may_ask` says yes to.
    pub(super) fn take_new(&mut self, mut may_ask: impl FnMut(&Subject) -> bool) -> Vec<Subject> {
        let (taken, left) = self.new.drain(..).partition(|subject| may_ask(subject));
        self.new = left;
        Vec::from(taken)
    }

    /// A new tag could not be looked at: the next list tells of it again.
    pub(super) fn missed(&mut self, subject: &Subject) {
        if let Some(line) = self.lines.get_mut(&Group::of(&subject.repository))
            && let Some(known) = &mut line.known
        {
            known.remove(&hash(&subject.tag));
        }
    }

    /// Looking at new tags costs pulls: the repository is left alone.
    pub(super) fn leave_alone(&mut self, repository: &Repository, at: Millis) {
        if let Some(line) = self.lines.get_mut(&Group::of(repository)) {
            line.sleep(at, ALONE);
        }
    }
}

impl Line {
    fn new(repository: Repository, at: Millis) -> Self {
        let pulled = HashMap::new();
        Self { repository, pulled, known: None, last_listed: at, asleep_until: 0, failures: 0, is_asked: false }
    }

    /// Kinds of which ever new ones are pulled.
    fn kinds(&self) -> impl Iterator<Item = &Pulled> {
        self.pulled.values().filter(|pulled| pulled.count >= SEVERAL)
    }

    /// Whether a tag is one more of those that are pulled.
    fn continues(&self, tag: &Tag) -> bool {
        kin(tag).and_then(|kin| self.pulled.get(&kin)).is_some_and(|pulled| pulled.count >= SEVERAL)
    }

    fn is_awake(&self, now: Millis, nearest: Duration) -> bool {
        !self.is_asked && self.asleep_until <= now && self.last_listed.saturating_add(nearest.as_millis() as Millis) <= now
    }

    /// For how long something new has probably been there unnoticed, in seconds; `None` where nothing is ever new.
    fn late(&self, now: Millis) -> Option<f32> {
        let seconds = |since: Millis| now.saturating_sub(since) as f32 / 1000.0;
        let rate: f32 = self.kinds().map(|one| one.count as f32 / seconds(one.since).clamp(SHORTEST, LONGEST)).sum();
        let unseen = seconds(self.last_listed);
        // The chance that something is new by a moment, over all moments until now.
        (rate > 0.0).then(|| unseen + (-rate * unseen).exp_m1() / rate).map(|late| late.max(0.0))
    }

    fn sleep(&mut self, at: Millis, pause: Duration) {
        self.asleep_until = at.saturating_add(pause.as_millis() as Millis);
    }
}

/// What a tag has in common with those before and after it; `None` when none follow it.
fn kin(tag: &Tag) -> Option<Kin> {
    let text = tag.as_str();
    if let Some(version) = Version::of(text) {
        return Some(Kin(version.series().into()));
    }
    // A signature or an attestation is no release.
    if Class::of(tag) != Class::Once || text.starts_with("sha256-") {
        return None;
    }
    let words = text.split(['-', '_', '.']).map(|word| if Class::is_hash(word) { "#" } else { word });
    Some(Kin(words.collect::<Vec<_>>().join("-").into()))
}

fn hash(tag: &Tag) -> u64 {
    let mut hasher = DefaultHasher::new();
    tag.as_str().hash(&mut hasher);
    hasher.finish()
}
