//! What refers to a manifest.

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::{
    UpstreamError, UpstreamErrorKind,
    exchange::{Ask, Exchange},
    links::{ListBounds, Pages},
    operation::Operation,
};
use crate::oci::{Digest, MediaType, Reference, RepositoryName, Tag};

impl Exchange {
    /// See [`super::Origin::referrers`].
    pub(super) async fn referrers(
        &self,
        told: &HeaderMap,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Value>, UpstreamError> {
        let ask = Ask {
            operation: Operation::Referrers,
            method: Method::GET,
            url: self.url(name, &format!("referrers/{subject}")),
            scope: name.into(),
            accept: Some(MediaType::OCI_INDEX),
            from: 0,
            told,
        };
        let mut pages = Pages::new(self, ask, ListBounds::WIDE);
        // Registries without the API answer 404, 405, or 200 with a page for people.
        let first = match pages.next().await {
            Ok(page) => page.and_then(manifests_of),
            Err(error) if matches!(error.kind, UpstreamErrorKind::NotFound | UpstreamErrorKind::BadAnswer) => None,
            Err(error) => return Err(error),
        };
        let Some(mut descriptors) = first else {
            return self.referrers_by_tag(told, name, subject).await;
        };
        pages.count(descriptors.len())?;
        while let Some(page) = pages.next().await? {
            let more =
                manifests_of(page).ok_or_else(|| self.bad_answer("sent a page of referrers that is not an image index"))?;
            pages.count(more.len())?;
            descriptors.extend(more);
        }
        Ok(descriptors)
    }

    /// The referrers tag schema: an index under a tag made from the digest.
    async fn referrers_by_tag(
        &self,
        told: &HeaderMap,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Value>, UpstreamError> {
        match self.manifest(told, name, &Reference::Tag(Tag::of_referrers(subject))).await {
            Ok(manifest) => Ok(serde_json::from_slice(&manifest.bytes).ok().and_then(manifests_of).unwrap_or_default()),
            Err(error) if error.kind == UpstreamErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The descriptors of an index; `None` when it is none.
fn manifests_of(document: Value) -> Option<Vec<Value>> {
    let Value::Object(mut document) = document else { return None };
    match document.remove("manifests")? {
        Value::Array(descriptors) => Some(descriptors.into_iter().filter(Value::is_object).collect()),
        // Written by servers that encode an empty list of Go.
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}
