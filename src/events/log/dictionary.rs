//! What many events name, by number.

use std::hash::Hash;

use hashbrown::HashMap;

use super::varint::{Cursor, Malformed, put};

/// Entries that a dictionary has at most. Whoever reads holds them in memory.
pub(super) const MOST_ENTRIES: usize = 1 << 20;

/// Entries after which a writer begins anew.
pub(super) const ENOUGH_ENTRIES: usize = 1 << 18;

/// A dictionary that is being written.
#[derive(Debug)]
pub(super) struct Dictionary<K> {
    numbers: HashMap<K, u32>,
    /// The entries of the block that is being written.
    fresh: Vec<u8>,
    fresh_count: u32,
}

impl<K: Hash + Eq + Clone> Dictionary<K> {
    pub(super) fn new() -> Self {
        Self { numbers: HashMap::new(), fresh: Vec::new(), fresh_count: 0 }
    }

    /// The number of an entry, which `write` writes down if it is new.
    pub(super) fn number(&mut self, key: &K, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(key.clone(), number);
        write(&mut self.fresh);
        self.fresh_count += 1;
        number
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Bytes of the new entries.
    pub(super) fn fresh_bytes(&self) -> usize {
        self.fresh.len()
    }

    /// Moves the new entries to the end of a block: the number of the first one, how many they are, and themselves.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        put(out, self.numbers.len() as u64 - u64::from(self.fresh_count));
        put(out, u64::from(self.fresh_count));
        out.append(&mut self.fresh);
        self.fresh_count = 0;
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.fresh.clear();
        self.fresh_count = 0;
    }
}

/// A dictionary that is being read. An entry whose block is lost is `None`.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: Vec<Option<T>>,
}

/// Why an event cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// What it names was written down in a block that is lost.
    Lost,
    /// It does not follow the format, and neither can what comes after it in the block.
    Malformed,
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Reads the new entries of a block. An entry that `read` finds to be nothing is as good as lost.
    pub(super) fn load(
        &mut self,
        cursor: &mut Cursor<'_>,
        mut read: impl FnMut(&mut Cursor<'_>) -> Result<Option<T>, Malformed>,
    ) -> Result<(), Malformed> {
        let (first, count) = (cursor.small()? as usize, cursor.small()? as usize);
        // An entry takes a byte at least.
        if first < self.entries.len() || first + count > MOST_ENTRIES || count > cursor.left() {
            return Err(Malformed);
        }
        self.entries.resize_with(first, || None);
        self.entries.reserve(count);
        for _ in 0..count {
            self.entries.push(read(cursor)?);
        }
        Ok(())
    }

    pub(super) fn get(&self, number: u32) -> Result<&T, Fault> {
        self.entries.get(number as usize).ok_or(Fault::Malformed)?.as_ref().ok_or(Fault::Lost)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(dictionary: &mut Dictionary<u64>, key: u64) -> u32 {
        dictionary.number(&key, |out| put(out, key))
    }

    fn load(table: &mut Table<u64>, bytes: &[u8]) -> Result<(), Malformed> {
        table.load(&mut Cursor::new(bytes), |cursor| cursor.number().map(Some))
    }

    #[test]
    fn entries_are_written_once_and_a_lost_block_loses_its_own_only() {
        let (mut dictionary, mut table) = (Dictionary::new(), Table::new());
        let mut blocks = [const { Vec::new() }; 3];
        for (block, keys) in blocks.iter_mut().zip([[70, 71], [70, 72], [73, 71]]) {
            for key in keys {
                number(&mut dictionary, key);
            }
            dictionary.flush(block);
        }
        assert_eq!(blocks[1], [2, 1, 72]);
        load(&mut table, &blocks[0]).unwrap();
        load(&mut table, &blocks[2]).unwrap();
        let found: Vec<_> = (0..5).map(|number| table.get(number).copied()).collect();
        assert_eq!(found, [Ok(70), Ok(71), Err(Fault::Lost), Ok(73), Err(Fault::Malformed)]);
    }

    #[test]
    fn what_promises_too_much_is_refused_before_it_costs_memory() {
        let mut most = Vec::new();
        put(&mut most, MOST_ENTRIES as u64);
        for bytes in
            [&[0, 2, 1][..], &[0, 0xff, 0xff, 3], &[most.clone(), vec![1, 1]].concat(), &[0xff, 0xff, 0xff, 0xff, 0x7f, 0]]
        {
            assert_eq!(load(&mut Table::new(), bytes), Err(Malformed), "{bytes:?}");
        }
        let mut table = Table::new();
        load(&mut table, &[0, 2, 5, 6]).unwrap();
        assert_eq!(load(&mut table, &[1, 1, 9]), Err(Malformed), "an entry is not written over");
    }
}
