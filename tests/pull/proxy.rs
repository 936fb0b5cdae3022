//! Harbinger, started in this process on a free port, with its data in a folder that goes with the test.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use harbinger::{
    app::App,
    config::{AccessLog, Config, Upstream as UpstreamConfig},
    events::{Bus, Subscription},
    graph::State,
    prefetch::Prefetch,
};
use tempfile::TempDir;

use crate::{
    client::{Answer, Ask, Incoming},
    content::{Blob, Image},
    upstream::Upstream,
};

/// Longer than any test.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(3600);

/// What will be started.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    data: Arc<TempDir>,
}

/// A running proxy.
pub(crate) struct Proxy {
    app: App,
    setup: Setup,
}

impl Setup {
    /// A proxy whose `docker.io` is `upstream`.
    pub(crate) fn in_front_of(upstream: &Upstream) -> Self {
        Self::with_upstreams(vec![mirror("docker.io", upstream)])
    }

    pub(crate) fn with_upstreams(upstreams: Vec<UpstreamConfig>) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let mut config = Config::default();
        config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.server.workers = 2;
        config.server.shutdown_grace = Duration::from_secs(5);
        config.storage.data = data.path().to_owned();
        config.logging.access = AccessLog::Off;
        // What is asked of the upstream is counted: a test that wants more to be fetched than is asked for says so.
        config.prefetch.enabled = false;
        config.upstream = upstreams;
        Self { config, data }
    }

    /// Changes the configuration.
    #[must_use]
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Tags are asked for again every time.
    #[must_use]
    pub(crate) fn always_revalidating(self) -> Self {
        self.with(|config| {
            config.cache.tag_ttl = Duration::ZERO;
            config.cache.list_ttl = Duration::ZERO;
        })
    }

    /// What is expected is fetched, as it is when nothing is configured.
    #[must_use]
    pub(crate) fn fetching_ahead(self) -> Self {
        self.with(|config| config.prefetch.enabled = true)
    }

    /// Failed requests are tried again, as they are when nothing is configured.
    #[must_use]
    pub(crate) fn with_retries(self) -> Self {
        self.with(|config| config.upstream[0].retries = 2)
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) async fn start(self) -> Proxy {
        let app = App::start(self.config.clone()).await.unwrap();
        Proxy { app, setup: self }
    }
}

/// A mirrored registry that stands on loopback. Its breaker never opens and nothing is tried again, since both depend on
/// what was asked before: a test that wants them says so.
pub(crate) fn mirror(name: &str, upstream: &Upstream) -> UpstreamConfig {
    UpstreamConfig {
        url: Some(upstream.url("/").parse().unwrap()),
        allow_private_addresses: true,
        breaker_failures: 1_000_000,
        retries: 0,
        ..UpstreamConfig::new(name)
    }
}

/// The path of a blob.
pub(crate) fn blob_path(name: &str, blob: &Blob) -> String {
    format!("/v2/{name}/blobs/{}", blob.digest)
}

/// The path of a manifest.
pub(crate) fn manifest_path(name: &str, reference: &str) -> String {
    format!("/v2/{name}/manifests/{reference}")
}

impl Proxy {
    pub(crate) async fn in_front_of(upstream: &Upstream) -> Self {
        Setup::in_front_of(upstream).start().await
    }

    /// All that happens from now on.
    pub(crate) fn events(&self) -> Subscription {
        self.app.bus().subscribe("test", 10_000)
    }

    /// What the graph says; `None` while it is loaded.
    pub(crate) fn graph<T>(&self, look: impl FnOnce(&State) -> T) -> Option<T> {
        self.app.graph().unwrap().read(look).ok()
    }

    pub(crate) fn prefetch(&self) -> &Prefetch {
        self.app.prefetch()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.app.address()
    }

    pub(crate) fn data(&self) -> &Path {
        self.setup.data()
    }

    pub(crate) fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(self.address(), method, target)
    }

    /// With the operator's token.
    pub(crate) fn as_operator(&self, method: &str, target: &str) -> Ask {
        let operator = std::fs::read(self.data().join("admin.json")).unwrap();
        let operator: serde_json::Value = serde_json::from_slice(&operator).unwrap();
        self.ask(method, target).header("Authorization", &format!("Bearer {}", operator["token"].as_str().unwrap()))
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target).send().await
    }

    pub(crate) async fn head(&self, target: &str) -> Answer {
        self.ask("HEAD", target).send().await
    }

    /// A GET of which only the head has been read.
    pub(crate) async fn open(&self, target: &str) -> Incoming {
        self.ask("GET", target).open().await.unwrap()
    }

    /// Pulls an image as containerd does, and checks every byte.
    pub(crate) async fn pull(&self, name: &str, tag: &str, image: &Image) {
        let found = self.head(&manifest_path(name, tag)).await;
        assert_eq!(found.status, 200);
        assert_eq!(found.header("Docker-Content-Digest"), Some(image.manifest.digest.as_str()));
        self.get(&manifest_path(name, &image.manifest.digest)).await.is_exactly(&image.manifest.bytes);
        for blob in &image.blobs {
            self.get(&blob_path(name, blob)).await.is_exactly(&blob.bytes);
        }
    }

    /// It is alive and well, whatever was done to it.
    pub(crate) async fn still_answers(&self) {
        assert_eq!(self.get("/v2/").await.status, 200);
    }

    /// Takes over a changed configuration, as on SIGHUP.
    pub(crate) fn reload(&self, change: impl FnOnce(&mut Config)) {
        self.try_reload(change).unwrap();
    }

    /// The same, when it may be refused.
    pub(crate) fn try_reload(&self, change: impl FnOnce(&mut Config)) -> Result<Vec<String>, String> {
        let mut config = self.setup.config.clone();
        change(&mut config);
        self.app.reload(config).map_err(|error| error.to_string())
    }

    pub(crate) async fn stop(self) -> Setup {
        self.app.stop().await;
        self.setup
    }
}
