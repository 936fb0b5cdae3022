//! The composition root: the only place where concrete types meet. No logic.

mod graph_at_rest;
mod learning;
mod locations;
mod notifying;
mod operator_file;
mod scrub_at_rest;
mod warming;
mod watching;

pub use graph_at_rest::GraphAtRest;
pub use operator_file::OperatorFile;
pub use scrub_at_rest::ScrubAtRest;

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

use bytesize::ByteSize;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::{
    api::{self, AdminToken},
    catalog::{Catalog, CatalogError},
    config::{self, Config, DiskClass},
    events::InProcess,
    graph::Graph,
    predict::{Forecast, Predictor, watch::Poller},
    prefetch::Prefetch,
    registry::{self, Collected, Courier, Purged, Registry, Selection, Storage},
    telemetry::{Metrics, TierName},
    tiers::{Bucket, ContentStore, DecayedCounts, DiskSettings, ObjectTier, Rates, ScrubSettings, Staging, TierSettings, Tiers},
    upstream::{HttpOrigin, Identity, Origin, Routes},
};
use learning::Learning;
use warming::Warming;

/// The catalog's file in the data folder.
const CATALOG: &str = "catalog.redb";

/// The graph's file there.
const GRAPH: &str = "graph.redb";

/// The file of what has been learned.
const MODELS: &str = "models.redb";

/// A running server.
#[derive(Debug)]
pub struct App {
    server: api::Running,
    stopping: Arc<AtomicBool>,
    registry: Arc<Registry>,
    catalog: Arc<Catalog>,
    tiers: Arc<Tiers>,
    learning: Learning,
    prefetch: Arc<Prefetch>,
    predictor: Option<Arc<Predictor>>,
    poller: Poller,
    /// They end when they are dropped.
    _couriers: Vec<Courier>,
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
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        config.storage.fill_in();
        let metrics = Arc::new(Metrics::new());
        let forecast = config.prefetch.enabled.then(|| Arc::new(Forecast::new(0)));
        let Storage { catalog, tiers, staging } = open_storage(&config, forecast.clone(), &metrics)?;
        if let Some(object) = tiers.object() {
            object.set_locations(locations::locations(&config.redirect)?);
        }
        tiers.register(&metrics);
        tiers.start(&Handle::current());

        let via = format!("harbinger-{:016x}", fastrand::u64(..));
        let (region, customer_header) = (config.server.region.clone(), config.server.customer_header.clone());
        let identity = Identity { via: via.clone(), region, customer_header };
        let origins = Origins { metrics: metrics.clone(), identity, handle: Handle::current() };
        let routes = origins.routes(&config)?;
        let learning = Learning::start(&config, &catalog, &tiers, &metrics)?;
        let bus = learning.bus.clone();
        let storage = Storage { catalog: catalog.clone(), tiers: tiers.clone(), staging };
        let registry = Registry::open(Handle::current(), routes, &config, storage, metrics.clone(), bus.clone());
        let registry = Arc::new(registry.await.map_err(|error| unusable(&config.storage.data, &error))?);

        learning.recall(&registry);
        let poller = watching::start(&config, &registry, &learning, &metrics);
        let couriers = notifying::start(&config, &bus, &metrics)?;

        let warming = Arc::new(Warming(registry.clone()));
        let prefetch = Prefetch::start(Handle::current(), &config, warming, bus.clone(), learning.naming(&config), &metrics);
        let prefetch = Arc::new(prefetch.map_err(|error| StartError(format!("no thread can be started: {error}")))?);

        let predictor = forecast.map(|forecast| learning.predict(&config, forecast, &prefetch)).transpose()?;

        let healer = Arc::downgrade(&registry);
        tiers.scrubber().heal_by(Arc::new(move |digests| {
            if let Some(registry) = healer.upgrade() {
                registry.heal(digests);
            }
        }));

