//! `[[upstream]]`

use std::{fmt, path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::{DOCKER_HUB, RedirectMode, normal};

/// One registry that is mirrored, and how it is reached.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The name that clients use for it: `docker.io`, `registry.example:5000`.
    pub name: String,
    /// What stands behind the URL: the registry itself, or a parent, another Harbinger that mirrors it. A parent is told who
    /// asks (by its own `server.customer_header`, which has to be the same as here), from which region, and by `ns` which
    /// registry is meant.
    #[serde(default)]
    pub kind: UpstreamKind,
    /// Where it is: `https://registry-1.docker.io`. Empty: `https://` and the name; a parent's cannot be guessed.
    #[serde(default)]
    pub url: Option<Url>,
    /// Other names for the same registry.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Host names of requests (the `Host` header, without port) that mean this upstream.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Whether a name of one component means `library/name`. Absent: only for `docker.io`.
    #[serde(default)]
    pub library: Option<bool>,
    /// Who may read what was fetched.
    #[serde(default)]
    pub mode: Mode,
    /// Blobs of this upstream that clients are sent to the object store for. Absent: as `redirect.mode` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<RedirectMode>,
    /// Whether it is asked for tags that may have moved (`[watch]`). Absent: a registry is, a parent is not, to which such a
    /// question would look like a client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
    /// User name for the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password or access token for the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "masked")]
    pub password: Option<SecretString>,
    /// File that holds the password, read anew whenever it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Docker configuration file whose `auths`, `credHelpers` and `credsStore` are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_config: Option<PathBuf>,
    /// Credential helper: `ecr-login` runs `docker-credential-ecr-login get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_helper: Option<String>,
    /// Hosts besides the upstream's own that may issue tokens. `auth.docker.io` and its like are known.
    #[serde(default)]
    pub realms: Vec<String>,
    /// Whether redirects and token services may lead to loopback, link-local or private addresses.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// PEM file with certificate authorities that are trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client certificate and its key, for mutual TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_file: Option<PathBuf>,
    /// HTTP proxy for this upstream. Absent: the environment's (`HTTPS_PROXY`, `NO_PROXY`).
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "masked_url")]
    pub proxy: Option<Url>,
    /// Longest time to connect, TLS included.
    #[serde(default = "connect_timeout", with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer.
    #[serde(default = "first_byte_timeout", with = "humantime_serde")]
    pub first_byte_timeout: Duration,
    /// Longest silence in the middle of a body.
    #[serde(default = "idle_timeout", with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Blob transfers under way at once; all other requests together have as many places of their own.
    #[serde(default = "max_concurrency")]
    pub max_concurrency: usize,
    /// Further tries of a request that failed in a way that may pass.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Failures in a row after which the upstream is left alone for a while.
    #[serde(default = "breaker_failures")]
    pub breaker_failures: u32,
    /// How long it is left alone before one request tries again.
    #[serde(default = "breaker_pause", with = "humantime_serde")]
    pub breaker_pause: Duration,
}

/// What an upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamKind {
    /// A registry.
    #[default]
    Registry,
    /// Another Harbinger, nearer to the registry.
    Parent,
}

/// Who may read what was fetched from an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Fetched without credentials: everybody.
    #[default]
    Public,
    /// Fetched with the operator's credentials: everybody who reaches this server. Say it, so that it is meant.
    Shared,
}

impl Upstream {
    /// The name that everything that is cached for it is kept under.
    pub fn route_name(&self) -> String {
        normal(&self.name).unwrap_or_else(|| self.name.clone())
    }

    /// Whether a name of one component means `library/name`.
    pub fn has_library(&self) -> bool {
        self.library.unwrap_or_else(|| DOCKER_HUB.contains(&self.route_name().as_str()))
    }

    /// Whether it is asked for tags that may have moved.
    pub fn is_watched(&self) -> bool {
        self.watch.unwrap_or(self.kind == UpstreamKind::Registry)
    }

    /// An upstream with everything but the name at its default.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: UpstreamKind::default(),
            url: None,
            aliases: Vec::new(),
            hosts: Vec::new(),
            library: None,
            mode: Mode::default(),
            redirect: None,
            watch: None,
            username: None,
            password: None,
            password_file: None,
            docker_config: None,
            credential_helper: None,
            realms: Vec::new(),
            allow_private_addresses: false,
            ca_file: None,
            client_cert_file: None,
            proxy: None,
            connect_timeout: connect_timeout(),
            first_byte_timeout: first_byte_timeout(),
            idle_timeout: idle_timeout(),
            max_concurrency: max_concurrency(),
            retries: retries(),
            breaker_failures: breaker_failures(),
            breaker_pause: breaker_pause(),
        }
    }
}

const fn connect_timeout() -> Duration {
    Duration::from_secs(5)
}

const fn first_byte_timeout() -> Duration {
    Duration::from_secs(10)
}

const fn idle_timeout() -> Duration {
    Duration::from_secs(30)
}

const fn max_concurrency() -> usize {
    64
}

const fn retries() -> u32 {
    2
}

const fn breaker_failures() -> u32 {
    5
}

const fn breaker_pause() -> Duration {
    Duration::from_secs(2)
}

/// Secrets are never printed.
pub(super) fn masked<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.is_some() { "********" } else { "" })
}

/// A proxy's URL may hold a password.
fn masked_url<S: Serializer>(url: &Option<Url>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut url = url.clone();
    if let Some(url) = &mut url
        && url.password().is_some()
    {
        // Fails for URLs that cannot hold a password.
        let _ = url.set_password(Some("********"));
    }
    url.serialize(serializer)
}

/// As it is written: with secrets masked.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
