//! `harbinger demo`: what a pull-through cache does, shown and measured without a network.

mod edge;
mod images;
mod origin;
mod pull;
mod report;
mod scenes;
mod scratch;

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytesize::ByteSize;
use clap::Args;
use secrecy::SecretString;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, Notify};
use edge::{Edge, Edges};
use images::Images;
use origin::{Line, Origin};
use report::Report;
use scenes::Manner;
use scratch::Scratch;

/// The name under which the demonstration's origin is mirrored.
const REGISTRY: &str = "docker.io";

/// Show what Harbinger does, in about fifteen seconds and without a network.
///
/// Starts a small registry (the origin) on the loopback interface, puts an emulated long-distance line in front of it, starts
/// Harbinger on another port, and pulls images through it: cold, warm, with many machines at once, and with the origin dead.
/// Two more Harbingers play another region, each behind such a line of its own. One is told by the first of a new version that is
/// pulled there, and fetches what is new of it before anybody asks; the other is told nothing.
/// Every digest is verified; every figure in the table is measured.
///
/// Needs no configuration. Uses a temporary folder and removes it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger demo                                      the usual tour
  harbinger demo --quick                              smaller images, about five seconds
  harbinger demo --clients 200                        a larger crowd
  harbinger demo --latency 150ms --bandwidth 2MB      an origin on another continent

Exits with 0 when every pull was complete and every digest was right.")]
pub struct Demo {
    /// Machines that pull the same image at the same moment.
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub clients: u16,

    /// Round-trip time to the origin: how long each request waits for the head of its answer.
    #[arg(long, default_value = "40ms", value_name = "TIME", value_parser = latency)]
    pub latency: Duration,

    /// Bytes per second that the origin can send, all connections together. The default is a line of 100 Mbit/s.
    #[arg(long, default_value = "12.5MB", value_name = "BYTES", value_parser = bandwidth)]
    pub bandwidth: ByteSize,

    /// Images on a common base that are pulled one after the other.
    #[arg(long, default_value_t = 4, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=20))]
    pub images: u8,

    /// Use images a tenth of the usual size.
    #[arg(long)]
    pub quick: bool,
}

impl Demo {
    /// Plays the demonstration and prints the table. Leaves nothing behind, interrupted or not.
    ///
    /// # Errors
    /// When a server cannot start, a pull fails, a digest is wrong, or it is interrupted.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        // Before there is anything to leave behind.
        let mut signals = Signals::listen()?;
        let bandwidth = self.bandwidth.as_u64();
        let shrink = if self.quick { 10 } else { 1 };
        let images = Arc::new(Images::generate(self.images.into(), shrink));
        let scratch = Scratch::new()?;
        let mut edges = self.edges(&images, scratch.path()).await?;
        say(&self.introduction(&edges))?;

        let manner = self.manner(&images);
        let result: Result<_, Box<dyn Error>> = tokio::select! {
            played = scenes::play(&images, &mut edges, manner) => played.map_err(Into::into),
            () = signals.stop() => Err("interrupted".into()),
        };
        edges.stop().await;
        drop(scratch);
        say(&Report { scenes: result?, bandwidth }.to_string())?;
        Ok(())
    }

    /// Starts one Harbinger in the first region and two in another one.
    async fn edges(&self, images: &Arc<Images>, data: &Path) -> Result<Edges, Box<dyn Error>> {
        let line = || Origin::start(Arc::clone(images), Line::new(self.latency, self.bandwidth.as_u64()));
        let secret = SecretString::from(format!("{:032x}", fastrand::u128(..)));
        let told = Edge::start(line().await?, data.join("told"), |config| {
            self.configure(config, "far");
            config.notifications.secret = Some(secret.clone());
        });
        let told = told.await?;
        let untold = Edge::start(line().await?, data.join("untold"), |config| {
            self.configure(config, "far");
            config.prefetch.enabled = false;
        });
        let untold = untold.await?;
        let notify = Notify { url: format!("http://{}/api/v1/notifications", told.address()).parse()?, secret: Some(secret) };
        let home = Edge::start(line().await?, data.join("home"), |config| {
            self.configure(config, "home");
            config.notify = vec![notify];
        });
        Ok(Edges { home: home.await?, told, untold })
    }

    /// What all have in common.
    fn configure(&self, config: &mut Config, region: &str) {
        config.server.region = region.to_owned();
        config.cache.tag_ttl = self.tag_ttl();
        // The line is as slow as it was wished to be: an old answer is no way out.
        config.cache.stale_patience += 4 * self.latency;
    }

    /// Long enough to stay fresh from the cold scene to the warm one, short enough to be waited out before the last.
    const fn tag_ttl(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 5 })
    }

    fn manner(&self, images: &Images) -> Manner {
        let new = images.size(images.versions.novel());
        let on_the_line = Duration::from_secs_f64(new as f64 / self.bandwidth.as_u64() as f64);
        Manner {
            clients: self.clients.into(),
            tag_ttl: self.tag_ttl(),
            // It is told within a second, and asks for the tag, the index, the manifest and the layers, one after the other.
            patience: Duration::from_secs(15) + 10 * self.latency + 3 * on_the_line,
        }
    }

    fn introduction(&self, edges: &Edges) -> String {
        let latency = humantime_serde::re::humantime::format_duration(self.latency);
        let bandwidth = self.bandwidth.display().si();
        format!(
            "Origin     a registry on {}, behind an emulated line: {latency} per request, {bandwidth}/s in all\n\
             Harbinger  on {}, with an empty cache\n\
             Elsewhere  on {}, told by it, and on {}, not told; each behind such a line of its own\n\n",
            edges.home.origin().address(),
            edges.home.address(),
            edges.told.address(),
            edges.untold.address(),
        )
    }
}

/// Writes to standard output. `harbinger demo | head` is no failure.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Requests to stop, also those that come before anybody waits for them.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn latency(text: &str) -> Result<Duration, String> {
    let latency = humantime_serde::re::humantime::parse_duration(text).map_err(|error| format!("{error}; write 40ms or 0s"))?;
    if latency > Duration::from_secs(5) { Err("more than 5s would outlast the demonstration".to_owned()) } else { Ok(latency) }
}

fn bandwidth(text: &str) -> Result<ByteSize, String> {
    let bandwidth: ByteSize = text.parse().map_err(|error| format!("{error}; write 12.5MB or 2MiB"))?;
    if bandwidth < ByteSize::kb(100) { Err("less than 100kB would outlast the demonstration".to_owned()) } else { Ok(bandwidth) }
}

#[cfg(test)]
mod tests;
