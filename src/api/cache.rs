//! `/api/v1/cache`: what the tiers hold, as an operator sees it.

use std::sync::Arc;

use actix_web::{HttpRequest, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::{
    Service,
    admin::{authorize, bad, told},
    answer::Answer,
    error::ApiError,
    query::Query,
    texts,
};
use crate::{
    oci::{Digest, ErrorCode},
    telemetry::TierName,
    tiers::{Holder, Holding, ObjectTier, Order, Selected, Selection, Tier, Tiers, Usage},
};

/// Contents of a page when nothing is said.
const PAGE: usize = 100;

/// Contents of a page at most.
const LARGEST_PAGE: usize = 10_000;

/// Contents that can be left out at most: whoever wants all takes them by tier or customer.
const LARGEST_OFFSET: usize = 100_000;

/// Repositories told of one content at most.
const READERS: usize = 100;

/// What every tier holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CacheReport {
    /// Memory, then the disks, fastest first.
    pub tiers: Vec<TierReport>,
    /// What was pushed, apart from contents so small that the catalog holds them.
    pub hosted: HostedReport,
    /// The bucket that other servers share; null when there is none.
    pub object: Option<ObjectReport>,
}

/// What a tier holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TierReport {
    /// What it is called.
    pub tier: String,
    /// `memory`, `disk`, `ssd` or `hdd`.
    pub kind: String,
    /// Number of contents.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Most bytes it may hold.
    pub limit: u64,
    /// How much of that is taken, from 0 to 1.
    pub share: f64,
    /// Damaged files that are kept aside.
    pub quarantined: u64,
    /// For whom it holds what it holds: for who wanted it last. Not told of memory.
    pub customers: Vec<CustomerReport>,
}

/// What a tier holds for one customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CustomerReport {
    /// The customer; `unknown` for nobody in particular, `others` for all beyond a limit.
    pub customer: String,
    /// Number of contents.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostedReport {
    /// Number of contents.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The bucket, as far as this server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ObjectReport {
    /// Contents that are known to be in it: those that were lately written, read or looked for.
    pub known_entries: u64,
    /// Their bytes.
    pub known_bytes: u64,
    /// Contents that wait for their upload.
    pub waiting_entries: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

/// Contents of the disk tiers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BlobsReport {
    /// How many there are in all.
    pub total: u64,
    /// Those of this page.
    pub blobs: Vec<BlobReport>,
}

/// A content of a disk tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BlobReport {
    /// Its digest.
    pub digest: String,
    /// The tier it lies on.
    pub tier: String,
    /// Its length in bytes.
    pub size: u64,
    /// How many requests there were for it, each halved every six hours.
    pub heat: f64,
    /// What it is worth there, as a binary logarithm: the least leaves first.
    pub value: f64,
    /// Who wanted it last.
    pub customer: String,
    /// Whether its bytes have been verified since the start.
    pub verified: bool,
}

/// All that is known of one content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BlobDetails {
    /// Its digest.
    pub digest: String,
    /// Where it lies.
    pub places: Vec<PlaceReport>,
    /// The repositories that may read it: at most 100.
    pub repositories: Vec<String>,
    /// Whether there are more of them.
    pub more_repositories: bool,
    /// Whether it is on its way here.
    pub under_way: bool,
}

/// A tier that has a content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlaceReport {
    /// What it is called; `hosted` for what was pushed.
    pub tier: String,
    /// `memory`, `disk`, `ssd`, `hdd` or `hosted`.
    pub kind: String,
    /// The content's length in bytes there.
    pub size: u64,
    /// How many requests there were for it, each halved every six hours. Of disk tiers only, like what follows.
    pub heat: Option<f64>,
    /// What it is worth there, as a binary logarithm: the least leaves first.
    pub value: Option<f64>,
    /// Who wanted it last.
    pub customer: Option<String>,
    /// Whether its bytes have been verified since the start.
    pub verified: Option<bool>,
}

/// What every tier holds, and for whom.
#[utoipa::path(
    get,
    path = "/api/v1/cache",
    tag = "cache",
    responses(
        (status = 200, description = texts::NOW, body = CacheReport),
        (status = 401, description = texts::UNAUTHORIZED),
    ),
    security(("operator" = []))
)]
pub(super) fn usage(service: &Service, request: &HttpRequest) -> Result<Answer, ApiError> {
    authorize(service, request)?;
    Ok(told(&CacheReport::of(&service.tiers)))
}

/// Contents of the disk tiers, those first that are asked for.
#[utoipa::path(
    get,
    path = "/api/v1/cache/blobs",
    tag = "cache",
    params(
        ("tier" = Option<String>, Query, description = "On this tier only"),
        ("customer" = Option<String>, Query, description = "Last wanted by this customer only"),
        ("sort" = Option<String>, Query, description = "What comes first: `size` (the largest; when absent), `heat` (what is wanted most), `value` (what is worth least and leaves next) or `digest`"),
        ("limit" = Option<usize>, Query, description = "How many at most: 100 when absent, never more than 10,000"),
        ("offset" = Option<usize>, Query, description = "How many of the first are left out: at most 100,000"),
    ),
    responses(
        (status = 200, description = "As of now; what changes its place meanwhile may be missing", body = BlobsReport),
        (status = 400, description = "A parameter is malformed"),
        (status = 401, description = texts::UNAUTHORIZED),
    ),
    security(("operator" = []))
)]
pub(super) async fn blobs(service: &Service, request: &HttpRequest, query: &Query<'_>) -> Result<Answer, ApiError> {
    authorize(service, request)?;
    let selection = selection(&service.tiers, query)?;
    let (selected, total) = looking(service, move |tiers| tiers.select(&selection)).await?;
    Ok(told(&BlobsReport { total, blobs: selected.iter().map(BlobReport::new).collect() }))
}

