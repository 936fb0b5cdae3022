//! How long it takes until what is expected is asked for.

use std::collections::VecDeque;

use super::{DAY, WEEK, features, features::Row};
use crate::{
    events::Millis,
    predict::learn::{Fitting, LearnError, Pace, Quantity, Regression},
};

/// Arrivals that it is learned from: the last ones.
const MOST_ROWS: usize = 2_000;

/// Pulls the weights of standardised features towards 0.
const PENALTY: f64 = 0.01;

/// A regression that is fitted anew every week, and every day at first.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Rows, and after how many seconds what they are about was asked for.
    rows: VecDeque<(Row, f64)>,
    fit_at: Millis,
    fitting: Fitting<Result<Regression, LearnError>>,
    lag: Option<Regression>,
}

impl Arrivals {
    pub(super) const fn new(pace: Pace) -> Self {
        Self { rows: VecDeque::new(), fit_at: 0, fitting: Fitting::new(pace), lag: None }
    }

    /// The earliest that is likely: nine of ten arrivals are later, in milliseconds from now. At once while nothing is known.
    pub(super) fn earliest(&self, row: &Row) -> Millis {
        self.lag.as_ref().map_or(0, |lag| milliseconds(lag.tenth(row)))
    }

    /// One of two arrivals is later, in milliseconds from now; `None` while nothing is known.
    pub(super) fn median(&self, row: &Row) -> Option<Millis> {
        self.lag.as_ref().map(|lag| milliseconds(lag.median(row)))
    }

    /// What was expected was asked for, so many milliseconds later.
    pub(super) fn learn(&mut self, now: Millis, row: &Row, lag: Millis) {
        if self.rows.len() == MOST_ROWS {
            self.rows.pop_front();
        }
        self.rows.push_back((*row, lag as f64 / 1000.0));
        match self.fitting.take() {
            Some(Ok(fitted)) => self.lag = Some(fitted),
            Some(Err(error @ LearnError::Fit(_))) => tracing::warn!(%error, "what is known of arrivals stays as it was"),
            Some(Err(_)) | None => {}
        }
        if now >= self.fit_at && !self.fitting.is_under_way() {
            self.fit_at = now + if self.lag.is_some() { WEEK } else { DAY };
            let rows: Vec<_> = self.rows.iter().copied().collect();
            self.fitting.begin(move || {
                let rows: Vec<_> = rows.iter().map(|(row, lag)| (row.as_slice(), *lag)).collect();
                Regression::fit(Quantity::Lag, features::SCHEMA.width(), &rows, PENALTY)
            });
        }
    }
}

/// What is later than the horizon is not expected.
fn milliseconds(seconds: f64) -> Millis {
    ((seconds * 1000.0) as Millis).min(super::HORIZON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_expected_late() {
        let mut arrivals = Arrivals::new(Pace::AtOnce);
        let row = |is_late: bool| {
            let mut row = [0.0; features::SCHEMA.width()];
            row[0] = f32::from(u8::from(is_late));
            row
        };
        assert_eq!((arrivals.earliest(&row(true)), arrivals.median(&row(true))), (0, None));
        let mut random = fastrand::Rng::with_seed(2);
        for at in 0..2_000_u64 {
            let is_late = random.bool();
            let lag = random.u64(50_000..200_000) * if is_late { 100 } else { 1 };
            arrivals.learn(at * 100_000, &row(is_late), lag);
        }
        let (soon, late) = (row(false), row(true));
        assert!((50_000..200_000).contains(&arrivals.median(&soon).unwrap()), "{:?}", arrivals.median(&soon));
        assert!((5_000_000..20_000_000).contains(&arrivals.median(&late).unwrap()), "{:?}", arrivals.median(&late));
        assert!(arrivals.earliest(&late) < arrivals.median(&late).unwrap());
        assert!(arrivals.earliest(&late) > arrivals.median(&soon).unwrap());
        assert_eq!(arrivals.rows.len(), 2_000);
    }
}
