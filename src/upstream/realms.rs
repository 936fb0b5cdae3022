//! Which token services may be asked on behalf of an upstream.

use url::Url;

use super::{UpstreamError, UpstreamErrorKind};

/// Registries whose token service is on another host, and that host.
const KNOWN: &[(&str, &str)] = &[
    ("registry-1.docker.io", "auth.docker.io"),
    ("index.docker.io", "auth.docker.io"),
    ("registry.hub.docker.com", "auth.docker.io"),
    ("docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
    ("lscr.io", "ghcr.io"),
];

/// The rule of one upstream: a hostile upstream must not collect tokens or passwords by naming a realm of its own choice.
#[derive(Debug, Clone)]
pub(super) struct Realms {
    own: Url,
    listed: Vec<String>,
}

impl Realms {
    /// `own` is where the upstream is; `listed` are the hosts that the operator allows, with or without port.
    pub(super) fn new(own: Url, listed: &[String]) -> Self {
        Self { own, listed: listed.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Refuses a realm that nobody vouched for.
    ///
    /// # Errors
    /// [`UpstreamErrorKind::Forbidden`], naming the key to set.
    pub(super) fn check(&self, realm: &Url) -> Result<(), UpstreamError> {
        let forbidden = |text: String| Err(UpstreamError::new(UpstreamErrorKind::Forbidden, text));
        let host = realm.host_str().unwrap_or_default();
        if realm.origin() != self.own.origin()
            && realm.scheme() != "https"
            && !(realm.scheme() == "http" && self.own.scheme() == "http")
        {
            return forbidden(format!("the upstream names a token service at '{host}' that is not reached by https"));
        }
        if !realm.username().is_empty() || realm.password().is_some() {
            return forbidden(format!("the upstream names a token service at '{host}' with user information in its URL"));
        }
        if !self.vouched(realm, host) {
            return forbidden(format!(
                "the upstream names a token service at '{host}', a host that is not known to belong to it; nothing was sent there. \
                 Add \"{host}\" to 'realms' of this upstream if it does"
            ));
        }
        Ok(())
    }

    fn vouched(&self, realm: &Url, host: &str) -> bool {
        let own = self.own.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", realm.port_or_known_default().unwrap_or_default());
        host == own || KNOWN.contains(&(own, host)) || self.listed.iter().any(|listed| *listed == host || *listed == with_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(own: &str, listed: &[&str], realm: &str) -> bool {
        let listed: Vec<_> = listed.iter().map(|host| (*host).to_owned()).collect();
        let result = Realms::new(own.parse().unwrap(), &listed).check(&realm.parse().unwrap());
        assert!(result.as_ref().err().is_none_or(|error| error.kind == UpstreamErrorKind::Forbidden));
        result.is_ok()
    }

    #[test]
    fn known_own_and_listed_token_services_are_asked() {
        assert!(allowed("https://registry-1.docker.io", &[], "https://auth.docker.io/token"));
        assert!(allowed("https://registry.gitlab.com", &[], "https://gitlab.com/jwt/auth"));
        assert!(allowed("https://ghcr.io", &[], "https://ghcr.io/token"));
        assert!(allowed("https://r.example:5000", &[], "https://r.example/token"));
        assert!(allowed("http://r.example:5000", &[], "http://r.example:5001/token"));
        assert!(allowed("https://r.example", &["Auth.example"], "https://auth.example/token"));
        assert!(allowed("https://r.example", &["auth.example:8443"], "https://auth.example:8443/token"));
        assert!(allowed("https://r.example", &["auth.example:443"], "https://auth.example/token"));
    }

    #[test]
    fn any_other_host_is_refused() {
        for realm in [
            "https://evil.example/token",
            "https://auth.docker.io.evil.example/token",
            "https://evil.docker.io/token",
            "https://sub.registry-1.docker.io/token",
            "https://registry-1.docker.io./token",
            "https://auth.docker.io@evil.example/token",
            "https://user@auth.docker.io/token",
            "http://auth.docker.io/token",
            "https://\u{430}uth.docker.io/token",
            "ftp://auth.docker.io/token",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            assert!(!allowed("https://registry-1.docker.io", &[], realm), "{realm}");
        }
        assert!(!allowed("https://r.example", &["auth.example:8443"], "https://auth.example/token"));
        assert!(!allowed("https://r.example", &["auth.example"], "http://auth.example/token"));
    }
}