        let stopping = Arc::new(AtomicBool::new(false));
        let ready = stopping.clone();
        let admin_token = AdminToken::new();
        let server = api::serve(api::Settings {
            config: config.server.clone(),
            access: config.logging.access,
            registry: registry.clone(),
            tiers: tiers.clone(),
            metrics,
            admin_token: admin_token.clone(),
            via,
            bus,
            pseudonyms: learning.pseudonyms.clone(),
            graph: learning.graph.clone(),
            prefetch: prefetch.clone(),
            predictor: predictor.clone(),
            ready: Arc::new(move || !ready.load(Ordering::Relaxed)),
            notifications: config.notifications.secret.clone(),
            hints: poller.hints(),
            graph_is_public: config.graph.public,
        })
        .map_err(|error| StartError(error.to_string()))?;
        let operator = OperatorFile { address: server.address(), token: admin_token.secret().to_owned() };
        if let Err(error) = operator.write(&config.storage.data) {
            // A full disk, perhaps: clients can be served all the same.
            tracing::warn!(%error, "the operator's file cannot be written: gc, purge, scrub and cache will not find this server");
        }
        let shutdown_grace = Mutex::new(config.server.shutdown_grace);
        Ok(Self {
            server,
            stopping,
            registry,
            catalog,
            tiers,
            learning,
            prefetch,
            predictor,
            poller,
            _couriers: couriers,
            origins,
            config,
            shutdown_grace,
        })
    }

    /// What has been learned, if anything is.
    pub const fn graph(&self) -> Option<&Arc<Graph>> {
        self.learning.graph.as_ref()
    }

    /// Who fetches what is expected before it is asked for.
    pub const fn prefetch(&self) -> &Arc<Prefetch> {
        &self.prefetch
    }

    /// Whom all that happens is told to.
    pub fn bus(&self) -> &Arc<InProcess> {
        &self.learning.bus
    }

    /// The address it listens on; with port 0 in the configuration, the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Takes over whatever of a new configuration can change while running: all of it or, on an error, nothing.
    /// Returns the keys that differ from those in force but need a restart.
    ///
    /// # Errors
    /// When a file that the configuration names cannot be read; the old configuration then stays in force.
    pub fn reload(&self, config: Config) -> Result<Vec<String>, StartError> {
        let routes = self.origins.routes(&config)?;
        let locations = locations::locations(&config.redirect)?;
        self.registry.reconfigure(routes, &config);
        self.poller.reconfigure(watching::settings(&config, &self.learning));
        if let Some(object) = self.tiers.object() {
            object.set_locations(locations);
        }
        self.prefetch.reconfigure(&config);
        if let Some(predictor) = &self.predictor {
            predictor.set_budget(learning::budget(&config));
        }
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
        if let Some(object) = self.tiers.object() {
            object.close().await;
        }
        let (prefetch, predictor) = (self.prefetch.clone(), self.predictor.clone());
        let stopping = tokio::task::spawn_blocking(move || {
            prefetch.stop();
            if let Some(predictor) = predictor {
                predictor.stop();
            }
        });
        // They have said so themselves, if they could not end.
        let _ = stopping.await;
        self.learning.stop().await;
        self.catalog.close().await;
    }
}

/// Collects garbage in the data folder of a configuration. `None` when a server runs there: it has to be asked.
///
/// # Errors
/// When there is no data folder, or it cannot be used.
pub async fn collect_garbage(config: &Config, grace: Option<Duration>, dry_run: bool) -> Result<Option<Collected>, StartError> {
    let Some(catalog) = open_at_rest(config)? else { return Ok(None) };
    let data = &config.storage.data;
    let failed = |error: &dyn Display| at_rest_unusable(data, error);
    let content = ContentStore::open(data).map_err(|error| failed(&error))?;
    let collected = registry::collect_garbage(catalog.clone(), content, grace.unwrap_or(config.hosted.gc_grace), dry_run).await;
    catalog.close().await;
    collected.map(Some).map_err(|error| failed(&error))
}

/// Purges the cache in the data folder of a configuration, one selection after the other. `None` when a server runs there: it
/// has to be asked.
///
/// # Errors
/// When there is no data folder, it cannot be used, or a selection means nothing there; those before it are purged then.
pub async fn purge(config: &Config, selections: &[Selection], dry_run: bool) -> Result<Option<Vec<Purged>>, StartError> {
    let Some(catalog) = open_at_rest(config)? else { return Ok(None) };
    let metrics = Arc::new(Metrics::new());
    let tiers = open_tiers(&without_limits(&config.storage), None, &metrics)?;
    let identity = Identity { via: String::new(), region: String::new(), customer_header: String::new() };
    let origins = Origins { metrics, identity, handle: Handle::current() };
    let routes = origins.routes(config)?;
    let mut purged = Vec::with_capacity(selections.len());
    for selection in selections {
        let outcome = registry::purge(catalog.clone(), &tiers, &routes, selection, dry_run).await;
        purged.push(outcome.map_err(|error| StartError(error.message.to_string()))?);
    }
    catalog.close().await;
    Ok(Some(purged))
}

/// Opens the catalog where no server runs; `None` when one does.
fn open_at_rest(config: &Config) -> Result<Option<Arc<Catalog>>, StartError> {
    let data = &config.storage.data;
    if !data.join(CATALOG).exists() {
        return Err(StartError(format!("there is no catalog in {}; name the data folder with --data", data.display())));
    }
    match Catalog::open(&data.join(CATALOG)) {
        Ok(catalog) => Ok(Some(Arc::new(catalog))),
        Err(CatalogError::InUse) => Ok(None),
        Err(error) => Err(at_rest_unusable(data, &error)),
    }
}

/// The same storage, from which nothing is evicted: whoever looks after files may not know how much they may hold.
fn without_limits(storage: &config::Storage) -> config::Storage {
    let mut storage = config::Storage { scrub_rate: ByteSize::b(0), ..storage.clone() };
    for disk in &mut storage.disk {
        disk.limit = ByteSize::b(u64::MAX);
    }
    storage
}

fn at_rest_unusable(data: &Path, error: &dyn Display) -> StartError {
    StartError(format!("the data folder {} cannot be used: {error}", data.display()))
}

