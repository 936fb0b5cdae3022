//! Which upstream a request means. Closed world: only configured upstreams exist.

use std::{fmt, sync::Arc};

use super::{Origin, Requester};
use crate::{
    config::{self, InvalidNames, InvalidPattern, Mode, Named, Names, Pattern, RedirectMode},
    oci::RepositoryName,
};

/// One configured upstream.
#[derive(Debug)]
pub struct Route {
    /// Its configured name: the key of everything that is cached for it.
    pub name: Arc<str>,
    /// Who may read.
    pub mode: Mode,
    /// For which blobs clients are sent elsewhere, where that differs from the rule for all.
    pub redirect: Option<RedirectMode>,
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

/// Where a request leads.
#[derive(Debug, Clone)]
pub enum Destination {
    /// To a repository that mirrors an upstream's.
    Proxied(Target),
    /// To a repository that lives here.
    Hosted(RepositoryName),
}

impl Route {
    /// Whether everybody can have what it leads to elsewhere without credentials.
    pub fn is_public(&self) -> bool {
        self.mode == Mode::Public
    }
}

impl Target {
    /// The same repository, asked for `requester`.
    #[must_use]
    pub fn on_behalf_of(self, requester: &Requester) -> Self {
        let Some(origin) = self.route.origin.on_behalf_of(requester) else { return self };
        let Route { name, mode, redirect, .. } = &*self.route;
        Self { route: Arc::new(Route { name: Arc::clone(name), mode: *mode, redirect: *redirect, origin }), ..self }
    }
}

impl Destination {
    /// The same place, asked for `requester`.
    #[must_use]
    pub fn on_behalf_of(self, requester: &Requester) -> Self {
        match self {
            Self::Proxied(target) => Self::Proxied(target.on_behalf_of(requester)),
            hosted => hosted,
        }
    }

    /// Whether everybody can have the content elsewhere without credentials: it mirrors a public registry.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Proxied(target) if target.route.is_public())
    }

    /// The repository's name, at the upstream or here.
    pub const fn repository(&self) -> &RepositoryName {
        match self {
            Self::Proxied(target) => &target.repository,
            Self::Hosted(name) => name,
        }
    }
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
    /// It names no registry, and there is no default one.
    #[error("no upstream is configured here, so the request must name a hosted repository")]
    NoUpstream,
    /// Two parts of the address name two different upstreams.
    #[error("the request names two different upstreams: '{0}' and '{1}'")]
    Conflict(String, String),
    /// What is left is not a repository name.
    #[error(transparent)]
    InvalidName(#[from] crate::oci::InvalidName),
}

/// All configured upstreams, and the names of what is hosted here.
pub struct Routes {
    entries: Vec<Entry>,
    names: Names,
    hosted: Vec<String>,
}

struct Entry {
    route: Arc<Route>,
    /// Whether a name of one component means `library/name`.
    library: bool,
}

impl Routes {
    /// Takes the upstreams in their configured order; the first one is the default. What begins with one of the prefixes
    /// `hosted` lives here.
    ///
    /// # Errors
    /// [`InvalidNames`]: a name that is malformed, or that means two upstreams.
    pub fn new(entries: Vec<(config::Upstream, Arc<dyn Origin>)>, hosted: Vec<String>) -> Result<Self, InvalidNames> {
        let names = Names::new(entries.iter().map(|(upstream, _)| upstream))?;
        let entries = entries.into_iter().map(|(upstream, origin)| entry(&upstream, origin)).collect();
        Ok(Self { entries, names, hosted })
    }

    /// The upstreams in their configured order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.entries.iter().map(|entry| &entry.route)
    }

    /// The beginnings of the names of what is hosted here.
    pub fn hosted(&self) -> &[String] {
        &self.hosted
    }

