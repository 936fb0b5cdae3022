//! Prefetching, by way of the registry.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    customers::Customer,
    events::Repository,
    fill::Haste,
    oci::{MAX_MANIFEST_BYTES, Reference},
    predict::Expected,
    prefetch::{Warm, WarmError, WarmErrorKind, Warmed, WarmedManifest},
    registry::{self, Registry, RegistryError, RegistryErrorKind, Wish},
    upstream::PullBudget,
};

/// Has the registry fetch what is expected.
#[derive(Debug)]
pub(super) struct Warming(pub(super) Arc<Registry>);

impl Warm for Warming {
    fn is_here<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, bool> {
        Box::pin(self.0.is_warm(&expected.repository, &expected.digest))
    }

    fn blob<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, Result<Warmed, WarmError>> {
        Box::pin(async {
            let warmed = self.0.warm_blob(&expected.repository, &expected.digest, &wish(expected)).await;
            warmed.map(warm).map_err(|error| failure(&error))
        })
    }

    fn leave<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, Result<(), WarmError>> {
        Box::pin(async {
            let asked = self.0.warm_leave(&expected.repository, &expected.digest).await;
            asked.map_err(|error| failure(&error))
        })
    }

    fn manifest<'a>(&'a self, expected: &'a Expected) -> BoxFuture<'a, Result<WarmedManifest, WarmError>> {
        Box::pin(async {
            let reference = Reference::Digest(expected.digest);
            self.warmed(&expected.repository, &reference, wish(expected)).await
        })
    }

    fn image<'a>(
        &'a self,
        repository: &'a Repository,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<WarmedManifest, WarmError>> {
        let wish = Wish { customer: Customer::default(), probability: 1.0, haste: Haste::Later, most: MAX_MANIFEST_BYTES as u64 };
        Box::pin(self.warmed(repository, reference, wish))
    }

    fn pulls(&self, route: &str) -> Option<PullBudget> {
        self.0.pull_budget(route)
    }

    fn demand(&self) -> usize {
        self.0.demand()
    }

    fn set_rate(&self, rate: u64) {
        self.0.set_prefetch_rate(rate);
    }
}

impl Warming {
    async fn warmed(&self, repository: &Repository, reference: &Reference, wish: Wish) -> Result<WarmedManifest, WarmError> {
        let warmed = self.0.warm_manifest(repository, reference, &wish).await;
        let (warmed, seen) = warmed.map_err(|error| failure(&error))?;
        Ok(WarmedManifest { warmed: warm(warmed), seen: seen.map(Arc::new) })
    }
}

fn wish(expected: &Expected) -> Wish {
    Wish {
        customer: Customer::from_header(expected.customer.as_deref()),
        probability: expected.probability,
        haste: if expected.reason.is_urgent() { Haste::Soon } else { Haste::Later },
        most: expected.size,
    }
}

const fn warm(warmed: registry::Warmed) -> Warmed {
    match warmed {
        registry::Warmed::Here => Warmed::Here,
        registry::Warmed::Joined => Warmed::Joined,
        registry::Warmed::Fetched { bytes, pulls } => Warmed::Fetched { bytes, pulls },
    }
}

fn failure(error: &RegistryError) -> WarmError {
    use RegistryErrorKind::{BadUpstreamAnswer, BlobUnknown, Denied, ManifestUnknown, NameUnknown, StorageFull, Unsupported};
    let kind = match error.kind {
        BlobUnknown | ManifestUnknown | NameUnknown | Denied | Unsupported | BadUpstreamAnswer => WarmErrorKind::Refused,
        StorageFull => WarmErrorKind::Storage,
        _ => WarmErrorKind::Upstream,
    };
    WarmError { kind, retry_after: error.retry_after, message: error.message.clone() }
}
