//! Patterns of repositories and tags.

use std::fmt;

/// Longest pattern, in bytes.
const LONGEST: usize = 512;

/// A text in which `*` stands for any text without a `/` and `**` for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Empty or too long.
    #[error("must be 1 to {LONGEST} characters")]
    Length,
    /// It could never match.
    #[error("'{0}' holds a '{1}', which no {2} does")]
    Letter(String, char, &'static str),
    /// A row of three or more stars.
    #[error("'{0}' holds '***'; write '**' for any text, '*' for any text without '/'")]
    Stars(String),
    /// Nothing can be between two slashes.
    #[error("'{0}' has an empty part")]
    EmptyPart(String),
    /// An upstream without a repository.
    #[error("'{0}' is an upstream, not a repository; write '{0}/**' for all of its repositories")]
    OnlyUpstream(String),
    /// It begins with something that is no configured upstream.
    #[error("'{0}' is no upstream that is configured; a pattern begins with one, such as 'docker.io/library/*', or with a '*'")]
    UnknownUpstream(String),
}

/// An upstream as patterns know it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its name, as everything that is cached for it is kept under.
    pub name: &'a str,
    /// Whether a name of one component means `library/name` there.
    pub library: bool,
}

impl Pattern {
    /// A pattern of tags.
    ///
    /// # Errors
    /// [`InvalidPattern`]
    pub fn of_tags(text: &str) -> Result<Self, InvalidPattern> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-*".contains(letter);
        checked(text, allowed, "tag").map(Self)
    }

    /// A pattern of repositories, written `upstream/repository`. What it begins with is either the name or an alias of an
    /// upstream, which `named` knows, or holds a star. Where `docker.io/nginx` means `docker.io/library/nginx`,
    /// `docker.io/ngin*` means `docker.io/library/ngin*`.
    ///
    /// # Errors
    /// [`InvalidPattern`]
    pub fn of_repositories<'a>(text: &str, named: impl FnOnce(&str) -> Option<Named<'a>>) -> Result<Self, InvalidPattern> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-*/:[]".contains(letter);
        let text = checked(text, allowed, "repository name")?;
        let (first, rest) = text.split_once('/').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
        if first.contains('*') {
            return rest.map_or(Ok(()), check_repository).map(|()| Self(text));
        }
        let Named { name, library } = named(first).ok_or_else(|| InvalidPattern::UnknownUpstream(first.to_owned()))?;
        let rest = rest.ok_or_else(|| InvalidPattern::OnlyUpstream(first.to_owned()))?;
        check_repository(rest)?;
        let library = if library && !rest.contains('/') && !rest.contains("**") { "library/" } else { "" };
        Ok(Self(format!("{name}/{library}{rest}")))
    }

    /// Whether it matches a whole text. Takes nanoseconds for a text of usual length, and no memory.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Where to go on when what follows the last star of each kind does not fit: past the star, with one more byte in it.
        let (mut narrow, mut wide) = (None, None);
        loop {
            if pattern[at..].starts_with(b"**") {
                at += 2;
                (narrow, wide) = (None, Some((at, seen)));
            } else if pattern.get(at) == Some(&b'*') {
                at += 1;
                narrow = Some((at, seen));
            } else if at < pattern.len() && text.get(seen) == Some(&pattern[at]) {
                (at, seen) = (at + 1, seen + 1);
            } else if at == pattern.len() && seen == text.len() {
                return true;
            } else if let Some((after, end)) = narrow.filter(|&(_, end)| text.get(end).is_some_and(|&byte| byte != b'/')) {
                narrow = Some((after, end + 1));
                (at, seen) = (after, end + 1);
            } else if let Some((after, end)) = wide.filter(|&(_, end)| end < text.len()) {
                (narrow, wide) = (None, Some((after, end + 1)));
                (at, seen) = (after, end + 1);
            } else {
                return false;
            }
        }
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(text: &str, allowed: impl Fn(char) -> bool, what: &'static str) -> Result<String, InvalidPattern> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(InvalidPattern::Length);
    }
    if let Some(letter) = text.chars().find(|&letter| !allowed(letter)) {
        return Err(InvalidPattern::Letter(text.to_owned(), letter, what));
    }
    if text.contains("***") {
        return Err(InvalidPattern::Stars(text.to_owned()));
    }
    if text.split('/').any(str::is_empty) {
        return Err(InvalidPattern::EmptyPart(text.to_owned()));
    }
    Ok(text.to_owned())
}

