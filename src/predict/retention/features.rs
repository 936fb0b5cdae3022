//! What is known of a content at a moment, as a row of numbers of about 1 in size.

use super::{HALF_LIVES, Known};
use crate::{events::Millis, predict::learn::Schema};

/// Names and version of the features.
pub(in crate::predict) const SCHEMA: Schema = Schema { version: 1, names: NAMES };

const NAMES: &[&str] = &[
    "requests, half-life 1 h",
    "requests, half-life 6 h",
    "requests, half-life 2 d",
    "requests, half-life 14 d",
    "the same x images in use, 1 h",
    "the same x images in use, 6 h",
    "the same x images in use, 2 d",
    "the same x images in use, 14 d",
    "time since the last request",
    "time since the last request, squared",
    "time since the last request x images in use",
    "time since the last request x superseded",
    "more than 15 min since the last request",
    "more than 1 h",
    "more than 4 h",
    "more than 12 h",
    "more than 1 d",
    "more than 3 d",
    "an image in use needs it",
    "three images in use need it",
    "images in use that need it",
    "only a superseded image needed it",
    "never asked for",
    "never asked for x time since it came",
    "never asked for x an image in use needs it",
    "asked for once",
    "requests ever",
    "requests ever x images in use",
    "requests a day since it was first seen",
    "requests a day x images in use",
    "time since it was first seen",
    "time since it was first seen x images in use",
    "size",
    "hour of the day, sine",
    "hour of the day, cosine",
    "Friday to Sunday",
];

const WIDTH: usize = NAMES.len();

pub(super) type Row = [f32; WIDTH];

const HOUR: f32 = 3_600_000.0;

pub(super) fn row(known: &Known, uses: u32, now: Millis) -> Row {
    let since = |at: Millis| now.saturating_sub(at) as f32;
    let uses = uses.min(8) as f32;
    let in_use = ln_1p(uses);
    let (age, life) = (since(known.last), since(known.first));
    let (log_age, log_life) = (ln_1p(age / 600_000.0) / 4.0, ln_1p(life / 600_000.0) / 4.0);
    let requests = known.requests as f32;
    let log_requests = ln_1p(requests) / 4.0;
    let a_day = ln_1p(requests / (life / (24.0 * HOUR) + 0.25)) / 2.0;
    let superseded = flag(known.superseded && uses == 0.0);
    let never = flag(known.requests == 0);
    let counts: [f32; 4] = std::array::from_fn(|at| ln_1p(known.counts[at].get(now, HALF_LIVES[at])) / 2.0);
    let older = |hours: f32| flag(age > hours * HOUR);
    let turn = (now % 86_400_000) as f32 / 86_400_000.0 * std::f32::consts::TAU;
    // The first day of 1970 was a Thursday.
    let weekend = flag(matches!(now / 86_400_000 % 7, 1..=3));
    [
        counts[0],
        counts[1],
        counts[2],
        counts[3],
        counts[0] * in_use,
        counts[1] * in_use,
        counts[2] * in_use,
        counts[3] * in_use,
        log_age,
        log_age * log_age,
        log_age * in_use,
        log_age * superseded,
        older(0.25),
        older(1.0),
        older(4.0),
        older(12.0),
        older(24.0),
        older(72.0),
        flag(uses > 0.0),
        flag(uses >= 3.0),
        in_use,
        superseded,
        never,
        never * log_age,
        never * flag(uses > 0.0),
        flag(known.requests == 1),
        log_requests,
        log_requests * in_use,
        a_day,
        a_day * in_use,
        log_life,
        log_life * in_use,
        ((known.size as f32 + 1e3) / 1e6).log2() / 10.0,
        turn.sin(),
        turn.cos(),
        weekend,
    ]
}

/// Rows are made for every content that might leave: the library's `ln_1p` is exact near 0, which no feature needs, and slower.
fn ln_1p(x: f32) -> f32 {
    (1.0 + x).ln()
}

fn flag(is: bool) -> f32 {
    if is { 1.0 } else { 0.0 }
}
