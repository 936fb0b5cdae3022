//! One Harbinger of the demonstration, and its line to the origin.

use std::{error::Error, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::{REGISTRY, origin::Origin};
use crate::{
    app::App,
    config::{AccessLog, Config, Upstream},
    prefetch::Prefetch,
};

/// A running Harbinger, with an origin that nobody else pulls from through the same line.
#[derive(Debug)]
pub(super) struct Edge {
    origin: Origin,
    app: App,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Edges {
    /// In the first region. It tells `told` of what is pulled and of what has moved.
    pub(super) home: Edge,
    /// In the other region.
    pub(super) told: Edge,
    /// In the other region too; it is told nothing, and fetches nothing ahead.
    pub(super) untold: Edge,
}

impl Edge {
    /// Starts one on the folder `data`: as anybody would run it, but for a port of its own, an impatient grace time, and what
    /// `change` makes of its configuration.
    ///
    /// # Errors
    /// When it cannot start.
    pub(super) async fn start(origin: Origin, data: PathBuf, change: impl FnOnce(&mut Config)) -> Result<Self, Box<dyn Error>> {
        let mut upstream = Upstream::new(REGISTRY);
        upstream.url = Some(format!("http://{}", origin.address()).parse()?);
        let mut config = Config { upstream: vec![upstream], ..Config::default() };
        config.server.listen.set_port(0);
        config.server.shutdown_grace = Duration::from_secs(1);
        config.storage.data = data;
        config.logging.access = AccessLog::Off;
        // What reaches the origin is counted: it is asked because somebody pulls, or was told.
        config.watch.enabled = false;
        change(&mut config);
        let app = App::start(config).await?;
        Ok(Self { origin, app })
    }

    /// Where machines pull from it.
    pub(super) fn address(&self) -> SocketAddr {
        self.app.address()
    }

    /// Its end of the way to the origin.
    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Who fetches what is expected there.
    pub(super) const fn prefetch(&self) -> &Arc<Prefetch> {
        self.app.prefetch()
    }

    async fn stop(mut self) {
        self.app.stop().await;
        self.origin.stop().await;
    }
}

impl Edges {
    /// The origin dies for all of them.
    pub(super) async fn lose_origin(&mut self) {
        for edge in [&mut self.home, &mut self.told, &mut self.untold] {
            edge.origin.stop().await;
        }
    }

    /// Stops all of them.
    pub(super) async fn stop(self) {
        tokio::join!(self.home.stop(), self.told.stop(), self.untold.stop());
    }
}
