//! What edges tell each other, in the envelope that distribution registries notify with. What that has no place for is in a part of
//! our own, which other readers pass over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Event, Kind, Request, What};

/// The media type of an envelope.
pub const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v1+json";

/// Several notifications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The notifications, in order.
    pub events: Vec<Notification>,
}

/// Something that happened at a registry, or at another edge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// `pull`, `push`, `mount`, `delete`.
    #[serde(default)]
    pub action: String,
    /// What it happened to.
    #[serde(default)]
    pub target: Target,
    /// The request that it happened by.
    #[serde(default)]
    pub request: Asked,
    /// What another edge adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harbinger: Option<Elsewhere>,
}

/// A content of a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// The repository's name.
    pub repository: String,
    /// The tag, of a manifest that was pushed or pulled by one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// The digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// How it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The registry, as it was called.
    pub host: String,
}

/// What one edge tells another of a pull.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Its region.
    pub region: String,
    /// When, in milliseconds since the beginning of 1970.
    pub at: u64,
    /// Who pulled; absent for nobody in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The client, by a keyed hash of its address, as 16 digits of hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

impl Notification {
    /// Tells of an event at an edge in `region`: of pulls of manifests by clients of this edge, and of tags of mirrors that have
    /// moved. `None` for anything else, and for what this edge was told itself.
    pub fn of(event: &Event, region: &str) -> Option<Self> {
        let elsewhere = Elsewhere { region: region.to_owned(), at: event.at, ..Elsewhere::default() };
        match &event.what {
            What::Request(request) => Self::of_request(request, elsewhere),
            What::TagMoved { repository, tag, digest: Some(digest) } if !repository.route.is_empty() => {
                let repository_name = repository.name.to_string();
                let target = Target { repository: repository_name, tag: tag.to_string(), digest: digest.to_string() };
                let request = Asked { host: repository.route.to_string() };
                Some(Self { action: "push".to_owned(), target, request, harbinger: Some(elsewhere) })
            }
            _ => None,
        }
    }

    fn of_request(request: &Arc<Request>, elsewhere: Elsewhere) -> Option<Self> {
        let is_pull = request.kind == Kind::Manifest && request.succeeded() && request.is_here();
        let digest = request.digest.filter(|_| is_pull && !request.repository.route.is_empty())?;
        let target = Target {
            repository: request.repository.name.to_string(),
            tag: request.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
            digest: digest.to_string(),
        };
        let harbinger = Elsewhere {
            region: request.region.to_string(),
            customer: request.customer.as_deref().map(str::to_owned),
            client: Some(format!("{:016x}", request.client)),
            ..elsewhere
        };
        let asked = Asked { host: request.repository.route.to_string() };
        Some(Self { action: "pull".to_owned(), target, request: asked, harbinger: Some(harbinger) })
    }
}
