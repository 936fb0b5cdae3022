//! Whether the challenger is better by more than chance.

use std::collections::VecDeque;

use super::scores::surprise;

/// Champion and challenger on the same questions: their surprise at each answer, paired.
#[derive(Debug, Clone)]
pub struct Contest {
    /// How long a day is, in the caller's unit of time, and how many count.
    day: u64,
    days: usize,
    /// The fewest answers that a verdict needs.
    fewest: u64,
    /// By day: how often, and by how much the champion was more surprised.
    tallies: VecDeque<(u64, Tally)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Contest {
    /// Counts the last `days` of length `day`, and needs `fewest` answers in them.
    pub const fn new(day: u64, days: usize, fewest: u64) -> Self {
        Self { day, days, fewest, tallies: VecDeque::new() }
    }

    /// Takes in, at `now`, an answer and what both had said before it was known.
    pub fn learn(&mut self, now: u64, champion: f64, challenger: f64, came_true: bool) {
        let today = now / self.day;
        if self.tallies.back().is_none_or(|(day, _)| *day < today) {
            self.tallies.push_back((today, Tally::default()));
        }
        while self.tallies.front().is_some_and(|(day, _)| day.saturating_add(self.days as u64) <= today) {
            self.tallies.pop_front();
        }
        let difference = surprise(champion, came_true) - surprise(challenger, came_true);
        if let Some((_, tally)) = self.tallies.back_mut() {
            tally.count += 1;
            tally.sum += difference;
            tally.squares += difference * difference;
        }
    }

    /// Whether the challenger's log-loss is lower by more than one standard error of the paired differences.
    pub fn challenger_wins(&self) -> bool {
        let all = self.tallies.iter().fold(Tally::default(), |all, (_, tally)| Tally {
            count: all.count + tally.count,
            sum: all.sum + tally.sum,
            squares: all.squares + tally.squares,
        });
        if all.count < self.fewest.max(2) {
            return false;
        }
        let count = all.count as f64;
        let mean = all.sum / count;
        let variance = (all.squares / count - mean * mean).max(0.0) * count / (count - 1.0);
        mean > (variance / count).sqrt()
    }

    /// Forgets all: another challenger enters.
    pub fn reset(&mut self) {
        self.tallies.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers that come true three times of four, and a champion who says so.
    fn contest(challenger: impl Fn(bool, f64) -> f64) -> bool {
        let mut random = fastrand::Rng::with_seed(11);
        let mut contest = Contest::new(24, 7, 100);
        for hour in 0..168 * 4 {
            let came_true = random.f64() < 0.75;
            contest.learn(hour / 4, 0.75, challenger(came_true, random.f64()), came_true);
        }
        contest.challenger_wins()
    }

    #[test]
    fn only_a_challenger_who_is_better_beyond_noise_wins() {
        assert!(contest(|came_true, noise| if came_true { 0.75 + noise * 0.1 } else { 0.75 - noise * 0.1 }));
        assert!(!contest(|_, _| 0.75), "the same");
        assert!(!contest(|_, noise| 0.65 + noise * 0.2), "the same with noise");
        assert!(!contest(|came_true, noise| if came_true == (noise < 0.8) { 0.999 } else { 0.001 }), "too sure of itself");
    }

    #[test]
    fn a_few_answers_are_no_contest_and_old_ones_do_not_count() {
        let mut contest = Contest::new(1, 7, 10);
        (0..9).for_each(|_| contest.learn(0, 0.5, 0.9, true));
        assert!(!contest.challenger_wins());
        contest.learn(6, 0.5, 0.9, true);
        assert!(contest.challenger_wins());
        contest.learn(7, 0.5, 0.9, true);
        assert!(!contest.challenger_wins(), "the answers of day 0 are too old");
        (0..10).for_each(|_| contest.learn(7, 0.5, 0.9, true));
        assert!(contest.challenger_wins());
        contest.reset();
        assert!(!contest.challenger_wins());
    }
}
