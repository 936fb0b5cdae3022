//! When things move: hours of the day and days of the week.

use crate::events::Millis;

const HOUR: Millis = 3_600_000;

/// What evenly spread moves count for, in moves a slot.
const EVEN: f32 = 8.0;

/// After which time a move counts half, in seconds: 60 days.
const HALF_LIFE: f32 = 5_184_000.0;

/// How moves are spread over hours (UTC) and weekdays.
#[derive(Debug)]
pub(super) struct Rhythm {
    hours: [f32; 24],
    days: [f32; 7],
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { hours: [EVEN; 24], days: [EVEN; 7] }
    }
}

impl Rhythm {
    /// Something has moved.
    pub(super) fn moved(&mut self, at: Millis) {
        self.hours[hour(at)] += 1.0;
        self.days[day(at)] += 1.0;
    }

    /// How much more than usual is moving, at the end of so many seconds.
    pub(super) fn pass(&mut self, now: Millis, seconds: f32) -> f32 {
        fade(&mut self.hours, seconds);
        fade(&mut self.days, seconds);
        share(&self.hours, hour(now)) * share(&self.days, day(now))
    }
}

/// What was long ago comes to look even.
fn fade(slots: &mut [f32], seconds: f32) {
    let left = (-seconds / HALF_LIFE).exp2();
    for slot in slots {
        *slot = EVEN + (*slot - EVEN) * left;
    }
}

fn share(slots: &[f32], slot: usize) -> f32 {
    slots[slot] * slots.len() as f32 / slots.iter().sum::<f32>()
}

fn hour(at: Millis) -> usize {
    (at / HOUR % 24) as usize
}

fn day(at: Millis) -> usize {
    (at / HOUR / 24 % 7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_at_nine_is_expected_at_nine() {
        let mut rhythm = Rhythm::default();
        for day in 0..100 {
            rhythm.moved((day * 24 + 9) * HOUR);
        }
        let pace = |rhythm: &mut Rhythm, hour: Millis| rhythm.pass((2400 + hour) * HOUR, 0.0);
        assert!(pace(&mut rhythm, 9) > 5.0);
        assert!(pace(&mut rhythm, 10) < 1.0);
        let years = 3600.0 * 24.0 * 365.0 * 5.0;
        assert!((rhythm.pass(9 * HOUR, years) - 1.0).abs() < 0.01);
    }
}
