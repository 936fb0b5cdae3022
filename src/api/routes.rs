//! The route table, on one screen.

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode, header, header::HeaderName},
};

use super::{
    Service, admin,
    answer::Answer,
    blobs, cache, demand,
    error::ApiError,
    exchange::Exchange,
    graph, health, layers, manifests, notifications,
    path::{self, Api, Resource},
    predictions, purge,
    query::Query,
    referrers, repositories,
    request_body::RequestBody,
    requester, scrub, tags, uploads, warm,
};
use crate::{
    customers::Customer,
    oci::{ErrorCode, RepositoryName},
    registry::Owner,
    upstream::{Address, Destination},
};

/// A request for something of a repository: what all handlers need that read.
pub(super) struct Ask<'a> {
    pub(super) service: &'a Service,
    pub(super) request: &'a HttpRequest,
    pub(super) query: &'a Query<'a>,
    pub(super) destination: Destination,
    pub(super) customer: Customer,
    pub(super) is_head: bool,
}

/// A request to change something of a hosted repository: what all handlers need that write.
pub(super) struct Push<'a> {
    pub(super) service: &'a Service,
    pub(super) request: &'a HttpRequest,
    pub(super) query: &'a Query<'a>,
    pub(super) repository: &'a RepositoryName,
    pub(super) customer: Customer,
}

impl Push<'_> {
    /// Whose uploads this request may deal with.
    pub(super) fn owner(&self) -> Owner {
        Owner { repository: self.repository.clone(), customer: self.customer.clone() }
    }
}

/// Answers a request.
pub(super) async fn answer(service: &Service, request: &HttpRequest, body: &mut RequestBody, exchange: &mut Exchange) -> Answer {
    let outcome = route(service, request, body, exchange).await;
    let mut answer = outcome.unwrap_or_else(ApiError::into_answer);
    answer.close |= body.is_worth_closing();
    answer
}

async fn route(
    service: &Service,
    request: &HttpRequest,
    body: &mut RequestBody,
    exchange: &mut Exchange,
) -> Result<Answer, ApiError> {
    path::limit(request.uri().path_and_query().map_or("", |target| target.as_str()))?;
    let resource = path::parse(request.uri().path())?;
    exchange.endpoint = label(&resource);
    let method = request.method();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let query = Query::parse(request.uri().query());
    let (prefix, what) = match resource {
        Resource::Registry { prefix, what } => (prefix, what),
        Resource::LayerUpload => return layers::upload(service, request, &query?, body, exchange).await,
        Resource::LayerRequest => return layers::request(service, request, &query?, exchange).await,
        Resource::Purge => return purge::purge(service, request, &query?).await,
        Resource::Warm => return warm::warm(service, request, &query?).await,
        Resource::Notifications => return notifications::receive(service, request, body).await,
        Resource::Garbage => return admin::collect_garbage(service, request, &query?).await,
        Resource::GraphImport => return graph::import(service, request, body).await,
        Resource::GraphLacking => return graph::lacking(service, request, body).await,
        Resource::Scrub => return scrub::answer(service, request, &query?),
        Resource::Unknown => return Err(unknown_path()),
        _ if !is_read => return Ok(method_not_allowed("GET, HEAD")),
        Resource::Alive => return Ok(health::alive()),
        Resource::Ready => return Ok(health::ready(service)),
        Resource::Metrics => return Ok(health::metrics(service)),
        Resource::OpenApi => return Ok(admin::openapi()),
        Resource::Predictions => return predictions::predictions(service, request, &query?),
        Resource::Cache => return cache::usage(service, request),
        Resource::CachedBlobs => return cache::blobs(service, request, &query?).await,
        Resource::CachedBlob(digest) => return cache::blob(service, request, digest).await,
        Resource::GraphExport => return graph::export(service, request),
        Resource::Graph(question) => return graph::answer(service, request, question, &query?).await,
    };
    let hops = requester::hops(service, request)?;
    let query = query?;
    let Some(name) = what.name() else {
        return match what {
            Api::Unknown => Err(unknown_path()),
            _ if !is_read => Ok(method_not_allowed("GET, HEAD")),
            Api::Catalog => repositories::answer(service, request.uri().path(), &query),
            _ => Ok(health::base()),
        };
    };
    let namespace = query.namespace.as_deref();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let destination = service.registry.routes().resolve(Address { host, prefix, namespace, path: name })?;
    let customer = service.customer(request, None);
    exchange.note_destination(&destination, what.last());
    exchange.note_demand(service.demand.of(request, &destination, demand::kind(&what, method), what.last(), &customer));
    let answer = if is_read && !matches!(what, Api::Upload(..) | Api::Uploads(_)) {
        let (requester, is_head) = (requester::requester(request, &customer, hops), *method == Method::HEAD);
        exchange.note_requester(&requester);
        let destination = destination.on_behalf_of(&requester);
        let ask = Ask { service, request, query: &query, destination, customer, is_head };
        read(ask, what, name).await?
    } else {
        let Destination::Hosted(repository) = destination else { return refuse_write(service, is_read) };
        write(Push { service, request, query: &query, repository: &repository, customer }, what, body).await?
    };
    Ok(match namespace {
        Some(namespace) => answer.text_header(HeaderName::from_static("oci-namespace"), namespace),
        None => answer,
    })
}

