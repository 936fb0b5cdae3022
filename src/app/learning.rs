//! Whatever learns from what happens: the bus and who hears it. Nothing of it is needed to serve.

mod recall;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{GRAPH, MODELS, StartError, make_private};
use crate::{
    catalog::Catalog,
    config::{Config, Privacy},
    events::{
        Bus, DroppedCollector, Event, InProcess, What,
        log::{DemandLog, DemandLogSettings, Pseudonyms},
    },
    graph::Graph,
    predict::{self, Budget, Forecast, Predictor, PredictorSettings},
    prefetch::{Naming, Prefetch},
    registry::Registry,
    telemetry::Metrics,
    tiers::Tiers,
};

/// Events that wait for the graph at most.
const GRAPH_QUEUE: usize = 65_536;

/// Events that wait for the predictor at most.
const PREDICTOR_QUEUE: usize = 65_536;

/// The bus and its subscribers.
#[derive(Debug)]
pub(super) struct Learning {
    pub(super) bus: Arc<InProcess>,
    pub(super) pseudonyms: Pseudonyms,
    pub(super) graph: Option<Arc<Graph>>,
    log: Option<Arc<DemandLog>>,
}

impl Learning {
    /// Begins to hear. What cannot be kept is no reason not to serve.
    pub(super) fn start(config: &Config, catalog: &Arc<Catalog>, tiers: &Tiers, metrics: &Metrics) -> Result<Self, StartError> {
        let bus = Arc::new(InProcess::default());
        metrics.register(|registry| registry.register_collector(Box::new(DroppedCollector(bus.clone()))));
        let listener = bus.clone();
        tiers.on_evicted(move |digest| {
            if listener.has_subscribers() {
                listener.publish(Event::now(What::BlobEvicted { digest: *digest }));
            }
        });
        let graph = config.graph.enabled.then(|| open_graph(config, catalog, &bus, metrics)).transpose()?;
        let folder = DemandLogSettings::folder_in(&config.storage.data);
        if config.demand_log.privacy != Privacy::Off {
            match keep_log(config, &folder, &bus, metrics) {
                Ok((log, pseudonyms)) => return Ok(Self { bus, pseudonyms, graph, log: Some(Arc::new(log)) }),
                Err(error) => tracing::error!(folder = %folder.display(), %error, "there is no demand log in this run"),
            }
        }
        let pseudonyms = Pseudonyms::forgotten().map_err(|error| StartError(format!("no randomness can be had: {error}")))?;
        Ok(Self { bus, pseudonyms, graph, log: None })
    }

    /// Tells the graph, behind, what it lacks of what the registry knows.
    pub(super) fn recall(&self, registry: &Arc<Registry>) {
        if let Some(graph) = &self.graph {
            recall::start(graph, registry);
        }
    }

    /// Where the demand log is kept, if it is.
    pub(super) fn log_folder(&self, config: &Config) -> Option<PathBuf> {
        self.log.as_ref().map(|_| DemandLogSettings::folder_in(&config.storage.data))
    }

    /// How customers may be called in what is written down.
    pub(super) fn naming(&self, config: &Config) -> Naming {
        match config.demand_log.privacy {
            Privacy::Full => Naming::Full,
            Privacy::Hashed if self.log.is_some() => Naming::Hashed(self.pseudonyms.clone()),
            Privacy::Hashed | Privacy::Off => Naming::None,
        }
    }

    /// Begins to offer what is expected.
    pub(super) fn predict(
        &self,
        config: &Config,
        forecast: Arc<Forecast>,
        prefetch: &Arc<Prefetch>,
    ) -> Result<Arc<Predictor>, StartError> {
        let model = config.prefetch.model.as_deref().map(predict::given).transpose();
        let model = model.map_err(|error| StartError(format!("prefetch.model: {error}")))?;
        let settings = PredictorSettings {
            region: config.server.region.as_str().into(),
            log: self.log_folder(config),
            pseudonyms: (config.demand_log.privacy == Privacy::Hashed && self.log.is_some()).then(|| self.pseudonyms.clone()),
            models: config.storage.data.join(MODELS),
            budget: budget(config),
            model,
        };
        let (events, prefetch) = (self.bus.subscribe("predictor", PREDICTOR_QUEUE), prefetch.clone());
        let predictor = Predictor::start(settings, forecast, events, move |expected| prefetch.offer(expected));
        predictor.map(Arc::new).map_err(|error| StartError(format!("no thread can be started: {error}")))
    }

    /// Keeps what has been told so far, and ends.
    pub(super) async fn stop(&self) {
        if let Some(log) = self.log.clone()
            && tokio::task::spawn_blocking(move || log.stop()).await.is_err()
        {
            tracing::error!("the demand log could not be ended");
        }
        if let Some(graph) = &self.graph
            && let Err(error) = graph.stop().await
        {
            tracing::warn!(%error, "the last that the graph has learned is lost");
        }
    }
}

/// What may be fetched before it is asked for.
pub(super) fn budget(config: &Config) -> Budget {
    Budget { share: config.prefetch.share, floor: config.prefetch.floor.as_u64() }
}

fn open_graph(config: &Config, catalog: &Arc<Catalog>, bus: &InProcess, metrics: &Metrics) -> Result<Arc<Graph>, StartError> {
    let (file, events) = (config.storage.data.join(GRAPH), bus.subscribe("graph", GRAPH_QUEUE));
    let graph = Graph::open(&file, &config.graph, events, catalog.clone(), metrics);
    graph.map(Arc::new).map_err(|error| StartError(format!("the graph cannot be opened: {error}")))
}

fn keep_log(config: &Config, folder: &Path, bus: &InProcess, metrics: &Metrics) -> io::Result<(DemandLog, Pseudonyms)> {
    make_private(folder)?;
    let pseudonyms = Pseudonyms::kept_in(folder)?;
    let (folder, config) = (folder.to_owned(), config.demand_log.clone());
    let settings = DemandLogSettings { folder, config, pseudonyms: pseudonyms.clone() };
    let log = DemandLog::keep(settings, bus.subscribe("demand-log", DemandLog::QUEUE), metrics)?;
    Ok((log, pseudonyms))
}
