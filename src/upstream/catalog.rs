//! The repositories of a registry.

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::{
    UpstreamError,
    exchange::{Ask, Exchange},
    links::{ListBounds, Pages},
    operation::Operation,
    scope::Scope,
};

impl Exchange {
    /// See [`super::HttpOrigin::repositories`].
    pub(super) async fn repositories(&self, told: &HeaderMap) -> Result<Vec<String>, UpstreamError> {
        let url = self.url_below_v2("_catalog");
        let ask =
            Ask { operation: Operation::Catalog, method: Method::GET, url, scope: Scope::Catalog, accept: None, from: 0, told };
        let mut pages = Pages::new(self, ask, ListBounds::WIDE);
        let mut names = Vec::new();
        while let Some(page) = pages.next().await? {
            let entries = match page.get("repositories") {
                None | Some(Value::Null) => &[][..],
                Some(Value::Array(entries)) => entries,
                Some(_) => return Err(self.bad_answer("sent a list of repositories without an array")),
            };
            pages.count(entries.len())?;
            for entry in entries {
                let Value::String(name) = entry else {
                    return Err(self.bad_answer("sent a list of repositories with something else than names in it"));
                };
                names.push(name.clone());
            }
        }
        Ok(names)
    }
}
