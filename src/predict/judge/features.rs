//! What is known of an expectation at its moment, as a row of numbers of about 1 in size.

use super::Case;
use crate::{
    events::Millis,
    predict::{expected::Reason, followed::Interest, learn::Schema},
};

/// Names and version of the features.
pub(in crate::predict) const SCHEMA: Schema = Schema { version: 1, names: NAMES };

const NAMES: &[&str] = &[
    "a tag moved, never here",
    "a tag moved, here before",
    "pulled elsewhere, never here",
    "pulled elsewhere, here before",
    "a client comes to life, never here",
    "a client comes to life, here before",
    "private",
    "size",
    "what was expected of this image and came, after a move",
    "the same, after a pull elsewhere",
    "the same, of a client that comes to life",
    "pulls of this image a week",
    "moves of this image a week",
    "time since it was last pulled here",
    "time since it was last pulled here, after a move",
    "expected of such clients and came",
    "the same, here before",
    "requests for this content a day",
    "the same, after a move",
    "the same, after a pull elsewhere",
    "the same, of a client that comes to life",
    "asked for today",
    "hour of the day, sine",
    "hour of the day, cosine",
    "weekend",
];

const WIDTH: usize = NAMES.len();

pub(super) type Row = [f32; WIDTH];

pub(super) fn row(case: &Case, interest: Interest, novel: bool, size: u64, heat: f32) -> Row {
    let moved = flag(case.reason == Reason::Moved);
    let elsewhere = flag(case.reason == Reason::Elsewhere);
    let young = flag(case.reason == Reason::CoPull);
    let (novel, before) = (flag(novel), flag(!novel));
    let kept = log_odds(interest.kept.estimate(0.5, 2.0));
    let share = young * log_odds(case.share);
    let age = (case.now.saturating_sub(case.last) as f32 / 3_600_000.0).ln_1p() / 4.0;
    let log_heat = heat.ln_1p() / 2.0;
    let turn = (case.now % 86_400_000) as f32 / 86_400_000.0 * std::f32::consts::TAU;
    [
        moved * novel,
        moved * before,
        elsewhere * novel,
        elsewhere * before,
        young * novel,
        young * before,
        flag(case.name.private),
        ((size as f32 + 1e3) / 1e6).log2() / 10.0,
        moved * kept,
        elsewhere * kept,
        young * kept,
        interest.pulls(case.now).ln_1p() / 4.0,
        interest.moves(case.now).ln_1p() / 4.0,
        age,
        moved * age,
        share,
        share * before,
        log_heat,
        moved * log_heat,
        elsewhere * log_heat,
        young * log_heat,
        flag(heat > 0.5),
        turn.sin(),
        turn.cos(),
        flag(is_weekend(case.now)),
    ]
}

/// The same row, without what it says of time.
pub(super) fn timeless(mut row: Row) -> Row {
    for (feature, name) in row.iter_mut().zip(NAMES) {
        if name.contains("hour") || name.contains("weekend") || name.contains("time since") {
            *feature = 0.0;
        }
    }
    row
}

fn log_odds(share: f32) -> f32 {
    let share = share.clamp(0.01, 0.99);
    (share / (1.0 - share)).ln() / 4.0
}

/// The first day of 1970 was a Thursday.
const fn is_weekend(now: Millis) -> bool {
    matches!(now / 86_400_000 % 7, 2 | 3)
}

fn flag(is: bool) -> f32 {
    if is { 1.0 } else { 0.0 }
}
