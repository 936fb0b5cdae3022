//! What is still open, until it happens or its time is up.

use std::{cmp::Reverse, collections::BinaryHeap, hash::Hash};

use hashbrown::{HashMap, hash_map::Entry};

/// Questions of the form: does this happen within its time?
///
/// The answer is yes at the moment it happens and no only when the time is over, not before: what learns from the answers must not
/// know earlier. Bounded: when too many are open, new ones are not taken.
#[derive(Debug)]
pub struct Labels<K, T> {
    capacity: usize,
    /// By the number of the question.
    open: HashMap<u64, Open<K, T>>,
    /// The open questions about each thing, oldest first.
    about: HashMap<K, Vec<u64>>,
    /// When each question's time is up. Those that were answered before are skipped.
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    next: u64,
}

#[derive(Debug)]
struct Open<K, T> {
    key: K,
    end: u64,
    item: T,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<T> {
    /// What was kept with the question.
    pub item: T,
    /// Whether it happened in time.
    pub came_true: bool,
    /// When that was known.
    pub at: u64,
}

impl<K: Clone + Eq + Hash, T> Labels<K, T> {
    /// At most `capacity` open questions.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, open: HashMap::new(), about: HashMap::new(), ends: BinaryHeap::new(), next: 0 }
    }

    /// Asks whether `key` happens until `end`, itself included. Gives the item back if too many questions are open.
    ///
    /// # Errors
    ///
    /// The item, if the question is not taken.
    pub fn ask(&mut self, key: K, end: u64, item: T) -> Result<(), T> {
        if self.open.len() >= self.capacity {
            return Err(item);
        }
        let number = self.next;
        self.next += 1;
        self.about.entry(key.clone()).or_default().push(number);
        self.ends.push(Reverse((end, number)));
        self.open.insert(number, Open { key, end, item });
        Ok(())
    }

    /// `key` happens at `now`: the answer to all open questions about it whose time is not up is yes, in the order they were asked.
    /// Call [`Labels::expire`] for the same moment first.
    pub fn happen(&mut self, key: &K, now: u64) -> Vec<Resolved<T>> {
        let numbers = self.about.remove(key).unwrap_or_default();
        let answered = numbers.into_iter().filter_map(|number| self.open.remove(&number));
        answered.map(|open| Resolved { item: open.item, came_true: open.end >= now, at: now }).collect()
    }

    /// It is `now`: the answer to one question whose time is over is no. Call until there are no more.
    pub fn expire(&mut self, now: u64) -> Option<Resolved<T>> {
        while let Some(&Reverse((end, number))) = self.ends.peek() {
            if end >= now {
                return None;
            }
            self.ends.pop();
            if let Some(open) = self.open.remove(&number) {
                self.forget(&open.key, number);
                return Some(Resolved { item: open.item, came_true: false, at: end });
            }
        }
        None
    }

    /// How many questions are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn forget(&mut self, key: &K, number: u64) {
        if let Entry::Occupied(mut numbers) = self.about.entry(key.clone()) {
            numbers.get_mut().retain(|&other| other != number);
            if numbers.get().is_empty() {
                numbers.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(resolved: Vec<Resolved<u32>>) -> Vec<(u32, bool)> {
        resolved.into_iter().map(|resolved| (resolved.item, resolved.came_true)).collect()
    }

    #[test]
    fn yes_is_known_at_once_and_no_at_the_end_only() {
        let mut labels = Labels::new(10);
        labels.ask("a", 100, 1).unwrap();
        labels.ask("b", 90, 2).unwrap();
        labels.ask("a", 120, 3).unwrap();
        assert_eq!(labels.expire(90), None, "the last moment is within the time");
        assert_eq!(labels.expire(91), Some(Resolved { item: 2, came_true: false, at: 90 }));
        assert_eq!(labels.expire(91), None);
        assert_eq!(answers(labels.happen(&"a", 100)), [(1, true), (3, true)]);
        assert_eq!(answers(labels.happen(&"a", 101)), []);
        assert_eq!(labels.expire(1_000), None);
        assert!(labels.is_empty() && labels.about.is_empty() && labels.ends.is_empty());
    }

    #[test]
    fn what_happens_too_late_is_no() {
        let mut labels = Labels::new(10);
        labels.ask("a", 100, 1).unwrap();
        labels.ask("a", 300, 2).unwrap();
        assert_eq!(answers(labels.happen(&"a", 200)), [(1, false), (2, true)]);
    }

    #[test]
    fn no_more_questions_are_taken_than_there_is_room_for() {
        let mut labels = Labels::new(2);
        assert_eq!((labels.ask(1, 10, 'a'), labels.ask(2, 10, 'b'), labels.ask(3, 10, 'c')), (Ok(()), Ok(()), Err('c')));
        labels.happen(&1, 5);
        assert_eq!(labels.ask(3, 10, 'c'), Ok(()));
        assert_eq!(labels.len(), 2);
    }

    #[test]
    fn questions_that_are_asked_and_answered_again_and_again_leave_nothing() {
        let mut labels = Labels::new(1_000);
        for now in 0..10_000_u64 {
            while labels.expire(now).is_some() {}
            labels.ask(now % 7, now + 50, ()).unwrap();
            labels.happen(&(now % 7), now);
        }
        assert!(labels.is_empty() && labels.about.is_empty() && labels.ends.len() <= 51, "{}", labels.ends.len());
    }
}
