//! Whose graph: that of a running server, or what it has left.

use std::{error::Error, path::PathBuf, sync::Arc};

use clap::Args;

use super::super::environment;
use crate::{
    app::GraphAtRest,
    config::{self, Config, Flags, Sources},
    graph::Graph,
};

/// Which graph.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// The server's folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Who has the graph.
#[derive(Debug, Clone)]
pub(super) enum Holder {
    /// The server that runs on this folder.
    Server(PathBuf),
    /// This process.
    Here(Arc<Graph>),
}

impl Place {
    pub(super) fn config(&self) -> Result<Config, Box<dyn Error>> {
        let flags = Flags { data: self.data.clone(), ..Flags::default() };
        Ok(config::load(Sources { file: self.config.clone(), environment: environment(), flags })?)
    }
}

impl Holder {
    /// Who has the graph of a configuration.
    pub(super) fn of(config: &Config) -> Result<Self, Box<dyn Error>> {
        Ok(Self::whoever(GraphAtRest::open(config)?, config))
    }

    /// As [`Self::of`]; where there is no graph and no server, one is made.
    pub(super) fn of_or_new(config: &Config) -> Result<Self, Box<dyn Error>> {
        Ok(Self::whoever(GraphAtRest::open_or_new(config)?, config))
    }

    fn whoever(here: Option<GraphAtRest>, config: &Config) -> Self {
        match here {
            Some(graph) => Self::Here(graph.graph().clone()),
            None => Self::Server(config.storage.data.clone()),
        }
    }

    /// Lets go of the graph; what was changed is durable then.
    pub(super) async fn end(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Server(_) => Ok(()),
            Self::Here(graph) => Ok(graph.stop().await?),
        }
    }
}
