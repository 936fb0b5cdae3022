//! Webhooks of GitHub's container registry: the events `registry_package` and `package`, and the `ping` that a new webhook sends:
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package>.

use serde::Deserialize;
use serde_json::Value;

use super::Told;

#[derive(Deserialize)]
struct Package {
    name: String,
    namespace: String,
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    package_type: String,
    package_version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    container_metadata: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    tag: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// `None` when it is none. A package that is no image, or has no tag, tells nothing.
pub(super) fn read(document: &Value) -> Option<Vec<Told>> {
    if document.get("zen").is_some() && document.get("hook_id").is_some() {
        return Some(Vec::new());
    }
    let package = document.get("registry_package").or_else(|| document.get("package"))?;
    let Package { name, namespace, ecosystem, package_type, package_version } = Package::deserialize(package).ok()?;
    let is_image = [ecosystem, package_type].iter().any(|kind| kind.eq_ignore_ascii_case("container"));
    let tag = package_version.and_then(|version| version.container_metadata?.tag).map(|tag| tag.name);
    // Accounts are spelled in any case, repositories in lower case only.
    let repository = format!("{namespace}/{name}").to_ascii_lowercase();
    let told = tag.filter(|tag| is_image && !tag.is_empty());
    Some(
        told.map(|tag| Told { registry: "ghcr.io".to_owned(), repository, tag: Some(tag), ..Told::default() })
            .into_iter()
            .collect(),
    )
}
