//! Statistics that were counted a moment ago.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::ApiError;
use crate::graph::{Viewer, queries::Statistics};

/// How old statistics may be. Counting a million nodes takes a moment of a processor, and anybody may ask where `graph.public` is set.
const AGE: Duration = Duration::from_secs(5);

/// The latest statistics, by who sees them. They are counted by one thread at a time.
#[derive(Debug, Default)]
pub(in crate::api) struct Surveys {
    operator: Latest,
    public: Latest,
}

type Latest = Mutex<Option<(Instant, Statistics)>>;

impl Surveys {
    /// The latest statistics, or what `count` finds when they are too old.
    pub(super) fn latest(
        &self,
        viewer: Viewer,
        count: impl FnOnce() -> Result<Statistics, ApiError>,
    ) -> Result<Statistics, ApiError> {
        let latest = match viewer {
            Viewer::Operator => &self.operator,
            Viewer::Public => &self.public,
        };
        // Whoever waits here wants what is being counted.
        let mut latest = latest.lock();
        if let Some((at, statistics)) = &*latest
            && at.elapsed() < AGE
        {
            return Ok(statistics.clone());
        }
        let statistics = count()?;
        *latest = Some((Instant::now(), statistics.clone()));
        Ok(statistics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_less_is_not_told_what_was_counted_for_who_sees_more() {
        let surveys = Surveys::default();
        let counted = |bytes_once| Statistics { bytes_once, ..Statistics::default() };
        let bytes = |viewer, count| surveys.latest(viewer, || Ok(counted(count))).unwrap().bytes_once;
        assert_eq!(bytes(Viewer::Operator, 7), 7);
        assert_eq!(bytes(Viewer::Operator, 8), 7, "it was counted a moment ago");
        assert_eq!(bytes(Viewer::Public, 3), 3);
    }
}
