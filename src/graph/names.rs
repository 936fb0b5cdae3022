//! Texts that occur often, as small numbers.

use std::sync::Arc;

use hashbrown::HashMap;

/// The number of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interned(pub(super) u16);

/// Up to 65,535 texts (media types, platforms, regions): more than there are, so that all beyond share the number of the empty
/// text, which is always 0.
#[derive(Debug, Clone)]
pub struct Names {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, Interned>,
}

impl Interned {
    /// The empty text.
    pub const NONE: Self = Self(0);
}

impl Default for Names {
    fn default() -> Self {
        let empty: Arc<str> = "".into();
        Self { texts: vec![empty.clone()], numbers: HashMap::from([(empty, Interned::NONE)]) }
    }
}

impl Names {
    /// The number of a text, which gets one if it has none.
    pub fn intern(&mut self, text: &str) -> Interned {
        if let Some(number) = self.find(text) {
            return number;
        }
        let Ok(number) = u16::try_from(self.texts.len()) else { return Interned::NONE };
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.numbers.insert(text, Interned(number));
        Interned(number)
    }

    /// The number of a text that has one.
    pub fn find(&self, text: &str) -> Option<Interned> {
        self.numbers.get(text).copied()
    }

    /// The text of a number; the empty one for a number that was never given.
    pub fn text(&self, number: Interned) -> &str {
        self.texts.get(usize::from(number.0)).map_or("", |text| text)
    }

    /// How many texts there are, the empty one included.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// All texts, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Interned, &str)> {
        self.texts.iter().enumerate().map(|(number, text)| (Interned(number as u16), &**text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_and_too_many_share_one() {
        let mut names = Names::default();
        let (a, b) = (names.intern("a"), names.intern("b"));
        assert_ne!(a, b);
        assert_eq!((names.intern("a"), names.find("b"), names.find("c")), (a, Some(b), None));
        assert_eq!((names.text(a), names.text(Interned::NONE), names.text(Interned(99))), ("a", "", ""));
        assert_eq!(names.intern(""), Interned::NONE);
        for n in 0..70_000 {
            names.intern(&n.to_string());
        }
        assert_eq!(names.intern("one more"), Interned::NONE);
        assert_eq!(names.iter().count(), 65_536);
    }
}
