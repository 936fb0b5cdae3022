//! Rates of groups within groups.

use harbinger::predict::learn::RateTable;

use crate::features::Row;

/// What a question has in common with others: those with the same key are a group.
pub(crate) struct Group<C> {
    pub(crate) name: &'static str,
    /// Answers are worth half after so long, in seconds.
    pub(crate) half_life: u64,
    /// How many answers the wider group counts as.
    pub(crate) strength: f32,
    /// The number of the wider group; its own number for the widest one.
    pub(crate) within: usize,
    pub(crate) key: fn(&C) -> [u32; 3],
}

/// The rates of all groups of a list, in which a wider group comes before those within it.
pub(crate) struct Groups<C: 'static> {
    groups: &'static [Group<C>],
    tables: Vec<RateTable<[u32; 3]>>,
    /// The rate where nothing is known.
    prior: f32,
}

impl<C> Groups<C> {
    pub(crate) fn new(groups: &'static [Group<C>], prior: f32) -> Self {
        let table = |group: &Group<C>| RateTable::new(group.half_life as f32, group.strength, 100_000);
        Self { groups, tables: groups.iter().map(table).collect(), prior }
    }

    /// One more answer.
    pub(crate) fn add(&mut self, context: &C, now: u64, came_true: bool) {
        for (group, table) in self.groups.iter().zip(&mut self.tables) {
            table.add((group.key)(context), now, came_true);
        }
    }

    /// The rates of the groups that a question is in, in the order of the list.
    pub(crate) fn rates(&self, context: &C, now: u64) -> Vec<f32> {
        let mut rates: Vec<f32> = Vec::with_capacity(self.groups.len());
        for (group, table) in self.groups.iter().zip(&self.tables) {
            let wider = rates.get(group.within).copied().unwrap_or(self.prior);
            rates.push(table.rate(&(group.key)(context), now, wider));
        }
        rates
    }

    /// The same as features.
    pub(crate) fn put(&self, row: &mut Row, context: &C, now: u64) {
        for (group, rate) in self.groups.iter().zip(self.rates(context, now)) {
            row.rate(group.name, rate);
        }
    }
}
