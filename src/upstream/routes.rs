//! Which upstream a request means. Closed world: only configured upstreams exist.

use std::{fmt, sync::Arc};

use super::Origin;
use crate::{config::Mode, oci::RepositoryName};

/// One configured upstream.
#[derive(Debug)]
pub struct Route {
    /// Its configured name: the key of everything that is cached for it.
    pub name: Arc<str>,
    /// Who may read.
    pub mode: Mode,
    /// How it is reached.
    pub origin: Arc<dyn Origin>,
}

/// A repository of an upstream: what a request is about.
#[derive(Debug, Clone)]
pub struct Target {
    /// The upstream.
    pub route: Arc<Route>,
    /// The repository's name at the upstream, `library/` included.
    pub repository: RepositoryName,
}

/// The part of a request that tells where it wants to go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Address<'a> {
    /// The `Host` header, port and all.
    pub host: Option<&'a str>,
    /// `X` of a path `/X/v2/…`.
    pub prefix: Option<&'a str>,
    /// The decoded `ns` query parameter.
    pub namespace: Option<&'a str>,
    /// The repository part of the path, not yet parsed: it may begin with the name of an upstream.
    pub path: &'a str,
}

/// Why an address leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It names a registry that is not configured.
    #[error("no upstream named '{0}' is configured here")]
    UnknownUpstream(String),
    /// Two parts of the address name two different upstreams.
    #[error("the request names two different upstreams: '{0}' and '{1}'")]
    Conflict(String, String),
    /// What is left is not a repository name.
    #[error(transparent)]
    InvalidName(#[from] crate::oci::InvalidName),
}

/// All configured upstreams.
pub struct Routes {
    routes: Vec<Arc<Route>>,
}

impl Routes {
    /// Tells which repository of which upstream is meant.
    ///
    /// # Errors
    /// [`RouteError`]; nothing is ever dialled because of a name that is not configured.
    pub fn resolve(&self, address: Address<'_>) -> Result<Target, RouteError> {
        let _ = (address, &self.routes);
        unimplemented!()
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| &route.name)).finish()
    }
}
