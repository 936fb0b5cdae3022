//! Leaving alone what has failed: longer each time.

use std::time::Duration;

use crate::events::Millis;

/// The first pause; each further one doubles it.
const FIRST: Millis = 10_000;

/// The longest.
const LONGEST: Millis = 600_000;

/// The pause of something that has failed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest {
    until: Millis,
    in_a_row: u32,
}

impl Rest {
    /// It has failed, and has said when it is worth trying again. True when a pause begins: what fails during one had begun before.
    pub(super) fn failed(&mut self, said: Option<Duration>, now: Millis) -> bool {
        if now < self.until {
            return false;
        }
        let own = FIRST.saturating_mul(1 << self.in_a_row.min(10)).min(LONGEST);
        let said = said.map_or(0, |said| said.as_millis().min(u128::from(LONGEST)) as Millis);
        self.until = now.saturating_add(own.max(said));
        self.in_a_row = self.in_a_row.saturating_add(1);
        true
    }

    pub(super) const fn is_resting(&self, now: Millis) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_what_was_under_way_does_not_count() {
        let (mut rest, mut now, mut pauses) = (Rest::default(), 1000, Vec::new());
        for _ in 0..8 {
            assert!(rest.failed(None, now) && !rest.failed(None, now + 1));
            pauses.push((rest.until - now) / 1000);
            now = rest.until;
            assert!(rest.is_resting(now - 1) && !rest.is_resting(now));
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600]);
        let mut told = Rest::default();
        told.failed(Some(Duration::from_secs(90)), now);
        assert_eq!(told.until - now, 90_000);
    }
}
