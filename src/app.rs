//! The composition root: the only place where concrete types meet. No logic.

use std::{
    fs::DirBuilder,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::{
    api,
    catalog::Catalog,
    config::Config,
    registry::Registry,
    telemetry::Metrics,
    tiers::{Disk, Memory, Tiers},
    upstream::{HttpOrigin, Origin, Routes},
};

/// A running server.
#[derive(Debug)]
pub struct App {
    server: api::Running,
    stopping: Arc<AtomicBool>,
    registry: Arc<Registry>,
    catalog: Arc<Catalog>,
    origins: Origins,
    /// What it was started with: keys that need a restart are in force as they are here.
    config: Config,
    shutdown_grace: Mutex<Duration>,
}

/// Why a server cannot start, or cannot take over a new configuration. The text names the cause and the cure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl App {
    /// Starts a server on the current tokio runtime, which must be multi-threaded and outlive it.
    ///
    /// # Errors
    /// When the data folder or the port cannot be used, or an upstream's certificates cannot be read.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let metrics = Arc::new(Metrics::new());
        let (catalog, tiers) = open_storage(&config)?;
        let (catalog, tiers) = (Arc::new(catalog), Arc::new(tiers));
        metrics.register(|metrics| metrics.register_collector(Box::new(tiers.clone().collector())));

        let via = format!("harbinger-{:016x}", fastrand::u64(..));
        let origins = Origins { metrics: metrics.clone(), via: via.clone(), handle: Handle::current() };
        let routes = origins.routes(&config)?;
        let registry =
            Arc::new(Registry::new(Handle::current(), routes, config.cache.clone(), catalog.clone(), tiers, metrics.clone()));

        let stopping = Arc::new(AtomicBool::new(false));
        let ready = stopping.clone();
        let server = api::serve(api::Settings {
            config: config.server.clone(),
            access: config.logging.access,
            registry: registry.clone(),
            metrics,
            via,
            ready: Arc::new(move || !ready.load(Ordering::Relaxed)),
        })
        .map_err(|error| StartError(error.to_string()))?;
        let shutdown_grace = Mutex::new(config.server.shutdown_grace);
        Ok(Self { server, stopping, registry, catalog, origins, config, shutdown_grace })
    }

    /// The address it listens on; with port 0 in the configuration, the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Takes over whatever of a new configuration can change while running: all of it or, on an error, nothing.
    /// Returns the keys that differ from those in force but need a restart.
    ///
    /// # Errors
    /// When an upstream's files cannot be read; the old configuration then stays in force.
    pub fn reload(&self, config: Config) -> Result<Vec<String>, StartError> {
        let routes = self.origins.routes(&config)?;
        self.registry.reconfigure(routes, config.cache.clone());
        *self.shutdown_grace.lock() = config.server.shutdown_grace;
        Ok(self.config.restart_needed(&config))
    }

    /// Stops accepting, lets answers under way finish within the grace time, and closes.
    pub async fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        let grace = *self.shutdown_grace.lock();
        self.server.stop(grace).await;
        self.catalog.close().await;
    }
}

/// Opens what is durable. The catalog comes first: its lock keeps a second process away from the files.
fn open_storage(config: &Config) -> Result<(Catalog, Tiers), StartError> {
    let folder = &config.storage.data;
    let unusable = |error: &dyn std::fmt::Display| {
        StartError(format!("the data folder {} cannot be used: {error}; choose another one with --data", folder.display()))
    };
    make_private(folder).map_err(|error| unusable(&error))?;
    let catalog = Catalog::open(&folder.join("catalog.redb")).map_err(|error| unusable(&error))?;
    let memory = &config.storage.memory;
    let memory = Memory::new(memory.limit.as_u64(), memory.max_entry.as_u64());
    let disk = Disk::open(folder, config.storage.disk.limit.as_u64()).map_err(|error| unusable(&error))?;
    Ok((catalog, Tiers::new(memory, disk)))
}

/// What is fetched with the operator's credentials is nobody else's business on this machine.
fn make_private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes the ways to upstreams.
#[derive(Debug)]
struct Origins {
    metrics: Arc<Metrics>,
    via: String,
    handle: Handle,
}

impl Origins {
    fn routes(&self, config: &Config) -> Result<Routes, StartError> {
        let mut entries = Vec::with_capacity(config.upstream.len());
        for upstream in &config.upstream {
            let origin = HttpOrigin::new(upstream, &self.metrics, &self.via, self.handle.clone())
                .map_err(|error| StartError(format!("upstream {}: {error}", upstream.name)))?;
            entries.push((upstream.clone(), Arc::new(origin) as Arc<dyn Origin>));
        }
        Routes::new(entries).map_err(|error| StartError(error.to_string()))
    }
}
