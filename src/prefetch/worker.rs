//! Carries out what is decided.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, future, stream};
use tokio::sync::mpsc;

use super::{
    Shared,
    warm::{Warm, WarmError, WarmErrorKind, Warmed},
};
use crate::{
    events::{self, Layer, ManifestSeen},
    oci::Digest,
    predict::{Expected, Kind, Reason},
};

/// How long nothing happens before it is looked again whether something that waits may be begun: demand ends without a word.
const LOOK: Duration = Duration::from_millis(500);

/// Contents that are looked for at once: a look may wait for the disk.
const LOOKS: usize = 16;

/// What is offered.
type Offers = mpsc::Receiver<Vec<Expected>>;

/// Takes offers, the urgent ones first, and begins what may be begun, until a sender is gone.
pub(super) async fn run(shared: Arc<Shared>, mut urgent: Offers, mut offers: Offers) {
    loop {
        let offer = tokio::select! {
            biased;
            offer = urgent.recv() => offer,
            offer = offers.recv() => offer,
            () = shared.wake.notified() => Some(Vec::new()),
            () = idle(&shared) => Some(Vec::new()),
        };
        let Some(offer) = offer else { return };
        take(&shared, offer).await;
        begin(&shared);
    }
}

/// Ends after a while if anything waits.
async fn idle(shared: &Shared) {
    if shared.state.lock().is_idle() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LOOK).await;
}

/// Lets wait what is not here. A manifest leads to more, even when it is.
async fn take(shared: &Arc<Shared>, offer: Vec<Expected>) {
    let mut absent = pin!(absent(&*shared.warm, offer));
    while let Some(expected) = absent.next().await {
        let is_slow = shared.state.lock().add(expected.clone(), None, events::now());
        if is_slow {
            hurry(shared, expected);
        }
    }
}

/// What is not here, in its order; a manifest, in any case.
fn absent(warm: &dyn Warm, offer: Vec<Expected>) -> impl Stream<Item = Expected> {
    let looks = stream::iter(offer).map(async |expected| {
        let is_absent = expected.kind == Kind::Manifest || !warm.is_here(&expected).await;
        is_absent.then_some(expected)
    });
    looks.buffered(LOOKS).filter_map(future::ready)
}

/// Hurries what is on its way already. Whoever began it notes what comes of it.
fn hurry(shared: &Arc<Shared>, expected: Expected) {
    let shared = shared.clone();
    shared.handle.clone().spawn(async move { bring(&shared, &expected).await });
}

fn begin(shared: &Arc<Shared>) {
    let demand = shared.warm.demand();
    let begun = shared.state.lock().next(events::now(), demand, |route| shared.warm.pulls(route));
    for expected in begun {
        let shared = shared.clone();
        shared.handle.clone().spawn(async move {
            let root = shared.state.lock().root_of(&expected.digest);
            let outcome = bring(&shared, &expected).await;
            if let Ok((_, Some(seen))) = &outcome {
                ask_leave(&*shared.warm, &expected, seen).await;
            }
            note(&shared, &expected, &outcome);
            if let Ok((_, Some(seen))) = outcome {
                lead_on(&shared, &expected, root, &seen).await;
            }
            shared.wake.notify_one();
        });
    }
}

/// How something came to be here, and what it names if it is a manifest.
pub(super) type Brought = Result<(Warmed, Option<Arc<ManifestSeen>>), WarmError>;

/// Fetches something.
pub(super) async fn bring(shared: &Shared, expected: &Expected) -> Brought {
    match expected.kind {
        Kind::Manifest => shared.warm.manifest(expected).await.map(|manifest| (manifest.warmed, manifest.seen)),
        Kind::Blob => shared.warm.blob(expected).await.map(|warmed| (warmed, None)),
    }
}

/// Notes what came of something that was begun.
pub(super) fn note(shared: &Shared, expected: &Expected, outcome: &Brought) {
    let outcome = outcome.as_ref().map(|(warmed, _)| *warmed).map_err(Clone::clone);
    let resolved = shared.state.lock().ended(&expected.digest, &outcome, events::now());
    shared.publish(resolved);
}

/// Asks for the leave to read what a manifest names and is here because of other repositories: whoever pulled the image first would
/// have to wait for each answer. One by one, in the manifest's place among the transfers. A client that is pulling it asks itself.
async fn ask_leave(warm: &dyn Warm, expected: &Expected, seen: &ManifestSeen) {
    if expected.reason.is_urgent() {
        return;
    }
    for Layer { digest, size, .. } in seen.config.iter().chain(&seen.layers) {
        let named = Expected { digest: *digest, size: *size, kind: Kind::Blob, ..expected.clone() };
        let Err(error) = warm.leave(&named).await else { continue };
        tracing::debug!(%digest, %error, "no leave to read what is here");
        if error.kind != WarmErrorKind::Refused {
            return;
        }
    }
}

