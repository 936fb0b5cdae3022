//! Lists of hosted repositories: tags, referrers, and the repositories themselves.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{Hosted, Listing, RegistryError, RegistryErrorKind, catalog_failed};
use crate::{
    oci::{Digest, RepositoryName},
    telemetry::{CacheStatus, TierName},
};

impl Hosted {
    pub(in crate::registry) fn tags(&self, name: &RepositoryName) -> Result<Listing<String>, RegistryError> {
        let tags = self.shared.catalog.hosted_tags(name).map_err(catalog_failed)?;
        tags.map(listing).ok_or_else(|| RegistryError::unknown(RegistryErrorKind::NameUnknown))
    }

    pub(in crate::registry) fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Listing<Value>, RegistryError> {
        let rows = self.shared.catalog.hosted_referrers(name, subject).map_err(catalog_failed)?;
        // What was written as JSON reads as JSON.
        Ok(listing(rows.iter().filter_map(|row| serde_json::from_slice(row).ok()).collect()))
    }

    /// At most `limit` repositories that something was pushed to, after `last`, in byte order.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn repositories(&self, last: &str, limit: usize) -> Result<Vec<String>, RegistryError> {
        self.shared.catalog.hosted_repositories(last, limit).map_err(catalog_failed)
    }
}

fn listing<T>(entries: Vec<T>) -> Listing<T> {
    let entries: Arc<[T]> = entries.into();
    Listing { entries, status: CacheStatus::Hit(TierName::Catalog), age: Duration::ZERO }
}
