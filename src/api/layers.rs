//! `/layer/upload` and `/layer/request`: plain doors to the rooms behind the distribution API, for programs that deal in
//! layers and do not want to speak it.

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode},
};
use serde::Serialize;

use super::{
    Service,
    answer::{Answer, JSON},
    blobs,
    error::ApiError,
    exchange::Exchange,
    query::Query,
    request_body::RequestBody,
    requester,
    routes::{Ask, Push, method_not_allowed, read_only},
    uploads,
};
use crate::{
    events::Kind,
    graph::queries::{self, Place},
    oci::{Digest, ErrorCode, RepositoryName, Tag},
    upstream::{Address, Destination, Hops},
};

/// A layer that was taken in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Layer {
    /// Its digest.
    digest: String,
    /// Its length in bytes.
    size: u64,
    /// The repository that it was pushed to.
    image: String,
    /// The version of the image that it was said to belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The customer who pushed it.
    customer: String,
    /// Where it can be had.
    location: String,
    /// Repositories whose images have it already, at most 20: public ones, and the one that it was pushed to. Absent when the
    /// graph is not kept or not loaded yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_with: Option<Vec<String>>,
}

/// Pushes a layer. `image`, `version` and `customer` are in the query, or in headers `X-Image`, `X-Version` and the one that
/// names customers.
#[utoipa::path(
    post,
    path = "/layer/upload",
    tag = "layers",
    params(
        ("image" = Option<String>, Query, description = "Repository to push to, such as `local/app`; or the header `X-Image`"),
        ("version" = Option<String>, Query, description = "Version of the image that the layer belongs to; or the header `X-Version`"),
        ("customer" = Option<String>, Query, description = "Who pushes; or the header that `server.customer_header` names"),
        ("digest" = Option<String>, Query, description = "Digest that the layer must have; without one it is named by its SHA-256"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The layer"),
    responses(
        (status = 201, description = "Durable, and readable in the repository", body = Layer),
        (status = 400, description = "`image` is missing or malformed, or the bytes do not match `digest`"),
        (status = 405, description = "The repository mirrors an upstream: it is read-only"),
        (status = 413, description = "More than a customer may have under way"),
        (status = 507, description = "The disk is full"),
    )
)]
pub(super) async fn upload(
    service: &Service,
    request: &HttpRequest,
    query: &Query<'_>,
    body: &mut RequestBody,
    exchange: &mut Exchange,
) -> Result<Answer, ApiError> {
    if *request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    let image = text(request, query.image.as_deref(), "x-image").ok_or_else(|| missing("image"))?;
    let version = text(request, query.version.as_deref(), "x-version").map(str::parse::<Tag>).transpose();
    let version =
        version.map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, "'version' is not a tag"))?;
    let digest = query.digest.as_deref().map(str::parse).transpose()?;
    let customer = service.customer(request, query.customer.as_deref());
    exchange.note_customer(&customer);
    let destination = resolve(service, image)?;
    let named = query.digest.as_deref().unwrap_or_default();
    exchange.note_destination(&destination, named);
    exchange.note_demand(service.demand.of(request, &destination, Kind::Push, named, &customer));
    let Destination::Hosted(repository) = destination else { return Ok(read_only(service)) };
    let push = Push { service, request, query, repository: &repository, customer };
    let (digest, size) = uploads::whole(&push, digest, body).await?;
    let location = format!("/v2/{repository}/blobs/{digest}");
    let layer = Layer {
        digest: digest.to_string(),
        size,
        image: repository.to_string(),
        version: version.map(|version| version.to_string()),
        customer: push.customer.as_str().to_owned(),
        location,
        shared_with: shared_with(service, &repository, &digest),
    };
    // Strings and numbers cannot fail to be written as JSON.
    let json = serde_json::to_vec(&layer).unwrap_or_default();
    Ok(uploads::created(&repository, &digest).bytes(JSON, json))
}

/// Fetches a layer, from the cache or from where it comes from, as `GET /v2/<image>/blobs/<layerHash>` would.
#[utoipa::path(
    get,
    path = "/layer/request",
    tag = "layers",
    params(
        ("image" = String, Query, description = "Repository that has the layer, with its registry where that is not the default one: `docker.io/library/nginx`; a tag or digest at the end is ignored"),
        ("layerHash" = String, Query, description = "Digest of the layer"),
        ("customer" = Option<String>, Query, description = "Who asks"),
        ("region" = Option<String>, Query, description = "Where the layer is wanted; each edge serves its own region"),
    ),
    responses(
        (status = 200, description = "The layer", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part of it that `Range` asked for", content_type = "application/octet-stream"),
        (status = 307, description = "The layer is at `Location`, if `[redirect]` says so and the header `X-Harbinger-No-Redirect` does not"),
        (status = 400, description = "A parameter is missing or malformed"),
        (status = 404, description = "The repository has no such layer"),
        (status = 502, description = "The upstream cannot be reached or fails"),
    )
)]
pub(super) async fn request(
    service: &Service,
    request: &HttpRequest,
    query: &Query<'_>,
    exchange: &mut Exchange,
) -> Result<Answer, ApiError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(method_not_allowed("GET, HEAD"));
    }
    let image = query.image.as_deref().ok_or_else(|| missing("image"))?;
    let hash = query.layer_hash.as_deref().ok_or_else(|| missing("layerHash"))?;
    let customer = service.customer(request, query.customer.as_deref());
    exchange.note_customer(&customer);
    let destination = resolve(service, without_reference(image))?;
    let is_head = *request.method() == Method::HEAD;
    let kind = if is_head { Kind::BlobHead } else { Kind::Blob };
    exchange.note_destination(&destination, hash);
    exchange.note_demand(service.demand.of(request, &destination, kind, hash, &customer));
    let destination = destination.on_behalf_of(&requester::requester(request, &customer, Hops::default()));
    blobs::answer(Ask { service, request, query, destination, customer, is_head }, hash).await
}

/// Who has a layer already, of those who are nobody's secret. A look at a neighbourhood, which takes no longer than a moment.
fn shared_with(service: &Service, repository: &RepositoryName, digest: &Digest) -> Option<Vec<String>> {
    let own = Place { route: "".into(), name: repository.clone() };
    service.graph.as_ref()?.read(|state| queries::shared_with(state, digest, &own)).ok()
}

fn resolve(service: &Service, image: &str) -> Result<Destination, ApiError> {
    Ok(service.registry.routes().resolve(Address { path: image, ..Address::default() })?)
}

fn text<'a>(request: &'a HttpRequest, in_query: Option<&'a str>, header: &str) -> Option<&'a str> {
    in_query.or_else(|| request.headers().get(header).and_then(|value| value.to_str().ok()))
}

/// An image's name without its tag or digest. A ':' in the first component belongs to a registry's port.
fn without_reference(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

fn missing(parameter: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, format!("the parameter '{parameter}' is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_cut_off() {
        for (image, name) in [
            ("nginx", "nginx"),
            ("nginx:1.27", "nginx"),
            ("docker.io/library/nginx:1.27@sha256:00", "docker.io/library/nginx"),
            ("localhost:5000/a", "localhost:5000/a"),
            ("localhost:5000/a:b", "localhost:5000/a"),
        ] {
            assert_eq!(without_reference(image), name);
        }
    }
}
