//! Manifests, by tag or digest.

use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};

use super::{
    FetchedManifest, ManifestHead, UpstreamError,
    body::content_length,
    exchange::{Ask, Exchange},
    operation::Operation,
    retry::may_pass,
};
use crate::oci::{Digest, MAX_MANIFEST_BYTES, MediaType, Reference, RepositoryName};

const DIGEST: &str = "docker-content-digest";

impl Exchange {
    /// See [`super::Origin::manifest`].
    pub(super) async fn manifest(
        &self,
        told: &HeaderMap,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<FetchedManifest, UpstreamError> {
        let ask = self.ask_manifest(Operation::GetManifest, Method::GET, told, name, reference);
        let mut may_try_again = self.retries > 0;
        loop {
            let answer = self.ask(&ask).await?;
            if answer.response.status() != StatusCode::OK {
                let status = answer.response.status().as_u16();
                return Err(self.bad_answer(&format!("answered a request for a manifest with status {status}")));
            }
            let content_type = self.content_type(answer.response.headers())?;
            let stale = self.telling.staleness(answer.response.headers());
            match self.incoming(answer.response).collect(MAX_MANIFEST_BYTES, "manifest").await {
                Ok(bytes) => return Ok(FetchedManifest { bytes, content_type, stale }),
                // Nothing of it has gone on to a client yet, so a body that broke off is worth another try.
                Err(error) if may_try_again && may_pass(&error) && self.retry_budget.spend() => may_try_again = false,
                Err(error) => return Err(error),
            }
        }
    }

    /// See [`super::Origin::manifest_head`].
    pub(super) async fn manifest_head(
        &self,
        told: &HeaderMap,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>, UpstreamError> {
        let answer = self.ask(&self.ask_manifest(Operation::HeadManifest, Method::HEAD, told, name, reference)).await?;
        let headers = answer.response.headers();
        if answer.response.status() != StatusCode::OK {
            return Ok(None);
        }
        let content_type = self.content_type(headers)?;
        let size = content_length(headers).filter(|size| *size > 0);
        let stale = self.telling.staleness(headers);
        Ok(digest(headers).map(|digest| ManifestHead { digest, content_type, size, stale }))
    }

    fn ask_manifest<'a>(
        &self,
        operation: Operation,
        method: Method,
        told: &'a HeaderMap,
        name: &'a RepositoryName,
        reference: &Reference,
    ) -> Ask<'a> {
        let url = self.url(name, &format!("manifests/{reference}"));
        Ask { operation, method, url, scope: name.into(), accept: Some(MediaType::ACCEPT_MANIFESTS), from: 0, told }
    }

    fn content_type(&self, headers: &HeaderMap) -> Result<Option<MediaType>, UpstreamError> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.parse::<MediaType>().ok());
        if content_type.as_ref().is_some_and(MediaType::is_schema1) {
            return Err(self.bad_answer(
                "has this image only as a manifest of schema version 1, which is not supported; push it again with a current client",
            ));
        }
        Ok(content_type)
    }
}

/// The digest that the headers tell: exactly one, well-formed.
fn digest(headers: &HeaderMap) -> Option<Digest> {
    let mut values = headers.get_all(DIGEST).iter();
    let digest = values.next()?.to_str().ok()?.trim().parse().ok()?;
    values.next().is_none().then_some(digest)
}
