//! A part of a long answer.

/// Which part of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many of the first are left out.
    pub offset: usize,
    /// How many at most.
    pub limit: usize,
}

impl Page {
    /// Entries of a page when nothing is said.
    pub const USUAL: usize = 20;
    /// Entries of a page at most.
    pub const LARGEST: usize = 1_000;
    /// Entries that can be left out at most: a question examines no more.
    pub const FURTHEST: usize = super::MOST_EXAMINED;

    /// The entries of this page.
    pub(super) fn of<T>(self, entries: &[T]) -> &[T] {
        let rest = entries.get(self.offset..).unwrap_or_default();
        &rest[..rest.len().min(self.limit.min(Self::LARGEST))]
    }
}

impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, limit: Self::USUAL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_entries_do() {
        let page = |offset, limit| Page { offset, limit };
        assert_eq!(page(0, 2).of(&[1, 2, 3]), [1, 2]);
        assert_eq!(page(2, 2).of(&[1, 2, 3]), [3]);
        assert!(page(4, 2).of(&[1, 2, 3]).is_empty() && page(usize::MAX, usize::MAX).of(&[1]).is_empty());
        assert_eq!(page(0, usize::MAX).of(&[0; 2_000]).len(), Page::LARGEST);
    }
}
