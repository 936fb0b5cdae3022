//! Webhooks of Docker Hub: <https://docs.docker.com/docker-hub/repos/manage/webhooks/>.

use serde::Deserialize;
use serde_json::Value;

use super::Told;

#[derive(Deserialize)]
struct Webhook {
    push_data: PushData,
    repository: Repository,
}

#[derive(Deserialize)]
struct PushData {
    tag: String,
}

#[derive(Deserialize)]
struct Repository {
    repo_name: String,
}

/// `None` when it is none.
pub(super) fn read(document: &Value) -> Option<Vec<Told>> {
    let Webhook { push_data, repository } = Webhook::deserialize(document).ok()?;
    let registry = "docker.io".to_owned();
    Some(vec![Told { registry, repository: repository.repo_name, tag: Some(push_data.tag), ..Told::default() }])
}