/// GET and HEAD.
async fn read(ask: Ask<'_>, what: Api<'_>, name: &str) -> Result<Answer, ApiError> {
    match what {
        Api::Manifest(_, reference) => manifests::answer(ask, reference).await,
        Api::Blob(_, digest) => blobs::answer(ask, digest).await,
        Api::Referrers(_, digest) => referrers::answer(ask, digest).await,
        _ => tags::answer(ask, name).await,
    }
}

/// Everything else, and whatever concerns uploads.
async fn write(push: Push<'_>, what: Api<'_>, body: &mut RequestBody) -> Result<Answer, ApiError> {
    match (what, push.request.method()) {
        (Api::Manifest(_, reference), &Method::PUT) => manifests::put(push, reference, body).await,
        (Api::Manifest(_, reference), &Method::DELETE) => manifests::delete(push, reference).await,
        (Api::Manifest(..), _) => Ok(method_not_allowed("GET, HEAD, PUT, DELETE")),
        (Api::Blob(_, digest), &Method::DELETE) => blobs::delete(push, digest).await,
        (Api::Blob(..), _) => Ok(method_not_allowed("GET, HEAD, DELETE")),
        (Api::Uploads(_), &Method::POST) => uploads::begin(push, body).await,
        (Api::Uploads(_), _) => Ok(method_not_allowed("POST")),
        (Api::Upload(_, id), _) => uploads::go_on(push, id, body).await,
        _ => Ok(method_not_allowed("GET, HEAD")),
    }
}

/// The endpoint as a metric label.
fn label(resource: &Resource<'_>) -> &'static str {
    match resource {
        Resource::Alive | Resource::Ready => "health",
        Resource::Metrics => "metrics",
        Resource::LayerUpload | Resource::LayerRequest => "layer",
        Resource::OpenApi | Resource::Garbage | Resource::Purge | Resource::Scrub | Resource::Notifications => "api",
        Resource::Warm | Resource::Predictions => "api",
        Resource::Cache | Resource::CachedBlobs | Resource::CachedBlob(_) => "api",
        Resource::Graph(_) | Resource::GraphExport | Resource::GraphImport | Resource::GraphLacking => "api",
        Resource::Registry { what, .. } => match what {
            Api::Base => "base",
            Api::Manifest(..) => "manifest",
            Api::Blob(..) => "blob",
            Api::Tags(_) => "tags",
            Api::Referrers(..) => "referrers",
            Api::Upload(..) | Api::Uploads(_) => "upload",
            Api::Catalog => "catalog",
            Api::Unknown => "unknown",
        },
        Resource::Unknown => "unknown",
    }
}

pub(super) fn unknown_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, "there is nothing at this path")
}

/// A write to a repository that mirrors an upstream. Nobody ever got the name of an upload there.
fn refuse_write(service: &Service, is_read: bool) -> Result<Answer, ApiError> {
    if is_read {
        return Err(ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, "there is no such upload"));
    }
    Ok(read_only(service))
}

/// 405: the repository mirrors an upstream.
pub(super) fn read_only(service: &Service) -> Answer {
    let routes = service.registry.routes();
    let places = match routes.hosted() {
        [] => "push to the upstream itself".to_owned(),
        prefixes => format!("push to the upstream itself, or to a repository of this registry: {}…", prefixes.join("…, ")),
    };
    let message = format!("this repository mirrors an upstream registry and is read-only; {places}");
    not_allowed("GET, HEAD", message)
}

/// 405: nothing can be done like that here.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    not_allowed(allowed, format!("only {allowed} are supported here"))
}

fn not_allowed(allowed: &'static str, message: String) -> Answer {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message)
        .into_answer()
        .header(header::ALLOW, header::HeaderValue::from_static(allowed))
}