/// Repository names are narrower than the names of upstreams.
fn check_repository(rest: &str) -> Result<(), InvalidPattern> {
    match rest.chars().find(|&letter| letter.is_ascii_uppercase() || ":[]".contains(letter)) {
        Some(letter) => Err(InvalidPattern::Letter(rest.to_owned(), letter, "repository name")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Option<Named<'static>> {
        match text {
            "docker.io" | "hub" => Some(Named { name: "docker.io", library: true }),
            "ghcr.io" => Some(Named { name: "ghcr.io", library: false }),
            _ => None,
        }
    }

    fn repositories(text: &str) -> Result<Pattern, InvalidPattern> {
        Pattern::of_repositories(text, named)
    }

    /// Tries every way to fill the stars.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=text.len()).any(|end| by_definition(rest, &text[end..])),
            [b'*', rest @ ..] => {
                let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
                (0..=end).any(|end| by_definition(rest, &text[end..]))
            }
            [byte, rest @ ..] => text.first() == Some(byte) && by_definition(rest, &text[1..]),
        }
    }

    #[test]
    fn a_star_stays_in_its_part_and_two_do_not() {
        for (pattern, text, matches) in [
            ("docker.io/library/*", "docker.io/library/nginx", true),
            ("docker.io/library/*", "docker.io/library/nginx/x", false),
            ("docker.io/library/*", "docker.io/bitnami/nginx", false),
            ("ghcr.io/acme/**", "ghcr.io/acme/a/b/c", true),
            ("ghcr.io/acme/**", "ghcr.io/acmes/a", false),
            ("ghcr.io/**/app", "ghcr.io/a/b/app", true),
            ("ghcr.io/*/app", "ghcr.io/a/b/app", false),
            ("**", "anything/at/all", true),
            ("*/library/*-alpine", "docker.io/library/a-alpine-alpine", true),
        ] {
            let pattern = if pattern.starts_with('*') { Pattern(pattern.to_owned()) } else { repositories(pattern).unwrap() };
            assert_eq!(pattern.matches(text), matches, "{pattern} {text}");
        }
        let tags = Pattern::of_tags("*-sha-*").unwrap();
        assert!(tags.matches("main-sha-12") && tags.matches("-sha-") && !tags.matches("main-sha12"));
    }

    #[test]
    fn it_matches_what_the_definition_matches() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut matched = 0;
        for _ in 0..200_000 {
            let mut draw = |letters: &[&str], length: usize| {
                (0..random.usize(..length)).map(|_| letters[random.usize(..letters.len())]).collect::<String>()
            };
            let pattern = draw(&["a", "b", "/", "*", "**"], 8);
            if pattern.contains("***") {
                continue;
            }
            let text = draw(&["a", "b", "/"], 8);
            let expected = by_definition(pattern.as_bytes(), text.as_bytes());
            assert_eq!(Pattern(pattern.clone()).matches(&text), expected, "'{pattern}' '{text}'");
            matched += usize::from(expected);
        }
        assert!(matched > 1000);
    }

    #[test]
    fn upstreams_are_known_by_all_their_names() {
        for (written, meant) in [
            ("hub/library/*", "docker.io/library/*"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("hub/ngin*", "docker.io/library/ngin*"),
            ("docker.io/**", "docker.io/**"),
            ("ghcr.io/*", "ghcr.io/*"),
            ("*/nginx", "*/nginx"),
            ("**", "**"),
        ] {
            assert_eq!(repositories(written).unwrap().as_str(), meant);
        }
    }

    #[test]
    fn what_could_never_match_is_refused() {
        use InvalidPattern as Why;
        for (text, why) in [
            ("", Why::Length),
            (&"a".repeat(513), Why::Length),
            ("ghcr.io/a b", Why::Letter("ghcr.io/a b".to_owned(), ' ', "repository name")),
            ("ghcr.io/Acme/*", Why::Letter("Acme/*".to_owned(), 'A', "repository name")),
            ("ghcr.io/a:b", Why::Letter("a:b".to_owned(), ':', "repository name")),
            ("*/A", Why::Letter("A".to_owned(), 'A', "repository name")),
            ("ghcr.io/***", Why::Stars("ghcr.io/***".to_owned())),
            ("ghcr.io//a", Why::EmptyPart("ghcr.io//a".to_owned())),
            ("ghcr.io/", Why::EmptyPart("ghcr.io/".to_owned())),
            ("ghcr.io", Why::OnlyUpstream("ghcr.io".to_owned())),
            ("library/*", Why::UnknownUpstream("library".to_owned())),
        ] {
            assert_eq!(repositories(text), Err(why), "{text}");
        }
        assert_eq!(Pattern::of_tags("a/b"), Err(Why::Letter("a/b".to_owned(), '/', "tag")));
    }
}
