//! Who may read a content, and whether it is on its way.

use super::{Registry, RegistryError};
use crate::{catalog::CatalogError, oci::Digest};

impl Registry {
    /// The repositories that may read a content, hosted ones and, with the upstream's name before theirs, mirrors: at most
    /// `limit`. For people: it looks through all links.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn readers(&self, digest: &Digest, limit: usize) -> Result<Vec<String>, RegistryError> {
        let (catalog, digest) = (self.proxied.catalog(), *digest);
        let found = tokio::task::spawn_blocking(move || {
            let mut readers = catalog.hosted_with(&digest, limit)?;
            readers.extend(catalog.mirrors_with(&digest, limit - readers.len())?);
            Ok::<_, CatalogError>(readers)
        });
        let found = found.await.map_err(|error| RegistryError::internal("the catalog", error))?;
        found.map_err(|error| RegistryError::internal("the catalog", error))
    }

    /// Whether a transfer of a content from an upstream is under way.
    pub fn is_under_way(&self, digest: &Digest) -> bool {
        self.proxied.is_under_way(digest)
    }
}
