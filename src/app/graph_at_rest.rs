//! Questions to the graph where no server runs.

use std::sync::Arc;

use super::{GRAPH, StartError, at_rest_unusable, make_private, routes, unusable};
use crate::{
    api,
    config::Config,
    graph::{Graph, GraphError},
    upstream::Routes,
};

/// What a server has left of its graph in a data folder.
#[derive(Debug)]
pub struct GraphAtRest {
    graph: Arc<Graph>,
    routes: Routes,
}

impl GraphAtRest {
    /// Opens the graph of a configuration. `None` when a server has it open: it has to be asked.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(config: &Config) -> Result<Option<Self>, StartError> {
        Self::of(config, Graph::at_rest(&config.storage.data.join(GRAPH)))
    }

    /// As [`Self::open`], but makes the graph, and the data folder, if there is none.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn open_or_new(config: &Config) -> Result<Option<Self>, StartError> {
        let data = &config.storage.data;
        make_private(data).map_err(|error| unusable(data, &error))?;
        Self::of(config, Graph::at_rest_or_new(&data.join(GRAPH)))
    }

    fn of(config: &Config, opened: Result<Graph, GraphError>) -> Result<Option<Self>, StartError> {
        match opened {
            Ok(graph) => Ok(Some(Self { graph: Arc::new(graph), routes: routes(config)? })),
            Err(GraphError::InUse) => Ok(None),
            Err(error) => Err(at_rest_unusable(&config.storage.data, &error)),
        }
    }

    /// The graph itself.
    pub const fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The upstreams of the configuration.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The answer to a question, which is a path of the API with its query, as a server would give it to its operator.
    ///
    /// # Errors
    /// What a server would say against it.
    pub fn answer(&self, target: &str) -> Result<serde_json::Value, StartError> {
        api::answer_at_rest(self.graph.clone(), &self.routes, target).map_err(StartError)
    }
}
