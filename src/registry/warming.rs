//! Having contents here before they are asked for.

use super::{Registry, RegistryError, RegistryErrorKind};
use crate::{
    customers::Customer,
    events::{ManifestSeen, Repository},
    fill::Haste,
    oci::{Digest, Reference},
    tiers::Wanted,
    upstream::{PullBudget, Requester, Target},
};

/// For whom something is to be here, and how soon.
#[derive(Debug, Clone)]
pub struct Wish {
    /// For whom.
    pub customer: Customer,
    /// How likely it is that it is asked for, from 0 to 1: what it is worth to keep it.
    pub probability: f32,
    /// How soon.
    pub haste: Haste,
    /// Bytes that it may have: more are not fetched unless a client asks.
    pub most: u64,
}

/// How something came to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmed {
    /// It was; at most, the upstream was asked for its leave.
    Here,
    /// Somebody else had begun to fetch it.
    Joined,
    /// It was fetched.
    Fetched {
        /// Its length in bytes.
        bytes: u64,
        /// Pulls that an upstream may have counted.
        pulls: u64,
    },
}

/// The least that a content is worth that somebody expects to be asked for.
const LEAST: f32 = 0.01;

impl Registry {
    /// Whether a content is here and may be read in a repository. Asks nobody.
    pub async fn is_warm(&self, repository: &Repository, digest: &Digest) -> bool {
        match self.mirror(repository, &Customer::default()) {
            Ok(Some(target)) => self.proxied.is_warm(&target, digest).await,
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Has a blob here: with its bytes, and with the leave to read them in this repository, as if it had been pulled. Returns when
    /// the tiers have it; dropping the future cancels nothing. A hosted repository needs nothing.
    ///
    /// # Errors
    /// As [`Self::blob`]; `StorageFull` when it could not be kept; `Unsupported` when its upstream is not configured any more.
    pub async fn warm_blob(&self, repository: &Repository, digest: &Digest, wish: &Wish) -> Result<Warmed, RegistryError> {
        match self.mirror(repository, &wish.customer)? {
            Some(target) => self.proxied.warm_blob(&target, digest, &self.worth(&target, wish), wish).await,
            None => Ok(Warmed::Here),
        }
    }

    /// Has the leave to read a blob in a repository, if its bytes are here because of others: its upstream is asked, unless it has
    /// been. Brings no bytes.
    ///
    /// # Errors
    /// As [`Self::blob`]; `Unsupported` when its upstream is not configured any more.
    pub async fn warm_leave(&self, repository: &Repository, digest: &Digest) -> Result<(), RegistryError> {
        match self.mirror(repository, &Customer::default())? {
            Some(target) => self.proxied.warm_leave(&target, digest).await,
            None => Ok(()),
        }
    }

    /// Has a manifest here, as [`Self::warm_blob`] has a blob, and tells what it names. A hosted repository needs nothing, and is
    /// told nothing of.
    ///
    /// # Errors
    /// As [`Self::manifest`]; `Unsupported` when its upstream is not configured any more.
    pub async fn warm_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        wish: &Wish,
    ) -> Result<(Warmed, Option<ManifestSeen>), RegistryError> {
        let Some(target) = self.mirror(repository, &wish.customer)? else { return Ok((Warmed::Here, None)) };
        let (warmed, seen) = self.proxied.warm_manifest(&target, reference, &self.worth(&target, wish)).await?;
        Ok((warmed, Some(seen)))
    }

    /// The pulls that an upstream has said to have left; `None` when it counts none, or has not said.
    pub fn pull_budget(&self, route: &str) -> Option<PullBudget> {
        self.routes().iter().find(|known| *known.name == *route)?.origin.pull_budget()
    }

    /// Number of transfers from upstreams that clients wait for.
    pub fn demand(&self) -> usize {
        self.proxied.demand()
    }

    /// Bytes per second that transfers of contents may take together that are expected later; 0 for no limit.
    pub fn set_prefetch_rate(&self, rate: u64) {
        self.proxied.set_prefetch_rate(rate);
    }

    /// The repository that is mirrored, asked for a customer; `None` for one that lives here.
    fn mirror(&self, repository: &Repository, customer: &Customer) -> Result<Option<Target>, RegistryError> {
        if repository.route.is_empty() {
            return Ok(None);
        }
        let routes = self.routes();
        let Some(route) = routes.iter().find(|route| route.name == repository.route) else {
            let message = format!("the upstream {} is not configured any more", repository.route);
            return Err(RegistryError::new(RegistryErrorKind::Unsupported, message));
        };
        let target = Target { route: route.clone(), repository: repository.name.clone() };
        let requester = Requester { customer: customer.name().map(str::to_owned), ..Requester::default() };
        Ok(Some(target.on_behalf_of(&requester)))
    }

    fn worth(&self, target: &Target, wish: &Wish) -> Wanted {
        let wanted = self.wanted(target, &wish.customer);
        Wanted { weight: wanted.weight * wish.probability.clamp(LEAST, 1.0), ..wanted }
    }
}
