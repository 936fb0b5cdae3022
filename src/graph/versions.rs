//! Which version comes after which: tags of a repository, read as versions of a series.

use std::{cmp::Ordering, collections::BTreeMap, ops::Bound};

use petgraph::{stable_graph::NodeIndex, visit::EdgeRef};

use super::model::{Edge, State};
use crate::oci::Tag;

/// Numbers that are read at the beginning of a version; a fourth is a build or a revision.
const NUMBERS: usize = 4;

/// Numbers from here on are dates or builds, and no neighbours of small ones.
const LARGE: u64 = 10_000_000;

/// Words that make what they follow come before its release, the earliest first.
const BEFORE: [&str; 13] =
    ["dev", "snapshot", "nightly", "alpha", "a", "beta", "b", "m", "milestone", "preview", "pre", "c", "rc"];

/// Words that number what was made anew of the same version.
const AGAIN: [&str; 12] = ["", "r", "p", "rev", "build", "post", "patch", "ls", "k3s", "rke2r", "hotfix", "u"];

/// A tag, read as a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Only versions of one series follow each other: what is before and after the number, and how many parts it has.
    pub(super) series: Box<str>,
    numbers: [u64; NUMBERS],
    stage: Stage,
    revision: u64,
}

/// How far a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Before the release: which word, by its place, and which number.
    Before(u8, u64),
    Released,
}

/// Tags, ordered by repository, series, version and, of the same version, text.
#[derive(Debug, Default)]
pub(super) struct Versions {
    tags: BTreeMap<Place, NodeIndex>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    repository: NodeIndex,
    version: Version,
    tag: Tag,
}

impl Version {
    /// What a version has in common with those that it follows.
    pub fn series(&self) -> &str {
        &self.series
    }

    /// Reads a tag such as `v1.2.3-rc1-alpine3.19`; `None` for one that is no version.
    pub fn of(tag: &str) -> Option<Self> {
        let start = start(tag)?;
        let (prefix, mut rest) = tag.split_at(start);
        let mut numbers = [0; NUMBERS];
        let mut parts = 0;
        loop {
            let number = leading_number(&mut rest)?;
            numbers[parts] = number;
            parts += 1;
            let next = rest.strip_prefix('.').or_else(|| rest.strip_prefix('-').filter(|rest| is_date(&numbers[..parts], rest)));
            match next {
                Some(next) if parts < NUMBERS && next.starts_with(|first: char| first.is_ascii_digit()) => rest = next,
                _ => break,
            }
        }
        let stage = stage(&mut rest);
        let revision = revision(&mut rest);
        let shape = if numbers[0] >= LARGE { 'D' } else { char::from(b'0' + parts as u8) };
        Some(Self { series: format!("{prefix}{shape}{rest}").into(), numbers, stage, revision })
    }
}

/// Where the version begins: at the first number. Tags that name a digest or a commit are no versions.
fn start(tag: &str) -> Option<usize> {
    let mut words = tag.split(['-', '_', '.']);
    let is_digest = words.clone().next().is_some_and(|word| matches!(word, "sha" | "sha1" | "sha256" | "sha512"));
    if is_digest || words.any(is_commit) { None } else { tag.find(|next: char| next.is_ascii_digit()) }
}

/// Seven or more hexadecimal digits, numbers and letters among them.
fn is_commit(word: &str) -> bool {
    let is_hexadecimal = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    is_hexadecimal && word.len() >= 7 && (1..word.len()).contains(&letters)
}

fn leading_number(text: &mut &str) -> Option<u64> {
    let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    *text = &text[end..];
    Some(number)
}

/// Whether a date goes on, with its month or day, in `rest`.
fn is_date(numbers: &[u64], rest: &str) -> bool {
    let two_digits = rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_digit);
    let ends = !rest.as_bytes().get(2).is_some_and(u8::is_ascii_digit);
    (1970..2200).contains(&numbers[0]) && numbers.len() < 3 && two_digits && ends
}

/// Takes the stage from the beginning of what follows the numbers: `-rc1`, `rc.1`, `-beta`, `b2`.
fn stage(rest: &mut &str) -> Stage {
    let text = rest.strip_prefix(['-', '.', '_']).unwrap_or(rest);
    let (word, mut after) = text.split_at(text.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(text.len()));
    let Some(place) = BEFORE.iter().position(|before| before.eq_ignore_ascii_case(word)) else { return Stage::Released };
    let numbered = after.strip_prefix(['-', '.']).filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let mut numbers = numbered.unwrap_or(after);
    let number = leading_number(&mut numbers);
    if number.is_some() {
        after = numbers;
    }
    *rest = after;
    Stage::Before(place as u8, number.unwrap_or_default())
}

/// Takes the number of a revision from the end: `-r4`, `-1`, `-k3s1`.
fn revision(rest: &mut &str) -> u64 {
    let (before, last) = rest.rsplit_once(['-', '_']).unwrap_or(("", ""));
    let (word, digits) = last.split_at(last.trim_end_matches(|next: char| next.is_ascii_digit()).len());
    let word = word.strip_suffix('.').unwrap_or(word);
    let Ok(number) = digits.parse() else { return 0 };
    // `-debian-11` is another series than `-debian-12`, while `-11` alone numbers a revision.
    if !AGAIN.contains(&word) || (word.is_empty() && !before.is_empty()) {
        return 0;
    }
    *rest = before;
    number
}

