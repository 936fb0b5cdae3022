//! An event as a row of a table: all kinds have the same columns, and leave out what they do not have.

use super::when;
use crate::{
    events::{Event, Millis, Repository, What},
    oci::Digest,
};

/// A row. Columns that an event does not have are `None`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) at: Millis,
    pub(super) event: &'static str,
    pub(super) customer: Option<String>,
    pub(super) region: Option<String>,
    /// 16 hexadecimal digits.
    pub(super) client: Option<String>,
    pub(super) route: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) private: Option<bool>,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) kind: Option<&'static str>,
    pub(super) status: Option<u16>,
    pub(super) bytes: Option<u64>,
    pub(super) source: Option<&'static str>,
    pub(super) first_byte_us: Option<u32>,
    pub(super) total_us: Option<u32>,
    pub(super) complete: Option<bool>,
    /// Length of the content.
    pub(super) size: Option<u64>,
    pub(super) media_type: Option<String>,
    /// Seconds since 1970.
    pub(super) created: Option<u64>,
    pub(super) outcome: Option<&'static str>,
    /// What a manifest names: configuration and layers, or manifests; separated by spaces.
    pub(super) names: Option<String>,
}

/// A value of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    Time(Millis),
    Text(Option<&'a str>),
    Number(Option<u64>),
    Flag(Option<bool>),
}

/// The names of the columns, in their order.
pub(super) const COLUMNS: [&str; 22] = [
    "time",
    "event",
    "customer",
    "region",
    "client",
    "route",
    "repository",
    "private",
    "tag",
    "digest",
    "kind",
    "status",
    "bytes",
    "source",
    "first_byte_us",
    "total_us",
    "complete",
    "size",
    "media_type",
    "created",
    "outcome",
    "names",
];

impl Row {
    pub(super) fn of(event: &Event) -> Self {
        let row = Self { at: event.at, ..Self::default() };
        let text = |digest: &Digest| Some(digest.to_string());
        match &event.what {
            What::Request(request) => Self {
                event: "request",
                customer: request.customer.as_ref().map(|customer| customer.to_string()),
                region: Some(request.region.to_string()),
                client: Some(format!("{:016x}", request.client)),
                tag: request.tag.as_ref().map(|tag| tag.to_string()),
                digest: request.digest.as_ref().and_then(text),
                kind: Some(request.kind.as_str()),
                status: Some(request.status),
                bytes: Some(request.bytes),
                source: Some(request.source.as_str()),
                first_byte_us: Some(request.first_byte),
                total_us: Some(request.total),
                complete: Some(request.complete),
                ..row.of_repository(&request.repository)
            },
            What::ManifestSeen(seen) => {
                let children = seen.manifests.iter().flatten().map(|child| &child.manifest);
                let names: Vec<_> =
                    seen.config.iter().chain(&seen.layers).chain(children).map(|named| named.digest.to_string()).collect();
                Self {
                    event: "manifest_seen",
                    digest: text(&seen.manifest.digest),
                    size: Some(seen.manifest.size),
                    media_type: Some(seen.manifest.media_type.to_string()),
                    created: seen.created,
                    names: Some(names.join(" ")),
                    ..row.of_repository(&seen.repository)
                }
            }
            What::ManifestDeleted { repository, digest } => {
                Self { event: "manifest_deleted", digest: text(digest), ..row.of_repository(repository) }
            }
            What::ConfigRead { digest, created } => {
                Self { event: "config_read", digest: text(digest), created: Some(*created), ..row }
            }
            What::TagMoved { repository, tag, digest } => Self {
                event: "tag_moved",
                tag: Some(tag.to_string()),
                digest: digest.as_ref().and_then(text),
                ..row.of_repository(repository)
            },
            What::BlobStored { digest, size } => Self { event: "blob_stored", digest: text(digest), size: Some(*size), ..row },
            What::BlobEvicted { digest } => Self { event: "blob_evicted", digest: text(digest), ..row },
            What::Prefetched { digest, size, outcome } => {
                Self { event: "prefetched", digest: text(digest), size: Some(*size), outcome: Some(outcome.as_str()), ..row }
            }
        }
    }

    fn of_repository(self, repository: &Repository) -> Self {
        let Repository { route, name, private } = repository;
        Self { route: Some(route.to_string()), repository: Some(name.to_string()), private: Some(*private), ..self }
    }

    /// The values, in the order of [`COLUMNS`].
    pub(super) fn cells(&self) -> [Cell<'_>; COLUMNS.len()] {
        use Cell::{Flag, Number, Text, Time};
        [
            Time(self.at),
            Text(Some(self.event)),
            Text(self.customer.as_deref()),
            Text(self.region.as_deref()),
            Text(self.client.as_deref()),
            Text(self.route.as_deref()),
            Text(self.repository.as_deref()),
            Flag(self.private),
            Text(self.tag.as_deref()),
            Text(self.digest.as_deref()),
            Text(self.kind),
            Number(self.status.map(u64::from)),
            Number(self.bytes),
            Text(self.source),
            Number(self.first_byte_us.map(u64::from)),
            Number(self.total_us.map(u64::from)),
            Flag(self.complete),
            Number(self.size),
            Text(self.media_type.as_deref()),
            Number(self.created),
            Text(self.outcome),
            Text(self.names.as_deref()),
        ]
    }
}

impl Cell<'_> {
    /// As text; empty when there is nothing.
    pub(super) fn text(self) -> String {
        match self {
            Self::Time(at) => when::written(at),
            Self::Text(text) => text.unwrap_or_default().to_owned(),
            Self::Number(number) => number.map(|number| number.to_string()).unwrap_or_default(),
            Self::Flag(flag) => flag.map(|flag| flag.to_string()).unwrap_or_default(),
        }
    }
}