    /// Tells which repository of which upstream, or which hosted one, is meant.
    ///
    /// What counts, strongest first: the namespace, the prefix before `/v2/`, the name of an upstream at the beginning of
    /// the path, the `Host` header; the first three must agree, and a `Host` that means nothing is ignored. When none of them
    /// names an upstream, a repository with a hosted name is the hosted one, and any other is the default upstream's.
    ///
    /// # Errors
    /// [`RouteError`]; nothing is ever dialled because of a name that is not configured.
    pub fn resolve(&self, address: Address<'_>) -> Result<Destination, RouteError> {
        let namespace = address.namespace.filter(|text| !text.is_empty()).map(|text| self.configured(text)).transpose()?;
        let prefix = address.prefix.map(|text| self.configured(text)).transpose()?;
        let said = self.agree(namespace, prefix)?;
        let (in_path, repository) = self.split(address.path, said.is_some())?;
        let named = self.agree(said, in_path)?.or_else(|| address.host.and_then(|host| self.names.at_host(host)));
        if named.is_none() && self.hosted.iter().any(|prefix| repository.starts_with(prefix)) {
            return Ok(Destination::Hosted(repository.parse()?));
        }
        let Entry { route, library } = self.entries.get(named.unwrap_or(0)).ok_or(RouteError::NoUpstream)?;
        let repository =
            if *library && !repository.contains('/') { format!("library/{repository}").parse()? } else { repository.parse()? };
        Ok(Destination::Proxied(Target { route: Arc::clone(route), repository }))
    }

    /// A pattern of repositories of these upstreams, in the spelling of [`Route::name`]. As in an address, what begins with no
    /// upstream is the default one's; a first part with a star is one of the upstream's name when a `/` follows.
    ///
    /// # Errors
    /// [`InvalidPattern`]
    pub fn pattern(&self, text: &str) -> Result<Pattern, InvalidPattern> {
        let entry =
            |at: usize| self.entries.get(at).map(|Entry { route, library }| Named { name: &route.name, library: *library });
        let first = text.split('/').next().unwrap_or_default();
        let says_where = if first.contains('*') {
            text.contains('/') || text == "**"
        } else {
            self.names.named(first).is_some() || looks_like_a_registry(first)
        };
        match self.entries.first() {
            Some(default) if !says_where => Pattern::of_repositories(&format!("{}/{text}", default.route.name), |_| entry(0)),
            _ => Pattern::of_repositories(text, |first| entry(self.names.named(first)?)),
        }
    }

    fn configured(&self, text: &str) -> Result<usize, RouteError> {
        self.names.named(text).ok_or_else(|| unknown(text))
    }

    fn agree(&self, one: Option<usize>, other: Option<usize>) -> Result<Option<usize>, RouteError> {
        match (one, other) {
            (Some(one), Some(other)) if one != other => {
                Err(RouteError::Conflict(self.entries[one].route.name.to_string(), self.entries[other].route.name.to_string()))
            }
            _ => Ok(one.or(other)),
        }
    }

    /// Takes the name of an upstream off the beginning of a path, once. A first component that only looks like a registry is
    /// part of the repository's name when something else `said` which upstream is meant, and an unknown upstream when not.
    fn split<'a>(&self, path: &'a str, said: bool) -> Result<(Option<usize>, &'a str), RouteError> {
        let Some((first, rest)) = path.split_once('/') else {
            return Ok((None, path));
        };
        match self.names.named(first) {
            Some(found) => Ok((Some(found), rest)),
            None if !said && looks_like_a_registry(first) => Err(unknown(first)),
            None => Ok((None, path)),
        }
    }
}

fn entry(upstream: &config::Upstream, origin: Arc<dyn Origin>) -> Entry {
    let route = Route { name: upstream.route_name().into(), mode: upstream.mode, redirect: upstream.redirect, origin };
    Entry { route: Arc::new(route), library: upstream.has_library() }
}

/// The rule by which clients tell a registry from the first part of a repository's name.
fn looks_like_a_registry(component: &str) -> bool {
    component.contains(['.', ':']) || component.eq_ignore_ascii_case("localhost")
}

/// The name is the client's text: it is cut before it gets into answers and logs.
fn unknown(text: &str) -> RouteError {
    RouteError::UnknownUpstream(text.chars().take(255).collect())
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|route| &route.name)).finish()
    }
}

#[cfg(test)]
mod tests;
