//! All images of a registry.

use std::{error::Error, sync::Arc};

use futures_util::{Stream, StreamExt, stream};

use super::walk::{Found, Image};
use crate::{
    app,
    config::{Config, Mode, Named, Names, Pattern, Upstream},
    events::Repository,
    oci::{Reference, RepositoryName},
    upstream::{HttpOrigin, Origin},
};

/// A registry that is walked.
pub(super) struct Registry {
    origin: Arc<HttpOrigin>,
    route: Arc<str>,
    private: bool,
    library: bool,
}

impl Registry {
    /// The registry that `text` names: an upstream of the configuration by one of its names or by its URL, with all that is
    /// configured for it, or any other one by its URL. With credentials, what it has is taken for private.
    pub(super) fn new(text: &str, credentials: Option<(String, String)>, config: &Config) -> Result<Self, Box<dyn Error>> {
        let mut upstream = configured(text, config)?.map_or_else(|| unconfigured(text), Ok)?;
        if let Some((user, password)) = credentials {
            if upstream.mode == Mode::Public {
                upstream.mode = Mode::Shared;
            }
            (upstream.username, upstream.password) = (Some(user), Some(password.into()));
        }
        Ok(Self {
            origin: Arc::new(app::origin(&upstream)?),
            route: upstream.route_name().into(),
            private: upstream.mode != Mode::Public,
            library: upstream.has_library(),
        })
    }

    /// The repositories that are meant: those without a star are believed to be there, for the others the registry's list is
    /// asked for.
    pub(super) async fn repositories(&self, patterns: &[String]) -> Result<Vec<RepositoryName>, Box<dyn Error>> {
        let named = |_: &str| Some(Named { name: &self.route, library: self.library });
        let prefix = format!("{}/", self.route);
        let (mut names, mut wide) = (Vec::new(), Vec::new());
        for text in patterns {
            let pattern = Pattern::of_repositories(&format!("registry/{}", text.strip_prefix(&prefix).unwrap_or(text)), named)?;
            match pattern.as_str().strip_prefix(&prefix) {
                Some(name) if !name.contains('*') => names.push(name.parse()?),
                _ => wide.push(pattern),
            }
        }
        if patterns.is_empty() || !wide.is_empty() {
            let all = self.origin.repositories().await.map_err(|error| {
                format!("the registry does not tell what it has ({error}); name repositories with --repo, without a star")
            })?;
            let wanted =
                |name: &String| wide.is_empty() || wide.iter().any(|pattern| pattern.matches(&format!("{prefix}{name}")));
            // A name that breaks the rules cannot be asked for.
            names.extend(all.iter().filter(|name| wanted(name)).filter_map(|name| name.parse().ok()));
        }
        let mut seen = std::collections::HashSet::new();
        names.retain(|name: &RepositoryName| seen.insert(name.clone()));
        Ok(names)
    }

    /// All tags of repositories, one repository after the other, as they are wanted.
    pub(super) fn images(self, names: Vec<RepositoryName>) -> impl Stream<Item = Found> + Send {
        let Self { origin, route, private, .. } = self;
        stream::iter(names)
            .then(move |name| {
                let (origin, repository) = (origin.clone(), Repository { route: route.clone(), name, private });
                async move {
                    let tags = origin.tags(&repository.name).await;
                    let found: Vec<Found> = match tags {
                        Ok(tags) => {
                            let image = |tag| Image {
                                origin: origin.clone(),
                                repository: repository.clone(),
                                reference: Reference::Tag(tag),
                            };
                            tags.iter().filter_map(|tag| tag.parse().ok()).map(|tag| Ok(image(tag))).collect()
                        }
                        Err(error) => vec![Err(format!("{}: {error}", repository.name))],
                    };
                    stream::iter(found)
                }
            })
            .flatten()
    }
}

fn configured(text: &str, config: &Config) -> Result<Option<Upstream>, Box<dyn Error>> {
    let at = Names::new(&config.upstream)?.named(text);
    let by_url = |upstream: &&Upstream| upstream.url.as_ref().is_some_and(|url| same(url.as_str(), text));
    Ok(at.and_then(|at| config.upstream.get(at)).or_else(|| config.upstream.iter().find(by_url)).cloned())
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

fn unconfigured(text: &str) -> Result<Upstream, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let bad =
        || format!("'{text}' is no registry: name an upstream of the configuration, or a URL such as https://registry.example");
    let url: url::Url = with_scheme.parse().map_err(|_| bad())?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(bad)?;
    let name = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok(Upstream { url: Some(url), ..Upstream::new(&name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_found_in_the_configuration_by_name_and_url() {
        let mut config = Config::default();
        let url = Some("http://127.0.0.1:5001/".parse().unwrap());
        config.upstream = vec![Upstream { url, ..Upstream::new("origin.test") }, Upstream::new("docker.io")];
        let name = |text: &str| configured(text, &config).unwrap().map(|upstream| upstream.name);
        assert_eq!(name("origin.test").as_deref(), Some("origin.test"));
        assert_eq!(name("http://127.0.0.1:5001").as_deref(), Some("origin.test"));
        assert_eq!(name("index.docker.io").as_deref(), Some("docker.io"));
        assert_eq!(name("https://elsewhere.example"), None);
    }

    #[test]
    fn another_registry_is_named_after_its_host() {
        assert_eq!(unconfigured("http://10.0.0.1:5000/").unwrap().name, "10.0.0.1:5000");
        assert_eq!(unconfigured("registry.example").unwrap().url.unwrap().as_str(), "https://registry.example/");
        for text in ["", "ftp://a", "https://", "a b"] {
            assert!(unconfigured(text).unwrap_err().contains("is no registry"), "{text}");
        }
    }

    #[tokio::test]
    async fn names_without_a_star_are_not_looked_for() {
        let registry =
            Registry::new("docker.io", None, &Config { upstream: vec![Upstream::new("docker.io")], ..Config::default() })
                .unwrap();
        let names = registry
            .repositories(&["nginx".to_owned(), "docker.io/grafana/grafana".to_owned(), "nginx".to_owned()])
            .await
            .unwrap();
        assert_eq!(names.iter().map(RepositoryName::as_str).collect::<Vec<_>>(), ["library/nginx", "grafana/grafana"]);
        assert!(!registry.private);
        let shown = Some(("u".to_owned(), "p".to_owned()));
        assert!(Registry::new("https://registry.example", shown, &Config::default()).unwrap().private);
    }
}
