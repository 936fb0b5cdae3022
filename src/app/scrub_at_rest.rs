//! A scrub where no server runs.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{StartError, open_at_rest, open_tiers, without_limits};
use crate::{
    catalog::Catalog,
    config::{self, Config},
    telemetry::Metrics,
    tiers::{Scrubber, Tiers},
};

/// The files of a data folder, opened to be scrubbed and nothing else. Keeps servers away from them.
#[derive(Debug)]
pub struct ScrubAtRest {
    catalog: Arc<Catalog>,
    tiers: Tiers,
}

impl ScrubAtRest {
    /// Opens the files of a configuration. `None` when a server runs there: it has to be asked.
    ///
    /// # Errors
    /// When there is no data folder, or it cannot be used.
    pub fn open(config: &Config) -> Result<Option<Self>, StartError> {
        let Some(catalog) = open_at_rest(config)? else { return Ok(None) };
        // Nothing is uploaded either.
        let storage = config::Storage { object: config::Object::default(), ..without_limits(&config.storage) };
        let tiers = open_tiers(&storage, None, &Metrics::new())?;
        tiers.scrubber().start(&Handle::current());
        Ok(Some(Self { catalog, tiers }))
    }

    /// Who scrubs.
    pub const fn scrubber(&self) -> &Scrubber {
        self.tiers.scrubber()
    }

    /// Lets servers in again.
    pub async fn close(self) {
        self.catalog.close().await;
    }
}
