//! Looking whether a tag has moved, when nobody has asked.

use super::{Registry, RegistryError, RegistryErrorKind};
use crate::{
    catalog,
    oci::{Digest, RepositoryName, Tag},
    upstream::{ListBounds, Target},
};

/// How long a list of tags is that is looked at when nobody has asked for it.
const SHORT: ListBounds = ListBounds { pages: 10, entries: 10_000, bytes: 1 << 20 };

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
        let target = self.target(route, repository)?;
        let key = catalog::Repository { route: target.route.name.clone(), name: repository.clone() };
        self.proxied.look(&target, &key, tag).await
    }

    /// Asks an upstream, by its configured name, which tags a repository has by now. What it says is kept nowhere, and shown to
    /// nobody.
    ///
    /// # Errors
    /// `NameUnknown` when no such upstream is configured, or it has no such repository; `BadUpstreamAnswer` when there are more than
    /// 10,000, or they do not come in ten pages and a mebibyte; what the upstream failed with.
    pub async fn look_at_list(&self, route: &str, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        let target = self.target(route, repository)?;
        let listed = target.route.origin.tags_within(repository, SHORT).await;
        let tags = listed.map_err(|error| RegistryError::from_upstream(error, RegistryErrorKind::NameUnknown))?;
        // A name that breaks the rules cannot be asked for.
        Ok(tags.iter().filter_map(|tag| tag.parse().ok()).collect())
    }

    fn target(&self, route: &str, repository: &RepositoryName) -> Result<Target, RegistryError> {
        let routes = self.routes();
        let route = routes.iter().find(|known| &*known.name == route);
        let route = route.ok_or_else(|| RegistryError::unknown(RegistryErrorKind::NameUnknown))?;
        Ok(Target { route: route.clone(), repository: repository.clone() })
    }
}
