//! Releases of an app in close succession: each passes over the one before it.

use super::{Move, tags::number};
use crate::features::MINUTE;

/// What comes within so long of the one before is of the same burst.
const CLOSE: u64 = 15 * MINUTE;

/// Releases of an app in close succession.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Burst {
    pub(crate) begin: u64,
    pub(crate) last: u64,
    pub(crate) moves: u32,
    pub(crate) versions: u32,
    /// The version before the burst, and the newest in it.
    pub(crate) base: i64,
    pub(crate) newest: i64,
}

impl Burst {
    /// With one more release.
    pub(crate) fn with(self, moved: &Move) -> Self {
        let versions = match (number(&moved.from), number(&moved.to)) {
            (Some((_, from)), Some((_, to))) if to > from => ((to - from) as u32).min(50),
            _ => 1,
        };
        let of = |tag| number(tag).map_or(0, |(_, number)| number);
        let mut begun = self;
        if self.last + CLOSE < moved.at {
            begun = Self { begin: moved.at, base: of(&moved.from), newest: of(&moved.from), ..Self::default() };
        }
        let newest = begun.newest.max(of(&moved.to));
        Self { last: moved.at, moves: begun.moves + 1, versions: begun.versions + versions, newest, ..begun }
    }

    /// How many versions older than the newest one have not been seen: one more is 1, none missing 1 too if it went back.
    pub(crate) fn missing(self) -> u8 {
        ((self.newest - self.base - i64::from(self.moves)).clamp(-1, 4) + 1) as u8
    }
}
