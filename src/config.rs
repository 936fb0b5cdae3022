//! The configuration: one file per section, each field with its meaning, unit and default.
//!
//! Sources, strongest first: command-line flags, environment, file, defaults.

mod cache;
mod customer;
mod demand_log;
mod environment;
mod error;
mod file;
mod graph;
mod hosted;
mod load;
mod logging;
mod names;
mod network;
mod notifications;
mod object;
mod pattern;
mod prefetch;
mod redirect;
mod reference;
mod restart;
mod rule;
mod server;
mod size;
mod storage;
mod upstream;
mod validate;
mod watch;

pub use cache::{Cache, OnDelete};
pub use customer::Customer;
pub use demand_log::{DemandLog, Privacy};
pub use error::{ConfigError, Place};
pub use graph::Graph;
pub use hosted::{Hosted, MissingReferences};
pub use load::{Flags, Sources, load};
pub use logging::{AccessLog, Logging};
pub use names::{DOCKER_HUB, InvalidNames, Names, normal};
pub use network::{InvalidNetwork, Network};
pub use notifications::{Notifications, Notify};
pub use object::{Cloud, Object};
pub use pattern::{InvalidPattern, Named, Pattern};
pub use prefetch::Prefetch;
pub use redirect::{CdnSigning, Redirect, RedirectMode};
pub use reference::{Key, Kind, reference, reference_page};
pub use rule::Rule;
pub use server::Server;
pub use storage::{Disk, DiskClass, Memory, Storage};
pub use upstream::{Mode, Upstream, UpstreamKind};
pub use watch::Watch;

use serde::{Deserialize, Serialize};

/// The whole configuration. Unknown keys are errors in every section.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The listener and its limits.
    pub server: Server,
    /// Freshness of tags, lists and absences.
    pub cache: Cache,
    /// Repositories that are pushed to.
    pub hosted: Hosted,
    /// Where bytes and rows live.
    pub storage: Storage,
    /// Which clients are sent to the object store.
    pub redirect: Redirect,
    /// What is written about requests.
    pub logging: Logging,
    /// The layer graph.
    pub graph: Graph,
    /// What is kept of requests, for learning.
    pub demand_log: DemandLog,
    /// What may be fetched before it is asked for.
    pub prefetch: Prefetch,
    /// Looking whether tags have moved.
    pub watch: Watch,
    /// Who may tell that something has moved.
    pub notifications: Notifications,
    /// Other edges that are told.
    pub notify: Vec<Notify>,
    /// Customers who count otherwise than the rest.
    pub customer: Vec<Customer>,
    /// The registries that are mirrored, in order; the first one is the default. Never empty once loaded: without any, the
    /// well-known public registries are mirrored.
    pub upstream: Vec<Upstream>,
}
