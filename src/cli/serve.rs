//! `harbinger serve`

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use url::Url;

use super::{environment, failure};
use crate::{
    app::App,
    config::{self, Config, ConfigError, Flags, Sources},
    telemetry::Logs,
};

/// Run the cache
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger serve
      Mirrors the well-known public registries on 127.0.0.1:5000.
  harbinger serve --listen 0.0.0.0:5000 --data /var/lib/harbinger
      The same, for other machines too.
  harbinger serve --upstream docker.io=https://registry-1.docker.io --upstream registry.example=http://10.0.0.7:5000
      Mirrors these two. Clients that name no registry mean the first.
  harbinger serve --config harbinger.toml
      Reads a file. Flags and HARBINGER_ variables go before what it says.

Signals: HUP reads the configuration again; TERM and INT stop after the answers under way, a second one at once.")]
pub struct Serve {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// An ONNX model that says what is likely to be asked for, instead of what is learned here; see examples/train
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// A registry to mirror, instead of those that are configured; may be given several times, the first is the default
    #[arg(long = "upstream", value_name = "NAME=URL", value_parser = upstream)]
    upstreams: Vec<(String, Url)>,
}

fn upstream(text: &str) -> Result<(String, Url), String> {
    let (name, url) = text.split_once('=').ok_or("must be NAME=URL, for example docker.io=https://registry-1.docker.io")?;
    let url = url.parse().map_err(|error| format!("what follows '=' is no URL: {error}"))?;
    Ok((name.to_owned(), url))
}

impl Serve {
    pub(super) async fn run(self) -> ExitCode {
        let config = match self.load() {
            Ok(config) => config,
            Err(error) => return failure(error),
        };
        let logs = match Logs::start(&config.logging.level, config.logging.json) {
            Ok(logs) => logs,
            Err(error) => return failure(error),
        };
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return failure(format_args!("signals cannot be received: {error}")),
        };
        let app = tokio::select! {
            app = App::start(config.clone()) => app,
            () = signals.stop() => return ExitCode::SUCCESS,
        };
        let app = match app {
            Ok(app) => app,
            Err(error) => return failure(error),
        };
        eprintln!("{}", welcome(&config, app.address()));
        while signals.reload().await {
            self.reload(&app, &logs);
        }
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            () = app.stop() => ExitCode::SUCCESS,
            () = signals.stop() => ExitCode::FAILURE,
        }
    }

    fn load(&self) -> Result<Config, ConfigError> {
        let flags =
            Flags { listen: self.listen, data: self.data.clone(), model: self.model.clone(), upstreams: self.upstreams.clone() };
        config::load(Sources { file: self.config.clone(), environment: environment(), flags })
    }

    /// Takes over a changed configuration, or keeps the old one as a whole.
    fn reload(&self, app: &App, logs: &Logs) {
        let config = match self.load() {
            Ok(config) => config,
            Err(error) => return tracing::error!(%error, "configuration not reloaded, the old one stays in force"),
        };
        let level = config.logging.level.clone();
        match app.reload(config).map(|restart| (restart, logs.set_level(&level))) {
            Err(error) => tracing::error!(%error, "configuration not reloaded, the old one stays in force"),
            Ok((_, Err(error))) => tracing::error!(%error, "configuration reloaded, except for logging.level"),
            Ok((restart, Ok(()))) if restart.is_empty() => tracing::info!("configuration reloaded"),
            Ok((restart, Ok(()))) => {
                tracing::warn!(keys = restart.join(", "), "configuration reloaded, but some keys need a restart");
            }
        }
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for a request to reload, `true`, or to stop.
    async fn reload(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = self.hangup.recv() => true,
        }
    }

    /// Waits for a request to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Where it is, what it does, and how to use it.
fn welcome(config: &Config, address: SocketAddr) -> String {
    let upstreams: Vec<&str> = config.upstream.iter().map(|upstream| upstream.name.as_str()).collect();
    let reachable = reachable(address);
    let elsewhere = if reachable == address { "" } else { " (on other machines with this machine's address)" };
    format!(
        "harbinger {version} listens on http://{address}, keeps its data in {data} and mirrors {upstreams} (the first is the \
         default).\nFor containerd, write into /etc/containerd/certs.d/_default/hosts.toml{elsewhere}:\n\n\
         [host.\"http://{reachable}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
        version = env!("CARGO_PKG_VERSION"),
        data = config.storage.data.display(),
        upstreams = upstreams.join(", "),
    )
}

/// An address to connect to: nobody can connect to "all addresses".
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    #[test]
    fn flags_reach_the_configuration() {
        let line =
            ["x", "--listen", "[::1]:7", "--data", "/d", "--upstream", "a.io=http://127.0.0.1:1", "--upstream", "b=http://b?"];
        let serve = Line::try_parse_from(line).unwrap().serve;
        assert_eq!(serve.listen, Some("[::1]:7".parse().unwrap()));
        assert_eq!(serve.data, Some("/d".into()));
        let upstreams: Vec<_> = serve.upstreams.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
        assert_eq!(upstreams, [("a.io", "http://127.0.0.1:1/"), ("b", "http://b/?")]);
        assert_eq!(serve.load().expect_err("a query").to_string(), "--upstream: upstream[1].url: must hold neither '?' nor '#'");
    }

    #[test]
    fn wrong_flags_are_explained() {
        for (flag, value, expected) in [
            ("--upstream", "docker.io", "must be NAME=URL"),
            ("--upstream", "docker.io=registry-1", "what follows '=' is no URL"),
            ("--listen", "localhost", "invalid socket address"),
        ] {
            let error = Line::try_parse_from(["x", flag, value]).expect_err(value).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_welcome_can_be_pasted() {
        let mut config = Config { upstream: ["a.io", "b.io"].map(config::Upstream::new).into(), ..Config::default() };
        config.storage.data = "/data".into();
        let text = welcome(&config, "0.0.0.0:5000".parse().unwrap());
        assert!(text.contains("listens on http://0.0.0.0:5000, keeps its data in /data and mirrors a.io, b.io (the first is"));
        let (_, snippet) = text.split_once("\n\n").unwrap();
        let snippet: toml::Table = snippet.parse().unwrap();
        let host = snippet["host"].get("http://127.0.0.1:5000").unwrap();
        assert_eq!(host["capabilities"].as_array().unwrap().len(), 2);
        assert!(welcome(&config, "[::1]:5000".parse().unwrap()).contains("[host.\"http://[::1]:5000\"]"));
    }
}
