//! What it is worth to hold a content in one place rather than in the next slower one.
//!
//! The value of an entry is `rate x weight x time saved / size^exponent`: the expected requests for it, each with the weight
//! of its customer, times the seconds that each of them is spared. With an exponent of 1 it is a value per byte, by which a
//! greedy choice fills a tier best; see `docs/decisions/0010-placement-by-value.md`.
//!
//! All of it is kept as binary logarithms, so that a decayed count needs no clock to be compared with another.

use std::fmt::Debug;

use crate::{oci::Digest, telemetry::TierName};

/// How many requests a content will have.
///
/// Asked in one place only, when entries of a tier compete; called often, so it may neither block nor allocate.
pub trait Rates: Debug + Send + Sync {
    /// Binary logarithm of the expected rate, in the unit of `counted`: that is what the decayed count of past requests says.
    fn log_rate(&self, digest: &Digest, counted: f32) -> f32;

    /// Whether what is not here is fetched with the rest of its image as soon as that is asked for. The way to the upstream is then
    /// gone once for all of them: what holding a content saves is the time of its bytes.
    fn fetches_ahead(&self) -> bool {
        false
    }
}

/// The past as the forecast.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecayedCounts;

impl Rates for DecayedCounts {
    fn log_rate(&self, _digest: &Digest, counted: f32) -> f32 {
        counted
    }
}

/// How long a place takes: seconds until the first byte, and bytes per second after that.
///
/// Typical figures, not measured ones: what matters is their order and rough distance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    first_byte: f32,
    rate: f32,
}

impl Latency {
    /// An upstream registry.
    pub(super) const UPSTREAM: Self = Self { first_byte: 0.080, rate: 60e6 };

    pub(super) const fn of(tier: TierName) -> Self {
        match tier {
            TierName::Memory | TierName::Catalog => Self { first_byte: 50e-6, rate: 10e9 },
            TierName::Disk | TierName::Ssd | TierName::Hosted => Self { first_byte: 100e-6, rate: 2e9 },
            TierName::Hdd => Self { first_byte: 0.008, rate: 150e6 },
            TierName::Object => Self { first_byte: 0.030, rate: 80e6 },
        }
    }

    /// The same place, when its first byte comes as soon as that of `other`.
    pub(super) const fn as_soon_as(self, other: Self) -> Self {
        Self { first_byte: other.first_byte, ..self }
    }

    fn seconds(self, size: f32) -> f32 {
        self.first_byte + size / self.rate
    }
}

/// The price list of one tier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worth {
    here: Latency,
    elsewhere: Latency,
    exponent: f32,
}

impl Worth {
    /// Of a tier beside where its contents would have to come from otherwise.
    pub(super) const fn new(here: Latency, elsewhere: Latency, exponent: f32) -> Self {
        Self { here, elsewhere, exponent }
    }

    /// Binary logarithm of what one request for a content of `size` bytes is worth.
    pub(super) fn log_worth(self, size: u64) -> f32 {
        // A tier may be no faster for some sizes: it is then worth next to nothing, but still comparable.
        let size = (size as f32).max(1.0);
        let saved = (self.elsewhere.seconds(size) - self.here.seconds(size)).max(1e-9);
        saved.log2() - self.exponent * size.log2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssd(exponent: f32) -> Worth {
        Worth::new(Latency::of(TierName::Ssd), Latency::UPSTREAM, exponent)
    }

    #[test]
    fn per_byte_small_contents_are_worth_more() {
        assert!(ssd(1.0).log_worth(1_000) > ssd(1.0).log_worth(1_000_000));
        // Where bandwidth dominates, a byte is a byte.
        let large = ssd(1.0).log_worth(1 << 30) - ssd(1.0).log_worth(1 << 31);
        assert!(large > 0.0 && large < 0.1, "{large}");
    }

    #[test]
    fn the_exponent_weighs_the_size() {
        for (exponent, small_first) in [(0.0, false), (1.0, true), (1.5, true)] {
            assert_eq!(ssd(exponent).log_worth(10_000) > ssd(exponent).log_worth(50_000_000), small_first, "{exponent}");
        }
    }

    #[test]
    fn a_faster_tier_is_worth_more_and_no_size_breaks_it() {
        let beside_hdd = Worth::new(Latency::of(TierName::Ssd), Latency::of(TierName::Hdd), 1.0);
        for size in [0, 1, 4096, 1 << 40, u64::MAX] {
            assert!(ssd(1.0).log_worth(size) > beside_hdd.log_worth(size), "{size}");
            assert!(ssd(1.0).log_worth(size).is_finite());
        }
        let no_gain = Worth::new(Latency::of(TierName::Hdd), Latency::of(TierName::Ssd), 1.0);
        assert!(no_gain.log_worth(1000).is_finite());
    }
}
