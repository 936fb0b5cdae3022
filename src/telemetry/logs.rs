//! Messages on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// The log of this process; lets the level change while running.
#[derive(Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Why messages cannot be written as wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("logging: {0}")]
pub struct LogError(String);

impl Logs {
    /// Starts writing messages: a level or `target=level` pairs tell which, `json` whether as JSON objects or as text.
    ///
    /// # Errors
    /// A level that is none, or a log that is started already: there is one in a process.
    pub fn start(level: &str, json: bool) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(parse(level)?);
        let lines = fmt::layer().with_writer(io::stderr);
        let lines = if json { lines.json().boxed() } else { lines.with_ansi(io::stderr().is_terminal()).boxed() };
        let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
        started.map_err(|error| LogError(error.to_string()))?;
        Ok(Self { filter: handle })
    }

    /// Changes which messages are written; on an error nothing changes.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        self.filter.reload(parse(level)?).map_err(|error| LogError(error.to_string()))
    }
}

fn parse(level: &str) -> Result<EnvFilter, LogError> {
    // What the HTTP server tells of its threads is for those who ask for more than the usual.
    let level = if level == "info" { "info,actix_server=warn" } else { level };
    EnvFilter::try_new(level).map_err(|error| LogError(format!("'{level}' is no level: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        assert!(parse("info").is_ok() && parse("warn,harbinger::upstream=debug").is_ok());
        assert!(
            parse("harbinger=loud").is_err_and(|error| error.to_string().starts_with("logging: 'harbinger=loud' is no level"))
        );
    }
}
