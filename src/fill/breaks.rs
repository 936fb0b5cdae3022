//! Patience with an upstream that breaks off.

use std::time::Duration;

use crate::upstream::{UpstreamError, UpstreamErrorKind};

/// Breaks in a row, without a byte in between, after which a transfer is given up.
const MOST: u32 = 4;

/// Pause after the first break; each further one doubles it.
const PAUSE: Duration = Duration::from_millis(50);

/// How often in a row a transfer has broken off.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    in_a_row: u32,
}

impl Breaks {
    /// A byte has come.
    pub(super) fn over(&mut self) {
        self.in_a_row = 0;
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The break's own error, when it will not pass or there were too many.
    pub(super) async fn pause(&mut self, error: UpstreamError) -> Result<(), UpstreamError> {
        if !may_pass(error.kind) || self.in_a_row == MOST {
            return Err(error);
        }
        let pause = PAUSE * 2_u32.pow(self.in_a_row);
        self.in_a_row += 1;
        tracing::info!(%error, "a transfer broke off and is resumed");
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        Ok(())
    }
}

const fn may_pass(kind: UpstreamErrorKind) -> bool {
    use UpstreamErrorKind::{BreakerOpen, RateLimited, Timeout, Unavailable};
    matches!(kind, Unavailable | Timeout | BreakerOpen | RateLimited)
}
