//! Who is asked, and how.

use std::{error::Error, path::PathBuf};

use clap::Args;
use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};
use url::form_urlencoded::Serializer;

use super::super::{environment, operator};
use crate::{
    app::GraphAtRest,
    config::{self, Flags, Sources},
};

/// Which graph, and how its answer is told.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// The server's folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Which part of a long answer.
#[derive(Debug, Args)]
pub(super) struct Part {
    /// How many at most, up to 1,000
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    /// How many of the first are left out
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    offset: usize,
}

/// A question, as the API has it.
pub(super) struct Target {
    question: &'static str,
    query: Serializer<'static, String>,
}

impl Target {
    pub(super) fn new(question: &'static str) -> Self {
        Self { question, query: Serializer::new(String::new()) }
    }

    /// Adds a parameter, if it has a value.
    pub(super) fn with(mut self, name: &str, value: impl Into<Option<String>>) -> Self {
        if let Some(value) = value.into() {
            self.query.append_pair(name, &value);
        }
        self
    }

    pub(super) fn part(self, part: Part) -> Self {
        self.with("limit", part.limit.to_string()).with("offset", part.offset.to_string())
    }

    fn path(mut self) -> String {
        format!("/api/v1/graph/{}?{}", self.question, self.query.finish())
    }
}

impl Source {
    /// Asks the server that runs on the data folder, or what it has left there, and tells the answer.
    pub(super) async fn tell<T: Serialize + DeserializeOwned>(
        self,
        target: Target,
        print: impl FnOnce(&T),
    ) -> Result<(), Box<dyn Error>> {
        let flags = Flags { data: self.data, ..Flags::default() };
        let config = config::load(Sources { file: self.config, environment: environment(), flags })?;
        let path = target.path();
        let answer: T = match GraphAtRest::open(&config)? {
            Some(graph) => serde_json::from_value(graph.answer(&path)?)?,
            None => operator::ask(&config.storage.data, Method::GET, &path).await?,
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
        } else {
            print(&answer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_path_of_the_api() {
        let target = Target::new("shares").with("of", "a/b:1@x".to_owned()).with("platform", None);
        let target = target.part(Part { limit: 5, offset: 6 });
        assert_eq!(target.path(), "/api/v1/graph/shares?of=a%2Fb%3A1%40x&limit=5&offset=6");
    }
}
