//! Kinds of tags, by their looks, and how often each kind moves.

use crate::oci::Tag;

/// What a tag looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `latest`, `stable-slim`: words.
    Words,
    /// `1.27`, `3-alpine`: a line of versions.
    Line,
    /// `1.27.3`: one version.
    Version,
    /// `sha-3f9ac1d`, `20240501`, `build-1234`: made once.
    Once,
}

/// How long tags of a class last before they move, until more is known: a week, ten days, a month, a year.
const FIRST_GUESSES: [f32; 4] = [604_800.0, 864_000.0, 2_592_000.0, 31_536_000.0];

/// What the first guess counts for, in moves.
const GUESS_WEIGHT: f32 = 5.0;

/// After how many seconds of watching one tag something counts half: a year, since thousands are watched together.
const HALF_LIFE: f32 = 31_536_000.0;

/// How often each class moves, as watched here.
#[derive(Debug)]
pub(super) struct Classes([Seen; 4]);

#[derive(Debug, Clone, Copy)]
struct Seen {
    moves: f32,
    seconds: f32,
}

impl Class {
    pub(super) fn of(tag: &Tag) -> Self {
        let text = tag.as_str();
        if text.split(['-', '_', '.']).any(Self::is_hash) {
            return Self::Once;
        }
        let head = text.split(['-', '_']).next().unwrap_or_default();
        let head = head.strip_prefix('v').unwrap_or(head);
        let numbers = head.split('.').take_while(|part| part.starts_with(|first: char| first.is_ascii_digit())).count();
        match numbers {
            0 if text.bytes().any(|byte| byte.is_ascii_digit()) && text.len() > 20 => Self::Once,
            0 => Self::Words,
            1 | 2 => Self::Line,
            _ => Self::Version,
        }
    }
}

impl Class {
    /// Whether a word of a tag is the beginning of a hash, or a date.
    pub(super) fn is_hash(word: &str) -> bool {
        word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) && word.bytes().any(|byte| byte.is_ascii_digit())
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self(FIRST_GUESSES.map(|seconds| Seen { moves: GUESS_WEIGHT, seconds: GUESS_WEIGHT * seconds }))
    }
}

impl Classes {
    /// Moves a second, of a tag of this class.
    pub(super) fn rate(&self, class: Class) -> f32 {
        let seen = self.0[class as usize];
        seen.moves / seen.seconds
    }

    /// One has moved.
    pub(super) fn moved(&mut self, class: Class) {
        self.0[class as usize].moves += 1.0;
    }

    /// One has been watched for so long.
    pub(super) fn watched(&mut self, class: Class, seconds: f32) {
        self.0[class as usize].seconds += seconds;
    }

    /// What was long ago counts less.
    pub(super) fn fade(&mut self, seconds: f32) {
        let left = (-seconds / HALF_LIFE).exp2();
        for seen in &mut self.0 {
            seen.moves *= left;
            seen.seconds *= left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_apart_by_their_looks() {
        for (tag, class) in [
            ("latest", Class::Words),
            ("stable-slim", Class::Words),
            ("3", Class::Line),
            ("1.27-alpine", Class::Line),
            ("v2.1", Class::Line),
            ("1.27.3", Class::Version),
            ("v0.8.1-rc.1", Class::Version),
            ("sha-3f9ac1d", Class::Once),
            ("20240501", Class::Once),
            ("main-1a2b3c4d5e6f", Class::Once),
        ] {
            assert_eq!(Class::of(&tag.parse().unwrap()), class, "{tag}");
        }
    }

    #[test]
    fn a_class_learns_how_often_it_moves() {
        let mut classes = Classes::default();
        for _ in 0..1000 {
            classes.watched(Class::Words, 3600.0);
            classes.moved(Class::Words);
        }
        assert!(classes.rate(Class::Words) > 1.0 / 7200.0);
        assert_eq!(classes.rate(Class::Line), 1.0 / 864_000.0);
    }
}
