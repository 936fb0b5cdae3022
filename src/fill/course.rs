//! The course of a flight, whatever it carries: from take-off until it is off the table.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::select};

use super::{
    FillError, FillErrorKind, Haste, Shared, WORTH_FINISHING,
    flight::{Cargo, Flight, Phase},
    transfer, verification,
};

/// How long a flight may be without followers before it is given up: a client that reads range by range comes back.
const DESERTION_GRACE: Duration = Duration::from_millis(500);

/// Runs a flight to its end and takes it off the table.
pub(super) async fn run(shared: Arc<Shared>, flight: Arc<Flight>) {
    let errand = std::pin::pin!(errand(&shared, &flight));
    let desertion = std::pin::pin!(desertion(&shared, &flight));
    let either = select(errand, desertion).map(|either| either.factor_first().0);
    // A panic in here must not leave followers waiting for ever.
    let outcome = std::panic::AssertUnwindSafe(either).catch_unwind().await;
    shared.land(&flight);
    if flight.counts_as_demand() {
        shared.traffic.ended();
    }
    let is_here = outcome.is_ok() && matches!(flight.cargo, Cargo::Here(_));
    if let Err(error) = outcome.unwrap_or(Err(FillError::new(FillErrorKind::Panicked))) {
        let source = &flight.source;
        if *flight.haste.borrow() == Haste::Now {
            tracing::info!(digest = %flight.digest, route = %source.route, repository = %source.repository, %error, "a transfer failed");
        }
        flight.fail(error);
    }
    flight.kept.send_if_modified(|kept| kept.is_none() && kept.replace(is_here).is_none());
}

async fn errand(shared: &Shared, flight: &Arc<Flight>) -> Result<(), FillError> {
    match &flight.cargo {
        Cargo::Fetched => transfer::transfer(shared, flight).await,
        Cargo::Here(found) => verification::verify(shared, flight, found).await,
    }
}

/// Ends when everyone has left a flight that is not worth finishing; it is off the table by then.
async fn desertion(shared: &Shared, flight: &Arc<Flight>) -> Result<(), FillError> {
    loop {
        flight.deserted.notified().await;
        // Whoever comes and leaves again in the meantime starts the grace anew.
        while tokio::time::timeout(DESERTION_GRACE, flight.deserted.notified()).await.is_ok() {}
        if !is_worth_finishing(flight) && shared.land_deserted(flight) {
            return Err(FillError::new(FillErrorKind::Abandoned));
        }
    }
}

fn is_worth_finishing(flight: &Flight) -> bool {
    let progress = flight.progress.borrow();
    flight.is_expected()
        || matches!(progress.phase, Phase::Complete)
        || progress.size.is_none_or(|size| size <= WORTH_FINISHING || progress.watermark >= size / 2)
}