/// Lets wait what a manifest leads to and is not here. What is expected of an image, the predictor says: it hears of the manifest.
async fn lead_on(shared: &Shared, expected: &Expected, root: Option<Digest>, seen: &ManifestSeen) {
    if expected.reason != Reason::Asked {
        return;
    }
    let led_to = shared.state.lock().led_to(expected, seen);
    let mut absent = pin!(absent(&*shared.warm, led_to));
    while let Some(next) = absent.next().await {
        shared.state.lock().add(next, Some(root.unwrap_or(expected.digest)), events::now());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use parking_lot::Mutex;
    use serde_json::json;
    use tokio::sync::Barrier;

    use super::*;
    use crate::{
        events::Repository,
        oci::{Algorithm, MediaType, Reference},
        prefetch::WarmedManifest,
        upstream::PullBudget,
    };

    /// Has what is of an even size, and finds that out only when all `LOOKS` places are taken. Notes of what sizes the blobs are that
    /// leave is asked for, and gives it.
    #[derive(Debug)]
    struct House {
        looks: Barrier,
        leave: Mutex<Vec<u64>>,
    }

    /// The sizes of blobs for which leave is refused, or the upstream fails.
    const REFUSED: u64 = 3;
    const FAILING: u64 = 5;

    impl House {
        fn new() -> Self {
            Self { looks: Barrier::new(LOOKS), leave: Mutex::default() }
        }
    }

    impl Warm for House {
        fn is_here<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, bool> {
            Box::pin(async {
                self.looks.wait().await;
                expected.size.is_multiple_of(2)
            })
        }

        fn blob<'a>(&'a self, _: &'a Expected) -> BoxFuture<'a, Result<Warmed, WarmError>> {
            unreachable!("it is only looked")
        }

        fn leave<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, Result<(), WarmError>> {
            self.leave.lock().push(expected.size);
            let failed = |kind| WarmError { kind, retry_after: None, message: "no".into() };
            let answer = match expected.size {
                REFUSED => Err(failed(WarmErrorKind::Refused)),
                FAILING => Err(failed(WarmErrorKind::Upstream)),
                _ => Ok(()),
            };
            Box::pin(future::ready(answer))
        }

        fn manifest<'a>(&'a self, _: &'a Expected) -> BoxFuture<'a, Result<WarmedManifest, WarmError>> {
            unreachable!("it is only looked")
        }

        fn image<'a>(&'a self, _: &'a Repository, _: &'a Reference) -> BoxFuture<'a, Result<WarmedManifest, WarmError>> {
            unreachable!("it is only looked")
        }

        fn pulls(&self, _: &str) -> Option<PullBudget> {
            None
        }

        fn demand(&self) -> usize {
            0
        }

        fn set_rate(&self, _: u64) {}
    }

    fn expected(size: usize, kind: Kind) -> Expected {
        Expected {
            digest: Digest::of(Algorithm::Sha256, &size.to_be_bytes()),
            size: size as u64,
            kind,
            repository: Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false },
            customer: None,
            reason: Reason::Moved,
            probability: 0.5,
            due: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_are_looked_for_at_once_and_come_in_their_order() {
        let warm = House::new();
        let mut offer: Vec<_> = (0..2 * LOOKS).map(|size| expected(size, Kind::Blob)).collect();
        offer.insert(0, expected(100, Kind::Manifest));
        let sizes = absent(&warm, offer).map(|expected| expected.size as usize).collect::<Vec<_>>();
        let sizes = tokio::time::timeout(LOOK, sizes).await.expect("they are looked for at once");
        let mut odd: Vec<_> = (0..2 * LOOKS).filter(|size| size % 2 == 1).collect();
        odd.insert(0, 100);
        assert_eq!(sizes, odd, "a manifest leads to more");
    }

    #[tokio::test]
    async fn leave_is_asked_for_until_the_upstream_fails_and_by_clients_themselves_when_they_pull() {
        let layer = |size: u64| {
            let digest = expected(size as usize, Kind::Blob).digest.to_string();
            json!({ "mediaType": MediaType::OCTET_STREAM, "digest": digest, "size": size })
        };
        let manifest =
            json!({ "schemaVersion": 2, "config": layer(2), "layers": [layer(REFUSED), layer(4), layer(FAILING), layer(6)] });
        let manifest = manifest.to_string();
        let of = expected(1, Kind::Manifest);
        let seen =
            ManifestSeen::read(of.repository.clone(), of.digest, manifest.as_bytes(), Some(MediaType::OCI_MANIFEST)).unwrap();
        for (reason, asked) in [(Reason::Elsewhere, vec![2, REFUSED, 4, FAILING]), (Reason::Pull, vec![])] {
            let warm = House::new();
            ask_leave(&warm, &Expected { reason, ..of.clone() }, &seen).await;
            assert_eq!(*warm.leave.lock(), asked, "{reason:?}");
        }
    }
}
