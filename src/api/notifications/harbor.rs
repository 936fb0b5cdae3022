//! Webhooks of Harbor in its own format: <https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/>.

use serde::Deserialize;
use serde_json::Value;

use super::Told;

#[derive(Deserialize)]
struct Webhook {
    #[serde(rename = "type")]
    kind: String,
    event_data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    #[serde(default)]
    resources: Vec<Resource>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    tag: String,
    #[serde(default)]
    resource_url: String,
}

#[derive(Deserialize)]
struct Repository {
    repo_full_name: String,
}

/// `None` when it is none. Of what Harbor tells, pushes and deletions of artifacts count.
pub(super) fn read(document: &Value) -> Option<Vec<Told>> {
    let Webhook { kind, event_data: EventData { resources, repository } } = Webhook::deserialize(document).ok()?;
    if !matches!(kind.as_str(), "PUSH_ARTIFACT" | "DELETE_ARTIFACT") {
        return Some(Vec::new());
    }
    let tagged = resources.into_iter().filter(|resource| !resource.tag.is_empty());
    let told = tagged.map(|Resource { tag, resource_url }| Told {
        registry: resource_url.split('/').next().unwrap_or_default().to_owned(),
        repository: repository.repo_full_name.clone(),
        tag: Some(tag),
        ..Told::default()
    });
    Some(told.collect())
}
