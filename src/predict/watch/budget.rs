//! How many questions are left.

use std::{collections::HashMap, sync::Arc};

use super::Settings;
use crate::events::Millis;

/// Questions that are left, in all and of each upstream.
#[derive(Debug)]
pub(super) struct Budget {
    all: Bucket,
    each: HashMap<Arc<str>, Upstream>,
    rate_each: u32,
}

#[derive(Debug)]
struct Upstream {
    bucket: Bucket,
    quiet_until: Millis,
}

/// Fills evenly; half a minute's worth can be saved, for when much moves at once.
#[derive(Debug)]
struct Bucket {
    rate: u32,
    left: f64,
    filled: Millis,
}

impl Budget {
    pub(super) fn new(settings: &Settings) -> Self {
        let (all, rate_each) = (Bucket::new(settings.requests_per_minute), settings.requests_per_minute_each);
        Self { all, each: HashMap::new(), rate_each }
    }

    /// Time has passed.
    pub(super) fn refill(&mut self, now: Millis) {
        self.all.refill(now);
        for upstream in self.each.values_mut() {
            upstream.bucket.refill(now);
        }
    }

    /// Whether nobody may be asked any more.
    pub(super) fn is_spent(&self) -> bool {
        self.all.left < 1.0
    }

    /// Takes a question of an upstream, if one is left.
    pub(super) fn spend(&mut self, route: &Arc<str>, now: Millis) -> bool {
        let is_spent = self.is_spent();
        let upstream = self.upstream(route);
        upstream.bucket.refill(now);
        if is_spent || upstream.bucket.left < 1.0 || upstream.quiet_until > now {
            return false;
        }
        upstream.bucket.left -= 1.0;
        self.all.left -= 1.0;
        true
    }

    /// An upstream is not to be asked before `until`.
    pub(super) fn keep_quiet(&mut self, route: &Arc<str>, until: Millis) {
        let upstream = self.upstream(route);
        upstream.quiet_until = upstream.quiet_until.max(until);
    }

    fn upstream(&mut self, route: &Arc<str>) -> &mut Upstream {
        let rate = self.rate_each;
        self.each.entry(route.clone()).or_insert_with(|| Upstream { bucket: Bucket::full(rate), quiet_until: 0 })
    }

    /// Whether an upstream is not to be asked now.
    pub(super) fn is_quiet(&self, route: &str, now: Millis) -> bool {
        self.each.get(route).is_some_and(|upstream| upstream.quiet_until > now)
    }
}

impl Bucket {
    fn new(rate: u32) -> Self {
        Self { rate, left: f64::from(rate.min(1)), filled: 0 }
    }

    fn full(rate: u32) -> Self {
        Self { left: Self::most(rate), ..Self::new(rate) }
    }

    fn most(rate: u32) -> f64 {
        (f64::from(rate) / 2.0).max(f64::from(rate.min(1)))
    }

    fn refill(&mut self, now: Millis) {
        if self.filled != 0 {
            let minutes = now.saturating_sub(self.filled) as f64 / 60_000.0;
            self.left = (self.left + minutes * f64::from(self.rate)).min(Self::most(self.rate));
        }
        self.filled = self.filled.max(now);
    }
}
