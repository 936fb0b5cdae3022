//! Looking whether a tag has moved, when nobody has asked.

use super::{Registry, RegistryError, RegistryErrorKind};
use crate::{
    catalog,
    oci::{Digest, RepositoryName, Tag},
    upstream::Target,
};

/// What was found at an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// The tag names this.
    Names(Digest),
    /// The tag names this, and the upstream says so only by sending the manifest, which it may count as a pull.
    ByGet(Digest),
    /// The tag never moves, by the configuration: nobody was asked.
    Fixed,
    /// A parent has told what it knew: its own upstream does not answer.
    Stale,
}

impl Registry {
    /// Asks an upstream, by its configured name, what a tag names by now. The answer counts as for a client's request, and goes to
    /// clients who wait for it; nothing of it counts as demand. A pause that the upstream has imposed is kept: it is an error.
    ///
    /// # Errors
    /// `NameUnknown` when no such upstream is configured; `ManifestUnknown` when there is no such tag (any more); what the
    /// upstream failed with.
    pub async fn look(&self, route: &str, repository: &RepositoryName, tag: &Tag) -> Result<Looked, RegistryError> {
        let routes = self.routes();
        let Some(route) = routes.iter().find(|known| &*known.name == route) else {
            return Err(RegistryError::unknown(RegistryErrorKind::NameUnknown));
        };
        let target = Target { route: route.clone(), repository: repository.clone() };
        let key = catalog::Repository { route: route.name.clone(), name: repository.clone() };
        self.proxied.look(&target, &key, tag).await
    }
}
