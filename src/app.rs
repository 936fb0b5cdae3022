//! The composition root: the only place where concrete types meet. No logic.

mod operator_file;

pub use operator_file::OperatorFile;

use std::{
    fmt::Display,
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
    api::{self, AdminToken},
    catalog::{Catalog, CatalogError},
    config::Config,
    registry::{self, Collected, Registry},
    telemetry::Metrics,
    tiers::{ContentStore, Disk, Memory, Staging, Tiers},
    upstream::{HttpOrigin, Origin, Routes},
};

/// The catalog's file in the data folder.
const CATALOG: &str = "catalog.redb";

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
        let Storage { catalog, tiers, staging } = open_storage(&config)?;
        metrics.register(|metrics| metrics.register_collector(Box::new(tiers.clone().collector())));

        let via = format!("harbinger-{:016x}", fastrand::u64(..));
        let origins = Origins { metrics: metrics.clone(), via: via.clone(), handle: Handle::current() };
        let routes = origins.routes(&config)?;
        let registry = Registry::open(Handle::current(), routes, &config, catalog.clone(), tiers, staging, metrics.clone());
        let registry = Arc::new(registry.await.map_err(|error| unusable(&config.storage.data, &error))?);

        let stopping = Arc::new(AtomicBool::new(false));
        let ready = stopping.clone();
        let admin_token = AdminToken::new();
        let server = api::serve(api::Settings {
            config: config.server.clone(),
            access: config.logging.access,
            registry: registry.clone(),
            metrics,
            admin_token: admin_token.clone(),
            via,
            ready: Arc::new(move || !ready.load(Ordering::Relaxed)),
        })
        .map_err(|error| StartError(error.to_string()))?;
        let operator = OperatorFile { address: server.address(), token: admin_token.secret().to_owned() };
        operator.write(&config.storage.data).map_err(|error| unusable(&config.storage.data, &error))?;
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
        self.registry.reconfigure(routes, &config);
        *self.shutdown_grace.lock() = config.server.shutdown_grace;
        Ok(self.config.restart_needed(&config))
    }

    /// Stops accepting, lets answers under way finish within the grace time, and closes.
    pub async fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        let grace = *self.shutdown_grace.lock();
        self.server.stop(grace).await;
        // Left behind, it would only lead to nobody.
        let _ = std::fs::remove_file(OperatorFile::path(&self.config.storage.data));
        self.catalog.close().await;
    }
}

/// Collects garbage in the data folder of a configuration. `None` when a server runs there: it has to be asked.
///
/// # Errors
/// When there is no data folder, or it cannot be used.
pub async fn collect_garbage(config: &Config, grace: Option<Duration>, dry_run: bool) -> Result<Option<Collected>, StartError> {
    let data = &config.storage.data;
    let failed = |error: &dyn Display| StartError(format!("the data folder {} cannot be used: {error}", data.display()));
    if !data.join(CATALOG).exists() {
        return Err(StartError(format!("there is no catalog in {}; name the data folder with --data", data.display())));
    }
    let catalog = match Catalog::open(&data.join(CATALOG)) {
        Ok(catalog) => Arc::new(catalog),
        Err(CatalogError::InUse) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let content = ContentStore::open(data).map_err(|error| failed(&error))?;
    let collected = registry::collect_garbage(catalog.clone(), content, grace.unwrap_or(config.hosted.gc_grace), dry_run).await;
    catalog.close().await;
    collected.map(Some).map_err(|error| failed(&error))
}

/// What is durable.
struct Storage {
    catalog: Arc<Catalog>,
    tiers: Arc<Tiers>,
    staging: Staging,
}

/// Opens what is durable. The catalog comes first: its lock keeps a second process away from the files.
fn open_storage(config: &Config) -> Result<Storage, StartError> {
    let folder = &config.storage.data;
    let failed = |error: &dyn Display| unusable(folder, error);
    make_private(folder).map_err(|error| failed(&error))?;
    let catalog = Catalog::open(&folder.join(CATALOG)).map_err(|error| failed(&error))?;
    let memory = &config.storage.memory;
    let memory = Memory::new(memory.limit.as_u64(), memory.max_entry.as_u64());
    let disk = Disk::open(folder, config.storage.disk.limit.as_u64()).map_err(|error| failed(&error))?;
    let hosted = ContentStore::open(folder).map_err(|error| failed(&error))?;
    let staging = Staging::open(folder).map_err(|error| failed(&error))?;
    Ok(Storage { catalog: Arc::new(catalog), tiers: Arc::new(Tiers::new(memory, disk, hosted)), staging })
}

fn unusable(folder: &Path, error: &dyn Display) -> StartError {
    StartError(format!("the data folder {} cannot be used: {error}; choose another one with --data", folder.display()))
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
        Routes::new(entries, config.hosted.prefixes.clone()).map_err(|error| StartError(error.to_string()))
    }
}
