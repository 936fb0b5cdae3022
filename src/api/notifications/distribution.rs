//! Notifications of distribution registries, and of other edges:
//! <https://distribution.github.io/distribution/about/notifications/>.

use serde::Deserialize;
use serde_json::Value;

use super::Told;
use crate::events::envelope::{Envelope, Notification};

/// `None` when it is none.
pub(super) fn read(document: &Value) -> Option<Vec<Told>> {
    document.get("events")?;
    let envelope = Envelope::deserialize(document).ok()?;
    Some(envelope.events.into_iter().filter_map(told).collect())
}

/// Pulls at a registry itself say nothing: by whom they are is not known. Of pushes, those of tags count.
fn told(notification: Notification) -> Option<Told> {
    let Notification { action, target, request, harbinger } = notification;
    let told = Told {
        registry: request.host,
        repository: target.repository,
        tag: Some(target.tag).filter(|tag| !tag.is_empty()),
        digest: Some(target.digest).filter(|digest| !digest.is_empty()),
        pull: None,
    };
    match action.as_str() {
        "pull" => Some(Told { pull: Some(harbinger?), ..told }),
        "push" | "delete" => told.tag.is_some().then_some(told),
        _ => None,
    }
}