impl Versions {
    /// Adds a tag that is there. Its neighbours are not linked.
    pub(super) fn insert(&mut self, repository: NodeIndex, tag: &Tag, node: NodeIndex) -> Option<Neighbours> {
        let place = Place { repository, version: Version::of(tag.as_str())?, tag: tag.clone() };
        let neighbours = self.neighbours(&place);
        self.tags.insert(place, node).is_none().then_some(neighbours)
    }

    fn remove(&mut self, repository: NodeIndex, tag: &Tag) -> Option<Neighbours> {
        let place = Place { repository, version: Version::of(tag.as_str())?, tag: tag.clone() };
        self.tags.remove(&place)?;
        Some(self.neighbours(&place))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    fn neighbours(&self, place: &Place) -> Neighbours {
        let is_same = |(other, node): (&Place, &NodeIndex)| {
            let same = other.repository.cmp(&place.repository).then_with(|| other.version.series.cmp(&place.version.series));
            (same == Ordering::Equal).then_some(*node)
        };
        let before = self.tags.range((Bound::Unbounded, Bound::Excluded(place))).next_back().and_then(is_same);
        let after = self.tags.range((Bound::Excluded(place), Bound::Unbounded)).next().and_then(is_same);
        Neighbours { before, after }
    }
}

/// The versions around one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neighbours {
    before: Option<NodeIndex>,
    after: Option<NodeIndex>,
}

impl State {
    /// A tag names something that named nothing before.
    pub(super) fn version_arrived(&mut self, tag: NodeIndex) {
        let Some(node) = self.as_tag(tag) else { return };
        let (repository, name) = (node.repository, node.tag.clone());
        let Some(Neighbours { before, after }) = self.versions.insert(repository, &name, tag) else { return };
        if let Some(before) = before {
            self.unlink_next(before);
            self.link(before, tag, Edge::NextVersion);
        }
        if let Some(after) = after {
            self.link(tag, after, Edge::NextVersion);
        }
    }

    /// A tag does not name anything any more.
    pub(super) fn version_leaves(&mut self, tag: NodeIndex) {
        let Some(node) = self.as_tag(tag) else { return };
        let (repository, name) = (node.repository, node.tag.clone());
        let Some(Neighbours { before, after }) = self.versions.remove(repository, &name) else { return };
        self.unlink_next(tag);
        if let Some(before) = before {
            self.unlink_next(before);
            if let Some(after) = after {
                self.link(before, after, Edge::NextVersion);
            }
        }
    }

    fn unlink_next(&mut self, tag: NodeIndex) {
        let next = self.graph.edges(tag).find(|edge| matches!(edge.weight(), Edge::NextVersion)).map(|edge| edge.id());
        if let Some(next) = next {
            self.unlink(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(tag: &str) -> Version {
        Version::of(tag).unwrap_or_else(|| panic!("{tag} is no version"))
    }

    #[test]
    fn versions_of_a_series_are_in_order() {
        for series in [
            &["1.2.3-alpha", "1.2.3-alpha.2", "1.2.3-beta1", "1.2.3-rc1", "1.2.3-rc.2", "1.2.3", "1.2.3-1", "1.2.3-r2", "1.10.0"]
                [..],
            &["v1.9.0", "v1.10.0-rc1", "v1.10.0"],
            &["3.13.0a1-slim", "3.13.0b2-slim", "3.13.0rc2-slim", "3.13.0-slim", "3.13.1-slim"],
            &["1.2.3-debian-11-r4", "1.2.3-debian-11-r10", "1.2.4-debian-11-r0"],
            &["v1.28.2-k3s1", "v1.28.2-k3s2", "v1.29.0-k3s1"],
            &["bookworm-20240513-slim", "bookworm-20240612-slim"],
            &["2023-12-31", "2024-01-01", "2024-02-01"],
            &["alpine3.9", "alpine3.19"],
            &["16", "17"],
            &["22.04", "22.10"],
            &["20240501", "20240502"],
        ] {
            for pair in series.windows(2) {
                let (one, other) = (version(pair[0]), version(pair[1]));
                assert_eq!(one.series, other.series, "{pair:?}");
                assert!(one < other, "{pair:?}");
            }
        }
    }

    #[test]
    fn tags_of_different_series_do_not_follow_each_other() {
        for (one, other) in [
            ("1.2.3", "v1.2.4"),
            ("1.2", "1.3.0"),
            ("1.2.3", "1.2.4-alpine"),
            ("1.2.3-alpine3.18", "1.2.3-alpine3.19"),
            ("1.2.3-debian-11", "1.2.3-debian-12"),
            ("17", "20240501"),
            ("jdk17", "17"),
        ] {
            assert_ne!(version(one).series, version(other).series, "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_version_has_no_place() {
        for tag in [
            "latest",
            "stable",
            "main",
            "sha-0a1b2c3",
            "0a1b2c3d",
            "main-0a1b2c3d4e",
            "sha256-00",
            "99999999999999999999999",
            "v1.99999999999999999999999",
        ] {
            assert_eq!(Version::of(tag), None, "{tag}");
        }
    }
}
