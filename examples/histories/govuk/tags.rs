//! What a tag tells.

/// A version `v123`, a `release_123`, a commit, or anything else.
pub(crate) fn class(tag: &str) -> u8 {
    match number(tag) {
        Some(("v", _)) => 0,
        Some(("release_", _)) => 1,
        _ if tag.len() == 40 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()) => 2,
        _ => 3,
    }
}

/// What stands before the number of a tag, and the number.
pub(crate) fn number(tag: &str) -> Option<(&str, i64)> {
    let begin = tag.find(|next: char| next.is_ascii_digit())?;
    Some((&tag[..begin], tag[begin..].parse().ok()?))
}

/// How many versions it goes ahead: 0 if that cannot be told, 1 back, 2 one, and more.
pub(crate) fn step(from: &str, to: &str) -> u8 {
    let (Some((before, from)), Some((after, to))) = (number(from), number(to)) else { return 0 };
    if before != after {
        return 0;
    }
    match to - from {
        ..=0 => 1,
        1 => 2,
        2 => 3,
        3..=4 => 4,
        5..=9 => 5,
        _ => 6,
    }
}
