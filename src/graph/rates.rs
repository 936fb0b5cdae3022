//! How often something is asked for, of late and for long.

/// Half-lives of the three counts, in seconds: an hour, a day, a week.
pub const HALF_LIVES: [f32; 3] = [3_600.0, 86_400.0, 604_800.0];

/// Requests, each of which counts less the longer ago it was: halved every hour, day and week.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// When the counts were as they stand here, in seconds since the beginning of 1970.
    pub(super) at: u32,
    pub(super) counts: [f32; 3],
}

impl Rates {
    /// One more request. A time before the last one counts as the last one.
    pub fn add(&mut self, now: u32) {
        self.counts = self.at(now).map(|count| count + 1.0);
        self.at = self.at.max(now);
    }

    /// The three counts as of `now`.
    pub fn at(&self, now: u32) -> [f32; 3] {
        let elapsed = now.saturating_sub(self.at) as f32;
        std::array::from_fn(|i| self.counts[i] * (-elapsed / HALF_LIVES[i]).exp2())
    }

    /// When the last request was, in seconds since the beginning of 1970; 0 when there was none.
    pub const fn last(&self) -> u32 {
        self.at
    }
}

/// A count that is halved every week: `weight` as of `at`, by `now`.
pub(super) fn decayed(weight: f32, at: u32, now: u32) -> f32 {
    weight * (-(now.saturating_sub(at) as f32) / HALF_LIVES[2]).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_halved_each_by_its_own_time() {
        let mut rates = Rates::default();
        rates.add(1_000);
        rates.add(1_000);
        assert_eq!(rates.at(1_000), [2.0; 3]);
        assert_eq!(rates.at(1_000 + 3_600)[0], 1.0);
        assert_eq!(rates.at(1_000 + 86_400)[1], 1.0);
        assert_eq!(rates.at(1_000 + 604_800)[2], 1.0);
        rates.add(4_600);
        assert_eq!(rates.at(4_600)[0], 2.0);
        rates.add(7);
        assert_eq!((rates.last(), rates.at(4_600)[0]), (4_600, 3.0));
    }
}
