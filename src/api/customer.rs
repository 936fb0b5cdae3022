//! Who asks, for the access log only: it grants nothing.

/// The customer that a header names; `anonymous` without one, or when it is not 1 to 64 letters, digits, `.`, `_` or `-`.
pub(super) fn from_header(header: Option<&str>) -> &str {
    let is_word = |text: &&str| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    header.filter(is_word).unwrap_or("anonymous")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_customers() {
        assert_eq!(from_header(Some("acme.prod-1_x")), "acme.prod-1_x");
        let long = "a".repeat(65);
        for header in [None, Some(""), Some("a b"), Some("a\n"), Some("\u{1b}[31m"), Some(long.as_str())] {
            assert_eq!(from_header(header), "anonymous");
        }
    }
}