/// Opens what is durable. The catalog comes first: its lock keeps a second process away from the files.
fn open_storage(config: &Config, forecast: Option<Arc<Forecast>>, metrics: &Metrics) -> Result<Storage, StartError> {
    let folder = &config.storage.data;
    let failed = |error: &dyn Display| unusable(folder, error);
    make_private(folder).map_err(|error| failed(&error))?;
    let catalog = Catalog::open(&folder.join(CATALOG)).map_err(|error| failed(&error))?;
    let staging = Staging::open(folder).map_err(|error| failed(&error))?;
    let tiers = open_tiers(&config.storage, forecast, metrics)?;
    Ok(Storage { catalog: Arc::new(catalog), tiers: Arc::new(tiers), staging })
}

/// Opens the tiers, the bucket behind the disks included. What stays in them is what is forecast to be asked for again, or what was
/// asked for in the past.
fn open_tiers(storage: &config::Storage, forecast: Option<Arc<Forecast>>, metrics: &Metrics) -> Result<Tiers, StartError> {
    let failed = |error: std::io::Error| unusable(&storage.data, &error);
    for disk in &storage.disk {
        make_private(&disk.folder).map_err(|error| unusable_disk(&disk.folder, &error))?;
    }
    let rates: Arc<dyn Rates> = match forecast {
        Some(forecast) => forecast,
        None => Arc::new(DecayedCounts),
    };
    let hosted = ContentStore::open(&storage.data).map_err(failed)?;
    let tiers = Tiers::open_with(tier_settings(storage), hosted, rates).map_err(failed)?;
    let bucket = Bucket::connect(&storage.object).map_err(|error| StartError(format!("storage.object: {error}")))?;
    let Some(bucket) = bucket else { return Ok(tiers) };
    let object = ObjectTier::start(bucket, &storage.object, &storage.data, metrics, Handle::current()).map_err(failed)?;
    tiers.with_object(object).map_err(failed)
}

fn tier_settings(storage: &config::Storage) -> TierSettings {
    let kind = |class: DiskClass| match class {
        DiskClass::Any => TierName::Disk,
        DiskClass::Ssd => TierName::Ssd,
        DiskClass::Hdd => TierName::Hdd,
    };
    let slower = |position: usize| storage.disk.get(position + 1).map(|disk| kind(disk.class));
    let disks = storage.disk.iter().enumerate().map(|(position, disk)| DiskSettings {
        name: disk.name.clone(),
        kind: kind(disk.class),
        folder: disk.folder.clone(),
        limit: disk.limit.as_u64(),
        elsewhere: slower(position),
        size_exponent: storage.size_exponent as f32,
    });
    TierSettings {
        memory_limit: storage.memory.limit.as_u64(),
        memory_max_entry: storage.memory.max_entry.as_u64(),
        disks: disks.collect(),
        move_rate: storage.move_rate.as_u64(),
        scrub: ScrubSettings { rate: storage.scrub_rate.as_u64(), interval: storage.scrub_interval },
    }
}

fn unusable_disk(folder: &Path, error: &dyn Display) -> StartError {
    StartError(format!(
        "the folder {} of a disk tier cannot be used: {error}; choose another one in storage.disk",
        folder.display()
    ))
}

fn unusable(folder: &Path, error: &dyn Display) -> StartError {
    StartError(format!("the data folder {} cannot be used: {error}; choose another one with --data", folder.display()))
}

/// What is fetched with the operator's credentials is nobody else's business on this machine.
fn make_private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The ways to the upstreams of a configuration, for a program that serves nobody.
///
/// # Errors
/// When an upstream cannot be used as it is configured.
pub fn routes(config: &Config) -> Result<Routes, StartError> {
    Origins::of_nobody().routes(config)
}

/// The way to one upstream, for a program that serves nobody.
///
/// # Errors
/// When it cannot be used as it is configured.
pub fn origin(upstream: &config::Upstream) -> Result<HttpOrigin, StartError> {
    Origins::of_nobody().origin(upstream)
}

/// Makes the ways to upstreams.
#[derive(Debug)]
struct Origins {
    metrics: Arc<Metrics>,
    identity: Identity,
    handle: Handle,
}

impl Origins {
    fn of_nobody() -> Self {
        let via = format!("harbinger-{:016x}", fastrand::u64(..));
        let identity = Identity { via, region: String::new(), customer_header: String::new() };
        Self { metrics: Arc::new(Metrics::new()), identity, handle: Handle::current() }
    }

    fn origin(&self, upstream: &config::Upstream) -> Result<HttpOrigin, StartError> {
        HttpOrigin::new(upstream, &self.metrics, &self.identity, self.handle.clone())
            .map_err(|error| StartError(format!("upstream {}: {error}", upstream.name)))
    }

    fn routes(&self, config: &Config) -> Result<Routes, StartError> {
        let mut entries = Vec::with_capacity(config.upstream.len());
        for upstream in &config.upstream {
            let origin = self.origin(upstream)?;
            entries.push((upstream.clone(), Arc::new(origin) as Arc<dyn Origin>));
        }
        Routes::new(entries, config.hosted.prefixes.clone()).map_err(|error| StartError(error.to_string()))
    }
}
