//! Waiting for a transfer without following it.

use std::sync::Arc;

use super::{
    FillError, FillErrorKind, Source,
    flight::{Flight, Phase},
};

/// A transfer that somebody has asked for who does not want its bytes. Dropping it ends nothing.
#[derive(Debug)]
pub struct Coming {
    pub(super) flight: Arc<Flight>,
    pub(super) joined: bool,
}

impl Coming {
    /// Whether it was under way before.
    pub const fn joined(&self) -> bool {
        self.joined
    }

    /// Whether the upstream is asked in the name of the same repository.
    pub fn is_of(&self, source: &Source) -> bool {
        self.flight.is_of(source)
    }

    /// Waits until the tiers have the content. Its length in bytes.
    ///
    /// # Errors
    /// The transfer's failure, or that it could not be kept.
    pub async fn landed(self) -> Result<u64, FillError> {
        let kept = self.flight.kept.subscribe().wait_for(Option::is_some).await.is_ok_and(|kept| *kept == Some(true));
        let progress = self.flight.progress.borrow();
        match &progress.phase {
            Phase::Complete if kept => Ok(progress.size.unwrap_or_default()),
            Phase::Failed(error) => Err(error.clone()),
            _ => Err(FillError::new(FillErrorKind::NotKept)),
        }
    }
}
