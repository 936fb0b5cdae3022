//! What both histories make their features with.

use chrono::Datelike;

/// A minute, an hour and a day, in seconds.
pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// Features in the order in which they are put in, with their names.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) names: Vec<String>,
    pub(crate) values: Vec<f32>,
}

impl Row {
    /// One feature.
    pub(crate) fn put(&mut self, name: &str, value: f32) {
        self.names.push(name.to_owned());
        self.values.push(value);
    }

    /// Whether something is so.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.put(name, f32::from(u8::from(value)));
    }

    /// A rate, as log-odds of a size that suits a linear model.
    pub(crate) fn rate(&mut self, name: &str, rate: f32) {
        let bounded = rate.clamp(0.002, 0.998);
        self.put(name, (bounded / (1.0 - bounded)).ln() / 2.0);
    }

    /// A count or a time, as its logarithm: `unit` is small.
    pub(crate) fn log(&mut self, name: &str, value: f64, unit: f64) {
        self.put(name, ((value / unit).max(0.0).ln_1p() / 4.0) as f32);
    }

    /// One feature per class, of which one is 1.
    pub(crate) fn one_hot(&mut self, name: &str, class: usize, classes: usize) {
        (0..classes).for_each(|i| self.flag(&format!("{name} {i}"), i == class));
    }

    /// The hour and the day of the week of local time.
    pub(crate) fn clock(&mut self, local: u64) {
        let hour = (local % DAY) as f32 / HOUR as f32;
        let angle = hour / 24.0 * std::f32::consts::TAU;
        self.put("hour sine", angle.sin());
        self.put("hour cosine", angle.cos());
        self.put("morning", (10.0 - hour).clamp(0.0, 3.0) / 3.0);
        self.put("working hours left", (17.0 - hour).clamp(0.0, 8.0) / 8.0);
        self.put("evening", (hour - 16.0).clamp(0.0, 4.0) / 4.0);
        self.one_hot("weekday", weekday(local), 7);
        self.flag("friday afternoon", weekday(local) == 4 && hour > 13.0);
    }
}

/// Monday is 0.
pub(crate) const fn weekday(at: u64) -> usize {
    ((at / DAY + 3) % 7) as usize
}

/// The number of the first of `bounds` that `value` is below.
pub(crate) fn bucket(value: u64, bounds: &[u64]) -> u8 {
    bounds.iter().position(|&bound| value < bound).unwrap_or(bounds.len()) as u8
}

/// A rate that gives each answer a fixed share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ewma {
    /// Three tenths for each answer.
    pub(crate) fast: f32,
    /// One tenth.
    pub(crate) slow: f32,
    /// The last answer alone.
    pub(crate) last: f32,
    /// How many answers there were.
    pub(crate) count: f32,
}

impl Ewma {
    pub(crate) const fn new(prior: f32) -> Self {
        Self { fast: prior, slow: prior, last: prior, count: 0.0 }
    }

    pub(crate) fn add(&mut self, came_true: bool) {
        let label = f32::from(u8::from(came_true));
        self.fast += 0.3 * (label - self.fast);
        self.slow += 0.1 * (label - self.slow);
        self.last = label;
        self.count += 1.0;
    }
}

/// The local time of London: summer time is from the last Sunday of March to the last Sunday of October.
pub(crate) fn london(at: u64) -> u64 {
    let date = chrono::DateTime::from_timestamp(at as i64, 0).unwrap_or_default();
    let had_last_sunday = date.day() + 6 - date.weekday().num_days_from_sunday() > 30;
    let is_summer = match date.month() {
        4..=9 => true,
        3 => had_last_sunday,
        10 => !had_last_sunday,
        _ => false,
    };
    at + if is_summer { HOUR } else { 0 }
}