/// Everything that is known of one content.
#[utoipa::path(
    get,
    path = "/api/v1/cache/blobs/{digest}",
    tag = "cache",
    params(("digest" = String, Path, description = "Its digest, such as `sha256:…`")),
    responses(
        (status = 200, description = texts::NOW, body = BlobDetails),
        (status = 400, description = "This is no digest"),
        (status = 401, description = texts::UNAUTHORIZED),
        (status = 404, description = "Nothing is known of it"),
    ),
    security(("operator" = []))
)]
pub(super) async fn blob(service: &Service, request: &HttpRequest, digest: &str) -> Result<Answer, ApiError> {
    authorize(service, request)?;
    let digest: Digest = digest.parse()?;
    let places = looking(service, move |tiers| tiers.holders(&digest)).await?;
    // One more tells whether there are others.
    let mut repositories = service.registry.readers(&digest, READERS + 1).await?;
    let more_repositories = repositories.len() > READERS;
    repositories.truncate(READERS);
    let under_way = service.registry.is_under_way(&digest);
    if places.is_empty() && repositories.is_empty() && !under_way {
        return Err(ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, "nothing is known of this content"));
    }
    let places = places.into_iter().map(PlaceReport::new).collect();
    Ok(told(&BlobDetails { digest: digest.to_string(), places, repositories, more_repositories, under_way }))
}

fn selection(tiers: &Tiers, query: &Query<'_>) -> Result<Selection, ApiError> {
    let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let tier = owned(&query.tier);
    if let Some(tier) = &tier
        && !tiers.disks().iter().any(|disk| **disk.label() == **tier)
    {
        let names: Vec<_> = tiers.disks().iter().map(|disk| disk.label().to_string()).collect();
        return Err(bad(&format!("'tier' is the name of a disk tier: {}", names.join(", "))));
    }
    let order = match query.sort.as_deref() {
        None | Some("size") => Order::Size,
        Some("heat") => Order::Heat,
        Some("value") => Order::Value,
        Some("digest") => Order::Digest,
        Some(_) => return Err(bad("'sort' is one of size, heat, value and digest")),
    };
    let limit = number(query.count.as_deref(), PAGE, LARGEST_PAGE, "limit")?;
    let offset = number(query.offset.as_deref(), 0, LARGEST_OFFSET, "offset")?;
    Ok(Selection { tier, customer: owned(&query.customer), order, offset, limit })
}

pub(super) fn number(text: Option<&str>, otherwise: usize, most: usize, name: &str) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(otherwise) };
    match text.parse() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(bad(&format!("'{name}' is a number, {most} at most"))),
    }
}

/// Looks at the tiers away from the threads that serve clients.
async fn looking<T: Send + 'static>(service: &Service, look: impl FnOnce(&Tiers) -> T + Send + 'static) -> Result<T, ApiError> {
    let tiers = Arc::clone(&service.tiers);
    tokio::task::spawn_blocking(move || look(&tiers)).await.map_err(|error| {
        tracing::error!(%error, "the tiers cannot be looked at");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, "the tiers cannot be looked at")
    })
}

impl CacheReport {
    fn of(tiers: &Tiers) -> Self {
        let (entries, bytes) = tiers.hosted().usage();
        let memory = tiers.memory_usage();
        let memory = TierReport::new(TierName::Memory.as_str(), TierName::Memory, memory, 0, Vec::new());
        let disks = tiers
            .disks()
            .iter()
            .map(|disk| TierReport::new(disk.label(), disk.name(), disk.usage(), disk.quarantined(), disk.holdings()));
        let tiers_held = std::iter::once(memory).chain(disks).collect();
        Self { tiers: tiers_held, hosted: HostedReport { entries, bytes }, object: tiers.object().map(ObjectReport::of) }
    }
}

impl ObjectReport {
    fn of(object: &ObjectTier) -> Self {
        let Usage { entries: known_entries, bytes: known_bytes, .. } = object.usage();
        let (waiting_entries, waiting_bytes) = object.waiting();
        Self { known_entries, known_bytes, waiting_entries, waiting_bytes }
    }
}

impl TierReport {
    fn new(tier: &str, kind: TierName, usage: Usage, quarantined: u64, holdings: Vec<Holding>) -> Self {
        let Usage { entries, bytes, limit } = usage;
        let share = bytes as f64 / limit.max(1) as f64;
        let customers = holdings.into_iter().map(|Holding { customer, entries, bytes }| CustomerReport {
            customer: customer.to_string(),
            entries,
            bytes,
        });
        let (tier, kind, customers) = (tier.to_owned(), kind.as_str().to_owned(), customers.collect());
        Self { tier, kind, entries, bytes, limit, share, quarantined, customers }
    }
}

impl BlobReport {
    fn new(selected: &Selected) -> Self {
        let Selected { tier, entry } = selected;
        Self {
            digest: entry.digest.to_string(),
            tier: tier.to_string(),
            size: entry.size,
            heat: entry.heat,
            value: f64::from(entry.value),
            customer: entry.customer.to_string(),
            verified: entry.verified,
        }
    }
}

impl PlaceReport {
    fn new(holder: Holder) -> Self {
        let entry = holder.entry.as_ref();
        Self {
            tier: holder.tier.to_string(),
            kind: holder.kind.as_str().to_owned(),
            size: holder.size,
            heat: entry.map(|entry| entry.heat),
            value: entry.map(|entry| f64::from(entry.value)),
            customer: entry.map(|entry| entry.customer.to_string()),
            verified: entry.map(|entry| entry.verified),
        }
    }
}
