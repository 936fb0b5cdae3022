//! `/api/v1/purge`: the operator has a part of the cache forgotten.

use actix_web::{
    HttpRequest,
    http::{Method, StatusCode, header},
};
use serde::{Deserialize, Serialize};

use super::{
    Service,
    admin::{authorize, bad, dry_run},
    answer::{Answer, JSON, NO_CACHE},
    error::ApiError,
    query::Query,
    routes::method_not_allowed,
    texts,
};
use crate::{
    registry::{BytesFate, Purged, PurgedKind, Selection},
    telemetry::CacheStatus,
};

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PurgeReport {
    /// Whether nothing was done, only told.
    pub dry_run: bool,
    /// What was selected.
    pub what: String,
    /// Tags that were forgotten, or would have been.
    pub tags: u64,
    /// Manifests that were forgotten, counted in each repository.
    pub manifests: u64,
    /// Blobs that were forgotten, counted in each repository.
    pub blobs: u64,
    /// Contents that were removed from the cache: those that no other repository has.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Selected contents that were being fetched: those transfers go on.
    pub under_way: u64,
    /// The first thousand of all of them.
    pub entries: Vec<PurgeEntry>,
    /// How many more there are.
    pub unnamed: u64,
}

/// Something that was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PurgeEntry {
    /// `tag`, `manifest` or `blob`.
    pub kind: String,
    /// `docker.io/library/nginx:1.27`, or with `@` and a digest.
    pub name: String,
    /// Its length in bytes, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What became of its bytes: `removed`, `shared` (another repository has them), or `absent` (there were none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

impl PurgeReport {
    /// Tells what was done.
    pub fn new(selection: &Selection, purged: Purged, dry_run: bool) -> Self {
        let unnamed = purged.unnamed();
        let entries = purged.entries.into_iter().map(|entry| PurgeEntry {
            kind: match entry.kind {
                PurgedKind::Tag => "tag",
                PurgedKind::Manifest => "manifest",
                PurgedKind::Blob => "blob",
            }
            .to_owned(),
            name: entry.name,
            size: entry.size,
            bytes: entry.bytes.map(|fate| {
                match fate {
                    BytesFate::Removed => "removed",
                    BytesFate::Shared => "shared",
                    BytesFate::Absent => "absent",
                }
                .to_owned()
            }),
        });
        Self {
            dry_run,
            what: selection.to_string(),
            tags: purged.tags,
            manifests: purged.manifests,
            blobs: purged.blobs,
            removed: purged.removed,
            bytes: purged.bytes,
            under_way: purged.under_way,
            entries: entries.collect(),
            unnamed,
        }
    }
}

/// Forgets a part of what is cached of mirrored repositories; the next pull fetches it anew.
#[utoipa::path(
    post,
    path = "/api/v1/purge",
    tag = "operation",
    params(
        (
            "what" = String,
            Query,
            description = "A repository `docker.io/library/nginx`, a tag `…:1.27` with all that only it uses, a manifest or blob \
                           of a repository `…@sha256:…`, a digest everywhere `sha256:…`, or a pattern `ghcr.io/acme/**:pr-*`"
        ),
        ("dry_run" = Option<bool>, Query, description = "Only tell what would be forgotten"),
    ),
    responses(
        (status = 200, description = "What was forgotten, or would have been", body = PurgeReport),
        (status = 400, description = "The selection is malformed, names a hosted repository or an unknown upstream, or too much"),
        (status = 401, description = texts::UNAUTHORIZED),
    ),
    security(("operator" = []))
)]
pub(super) async fn purge(service: &Service, request: &HttpRequest, query: &Query<'_>) -> Result<Answer, ApiError> {
    if *request.method() != Method::POST {
        return Ok(method_not_allowed("POST"));
    }
    authorize(service, request)?;
    let dry_run = dry_run(query)?;
    let what = query.what.as_deref().ok_or_else(|| bad("'what' says what to purge, such as docker.io/library/nginx:1.27"))?;
    let selection: Selection = what.parse().map_err(|error: crate::registry::InvalidSelection| bad(&error.to_string()))?;
    let purged = service.registry.purge(&selection, dry_run).await?;
    if !dry_run {
        let Purged { tags, manifests, blobs, bytes, .. } = purged;
        tracing::info!(what = %selection, tags, manifests, blobs, bytes, "purged");
    }
    // Strings and numbers cannot fail to be written as JSON.
    let json = serde_json::to_vec(&PurgeReport::new(&selection, purged, dry_run)).unwrap_or_default();
    Ok(Answer::new(StatusCode::OK, CacheStatus::None).header(header::CACHE_CONTROL, NO_CACHE).bytes(JSON, json))
}
