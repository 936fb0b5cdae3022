//! The tags of a repository.

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::{
    UpstreamError,
    exchange::{Ask, Exchange},
    links::{ListBounds, Pages},
    operation::Operation,
};
use crate::oci::RepositoryName;

impl Exchange {
    /// See [`super::Origin::tags_within`].
    pub(super) async fn tags(
        &self,
        told: &HeaderMap,
        name: &RepositoryName,
        bounds: ListBounds,
    ) -> Result<Vec<String>, UpstreamError> {
        let url = self.url(name, "tags/list");
        let ask = Ask { operation: Operation::Tags, method: Method::GET, url, scope: name.into(), accept: None, from: 0, told };
        let mut pages = Pages::new(self, ask, bounds);
        let mut tags = Vec::new();
        while let Some(page) = pages.next().await? {
            let Value::Object(mut page) = page else {
                return Err(self.bad_answer("sent a tag list that is not an object"));
            };
            // Old registries say null, or nothing, when there are none.
            let entries = match page.remove("tags") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(entries)) => entries,
                Some(_) => return Err(self.bad_answer("sent a tag list without an array of tags")),
            };
            pages.count(entries.len())?;
            for entry in entries {
                let Value::String(tag) = entry else {
                    return Err(self.bad_answer("sent a tag list with something else than names in it"));
                };
                tags.push(tag);
            }
        }
        Ok(tags)
    }
}
