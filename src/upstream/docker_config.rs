//! Docker's `config.json`: which credentials it has for a repository.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::credentials::Credentials;

/// The key under which Docker keeps the credentials of Docker Hub.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The parts of the file that tell credentials.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Auth {
    #[serde(default)]
    auth: Option<SecretString>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<SecretString>,
    #[serde(default)]
    identitytoken: Option<SecretString>,
}

/// Where the file says that credentials are.
#[derive(Debug)]
pub(super) enum Found {
    /// In the file.
    Inline(Credentials),
    /// With a helper, under this server name.
    Helper { name: String, server: String },
}

/// An entry of `auths` is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the entry '{0}' of 'auths' is not base64 of user:password")]
pub(super) struct InvalidAuth(String);

impl DockerConfig {
    /// The places to look for credentials for `repository` at `host` (with port), the best first: the helper of the longest
    /// key that is a prefix of host/repository, the inline entry likewise, the store for everything.
    pub(super) fn find(&self, host: &str, repository: &str) -> Result<Vec<Found>, InvalidAuth> {
        let wanted = format!("{}/{repository}", hub_or(host));
        let mut found = Vec::new();
        if let Some((key, name)) = best(&self.helpers, &wanted) {
            found.push(Found::Helper { name: name.clone(), server: key.clone() });
        }
        if let Some((key, auth)) = best(&self.auths, &wanted)
            && let Some(credentials) = auth.credentials().map_err(|()| InvalidAuth(key.clone()))?
        {
            found.push(Found::Inline(credentials));
        }
        if let Some(name) = self.store.as_ref().filter(|name| !name.is_empty()) {
            found.push(Found::Helper { name: name.clone(), server: server_of(host).to_owned() });
        }
        Ok(found)
    }
}

/// What a helper is asked for: Docker Hub has its old key, everything else its host.
pub(super) fn server_of(host: &str) -> &str {
    if hub_or(host) == "docker.io" { HUB_KEY } else { host }
}

/// All names of Docker Hub are one.
fn hub_or(host: &str) -> &str {
    if matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host }
}

/// The entry whose key is the longest prefix of `wanted`, component by component.
fn best<'a, T>(entries: &'a BTreeMap<String, T>, wanted: &str) -> Option<(&'a String, &'a T)> {
    let matching = entries.iter().filter_map(|entry| {
        let key = plain(entry.0);
        let rest = wanted.strip_prefix(key.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some((key.len(), entry))
    });
    matching.max_by_key(|(length, _)| *length).map(|(_, entry)| entry)
}

/// A key without what old clients wrote around it: `https://host/v1/` is `host`.
fn plain(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key).trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    format!("{}{path}", hub_or(&host.to_ascii_lowercase()))
}

impl Auth {
    fn credentials(&self) -> Result<Option<Credentials>, ()> {
        let secret = |secret: &Option<SecretString>| secret.clone().filter(|secret| !secret.expose_secret().is_empty());
        if let Some(token) = secret(&self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(token)));
        }
        if let Some(encoded) = secret(&self.auth) {
            let decoded = STANDARD.decode(encoded.expose_secret().trim()).map_err(|_| ())?;
            let text = String::from_utf8(decoded).map_err(|_| ())?;
            let (username, password) = text.split_once(':').ok_or(())?;
            let password = password.trim_end_matches('\0').to_owned().into();
            return Ok(Some(Credentials::Password { username: username.to_owned(), password }));
        }
        let Some(username) = self.username.clone().filter(|username| !username.is_empty()) else {
            return Ok(None);
        };
        Ok(secret(&self.password).map(|password| Credentials::Password { username, password }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(config: &str, host: &str, repository: &str) -> Vec<String> {
        let config: DockerConfig = serde_json::from_str(config).unwrap();
        let found = config.find(host, repository).unwrap();
        let describe = |found| match found {
            Found::Helper { name, server } => format!("{name} {server}"),
            Found::Inline(Credentials::Password { username, password }) => format!("{username}:{}", password.expose_secret()),
            Found::Inline(Credentials::IdentityToken(token)) => format!("token {}", token.expose_secret()),
        };
        found.into_iter().map(describe).collect()
    }

    #[test]
    fn all_forms_of_an_entry_are_read() {
        let config = r#"{"auths": {
            "a.example": {"auth": "dXNlcjpwOnc="},
            "b.example:5000": {"username": "u", "password": "p"},
            "c.example": {"auth": "dTpw", "identitytoken": "idt"},
            "d.example": {}
        }, "HttpHeaders": {"x": "y"}}"#;
        assert_eq!(find(config, "a.example", "x"), ["user:p:w"]);
        assert_eq!(find(config, "b.example:5000", "x"), ["u:p"]);
        assert!(find(config, "b.example", "x").is_empty());
        assert_eq!(find(config, "c.example", "x"), ["token idt"]);
        assert!(find(config, "d.example", "x").is_empty());
        assert!(find("{}", "d.example", "x").is_empty());
    }

    #[test]
    fn the_longest_matching_key_wins_and_components_are_whole() {
        let config = r#"{"auths": {
            "q.example": {"username": "host", "password": "p"},
            "q.example/team": {"username": "team", "password": "p"},
            "q.example/team/app": {"username": "app", "password": "p"}
        }}"#;
        assert_eq!(find(config, "q.example", "other/x"), ["host:p"]);
        assert_eq!(find(config, "q.example", "team/x"), ["team:p"]);
        assert_eq!(find(config, "q.example", "team/app"), ["app:p"]);
        assert_eq!(find(config, "q.example", "team/application"), ["team:p"]);
        assert_eq!(find(config, "q.example", "teams/x"), ["host:p"]);
        assert!(find(config, "q.example.evil", "team/x").is_empty());
    }

    #[test]
    fn docker_hub_is_found_under_its_old_key() {
        for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://registry-1.docker.io/v2/"] {
            let config = format!(r#"{{"auths": {{"{key}": {{"auth": "dTpw"}}}}}}"#);
            assert_eq!(find(&config, "registry-1.docker.io", "library/nginx"), ["u:p"], "{key}");
        }
    }

    #[test]
    fn helpers_come_first_and_the_store_last() {
        let config = r#"{
            "auths": {"a.example": {"auth": "dTpw"}, "index.docker.io": {}},
            "credHelpers": {"a.example": "ecr-login"},
            "credsStore": "desktop"
        }"#;
        assert_eq!(find(config, "a.example", "x"), ["ecr-login a.example", "u:p", "desktop a.example"]);
        assert_eq!(find(config, "registry-1.docker.io", "x"), ["desktop https://index.docker.io/v1/"]);
    }

    #[test]
    fn a_broken_entry_is_named_without_its_content() {
        for auth in ["%%%", "dXNlcg==", "/w=="] {
            let config: DockerConfig =
                serde_json::from_str(&format!(r#"{{"auths":{{"a.example":{{"auth":"{auth}"}}}}}}"#)).unwrap();
            let error = config.find("a.example", "x").unwrap_err().to_string();
            assert!(error.contains("a.example") && !error.contains(auth), "{error}");
        }
    }
}
