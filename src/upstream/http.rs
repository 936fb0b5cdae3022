//! [`Origin`] over HTTP: the registry API of the OCI distribution specification.

use std::{fs, path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use reqwest::header::HeaderMap;
use tokio::runtime::Handle;
use url::Url;

use super::{
    BlobStream, FetchedManifest, Identity, ManifestHead, Origin, PullBudget, Requester, UpstreamError,
    authorization::Authorization,
    breaker::Breaker,
    client::Client,
    credentials::CredentialSource,
    exchange::{Exchange, Places},
    links::ListBounds,
    rate_limit::Quiet,
    realms::Realms,
    retry::{self, RetryBudget},
    telling::Telling,
    tokens::Tokens,
};
use crate::{
    config::{Upstream, UpstreamKind},
    oci::{Digest, Reference, RepositoryName},
    telemetry::{Metrics, UpstreamName},
};

/// One upstream registry, reached over HTTP.
#[derive(Debug)]
pub struct HttpOrigin {
    exchange: Arc<Exchange>,
    /// What the upstream is told of who asks.
    told: HeaderMap,
}

/// An upstream cannot be used as it is configured. The text names the upstream, the key and the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream '{upstream}': {key}: {reason}")]
pub struct OriginError {
    upstream: String,
    key: &'static str,
    reason: String,
}

impl OriginError {
    pub(super) fn new(upstream: &str, key: &'static str, reason: String) -> Self {
        Self { upstream: upstream.to_owned(), key, reason }
    }

    /// The configuration key whose value cannot be used.
    pub fn key(&self) -> &'static str {
        self.key
    }
}

/// What all upstreams of a process share, and what tests put in its place.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) retry_budget: Arc<RetryBudget>,
    /// Where credential helpers are looked for instead of `PATH`.
    pub(super) helper_directory: Option<PathBuf>,
}

impl HttpOrigin {
    /// Makes the way to an upstream. Reads certificates; connects to nothing.
    ///
    /// `identity` names this server in the `Via` header of every request, so that a loop of servers can be noticed, and to
    /// parents. Work that several requests share (tokens, credential helpers) runs on `handle`.
    ///
    /// # Errors
    /// [`OriginError`] when a file cannot be read or a value cannot be used.
    pub fn new(config: &Upstream, metrics: &Arc<Metrics>, identity: &Identity, handle: Handle) -> Result<Self, OriginError> {
        let surroundings = Surroundings { retry_budget: retry::PROCESS.clone(), helper_directory: None };
        Self::within(surroundings, config, metrics, identity, handle)
    }

    pub(super) fn within(
        surroundings: Surroundings,
        config: &Upstream,
        metrics: &Arc<Metrics>,
        identity: &Identity,
        handle: Handle,
    ) -> Result<Self, OriginError> {
        let base = base(config)?;
        for (key, path) in [("password_file", &config.password_file), ("docker_config", &config.docker_config)] {
            if let Some(path) = path {
                fs::File::open(path)
                    .map_err(|error| OriginError::new(&config.name, key, format!("cannot read {}: {error}", path.display())))?;
            }
        }
        let name: Arc<str> = config.name.as_str().into();
        let client = Arc::new(Client::new(config, &base, &identity.via)?);
        let quiet = Arc::<Quiet>::default();
        let credentials = CredentialSource::new(config, host_and_port(&base), surroundings.helper_directory, handle.clone());
        let tokens = Tokens::new(client.clone(), quiet.clone(), config.first_byte_timeout, handle);
        let authorization = Authorization::new(Realms::new(base.clone(), &config.realms), credentials, tokens);
        let open = metrics.upstream_breaker_open.get_or_create(&UpstreamName { upstream: name.clone() }).clone();
        let exchange = Exchange {
            name,
            base,
            telling: Telling::new(config, identity)?,
            client,
            authorization,
            quiet,
            breaker: Breaker::new(config.breaker_failures, config.breaker_pause, open),
            retries: config.retries,
            retry_budget: surroundings.retry_budget,
            places: Places::new(config.max_concurrency),
            first_byte_timeout: config.first_byte_timeout,
            idle_timeout: config.idle_timeout,
            pull_budget: Mutex::new(None),
            metrics: metrics.clone(),
        };
        let told = exchange.telling.headers(&Requester::default());
        Ok(Self { exchange: Arc::new(exchange), told })
    }

    /// The names of all repositories, all pages merged, in the upstream's order. Many registries tell them to nobody, or only to
    /// their own operators.
    ///
    /// # Errors
    /// [`UpstreamError`]
    pub async fn repositories(&self) -> Result<Vec<String>, UpstreamError> {
        self.exchange.repositories(&self.told).await
    }
}

/// Where the upstream is.
fn base(config: &Upstream) -> Result<Url, OriginError> {
    let bad = |reason: &str| OriginError::new(&config.name, "url", reason.to_owned());
    let url = match (&config.url, config.name.as_str()) {
        (Some(url), _) => url.clone(),
        (None, _) if config.kind == UpstreamKind::Parent => {
            return Err(bad("it is not set, and nothing else tells where a parent is"));
        }
        // The name of Docker Hub is not where its registry is.
        (None, "docker.io" | "index.docker.io") => {
            Url::parse("https://registry-1.docker.io").map_err(|error| bad(&error.to_string()))?
        }
        (None, name) => Url::parse(&format!("https://{name}"))
            .map_err(|_| bad("it is not set, and the upstream's name is not the name of a host"))?,
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("it has to begin with https:// or http:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it must not hold a user name or password; use the keys 'username' and 'password_file'"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it must not have a query or a fragment"));
    }
    Ok(url)
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl Origin for HttpOrigin {
    fn blob<'a>(
        &'a self,
        name: &'a RepositoryName,
        digest: &'a Digest,
        from: u64,
    ) -> BoxFuture<'a, Result<BlobStream, UpstreamError>> {
        Box::pin(self.exchange.blob(&self.told, name, digest, from))
    }

    fn blob_size<'a>(
        &'a self,
        name: &'a RepositoryName,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>, UpstreamError>> {
        Box::pin(self.exchange.blob_size(&self.told, name, digest))
    }

    fn manifest<'a>(
        &'a self,
        name: &'a RepositoryName,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<FetchedManifest, UpstreamError>> {
        Box::pin(self.exchange.manifest(&self.told, name, reference))
    }

    fn manifest_head<'a>(
        &'a self,
        name: &'a RepositoryName,
        reference: &'a Reference,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, UpstreamError>> {
        Box::pin(self.exchange.manifest_head(&self.told, name, reference))
    }

    fn tags_within<'a>(
        &'a self,
        name: &'a RepositoryName,
        bounds: ListBounds,
    ) -> BoxFuture<'a, Result<Vec<String>, UpstreamError>> {
        Box::pin(self.exchange.tags(&self.told, name, bounds))
    }

    fn referrers<'a>(
        &'a self,
        name: &'a RepositoryName,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<serde_json::Value>, UpstreamError>> {
        Box::pin(self.exchange.referrers(&self.told, name, subject))
    }

    fn pull_budget(&self) -> Option<PullBudget> {
        *self.exchange.pull_budget.lock()
    }

    fn on_behalf_of(&self, requester: &Requester) -> Option<Arc<dyn Origin>> {
        let telling = &self.exchange.telling;
        telling
            .concerns(requester)
            .then(|| Arc::new(Self { exchange: Arc::clone(&self.exchange), told: telling.headers(requester) }) as Arc<dyn Origin>)
    }
}
