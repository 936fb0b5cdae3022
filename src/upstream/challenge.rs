//! What a 401 asks for.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

use super::{UpstreamError, UpstreamErrorKind};

/// The kind of proof that an upstream asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password.
    Basic,
    /// A token from a token service. The scope that the upstream names is not kept: we know which repository we want.
    Bearer {
        /// The token service.
        realm: Url,
        /// How the upstream calls itself there.
        service: Option<String>,
    },
}

impl Challenge {
    /// Chooses from the challenges of an answer: Bearer before Basic.
    ///
    /// # Errors
    /// [`UpstreamErrorKind::BadAnswer`] when there is none that can be met. What the challenge said is not repeated.
    pub(super) fn choose(headers: &HeaderMap) -> Result<Self, UpstreamError> {
        let mut basic = false;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            // A header that cannot be read must not hide another one that can.
            let Some(challenges) = value.to_str().ok().and_then(|text| http_auth::parse_challenges(text).ok()) else {
                continue;
            };
            for challenge in challenges {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    basic = true;
                } else if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(Ok(realm)) = parameter("realm").map(|realm| realm.parse())
                {
                    return Ok(Self::Bearer { realm, service: parameter("service") });
                }
            }
        }
        if basic {
            return Ok(Self::Basic);
        }
        let text = "the upstream answered 401 without a challenge that can be met (Bearer with a realm, or Basic)";
        Err(UpstreamError::new(UpstreamErrorKind::BadAnswer, text))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn choose(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        Challenge::choose(&headers).ok()
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.parse().unwrap(), service: service.map(str::to_owned) })
    }

    #[test]
    fn bearer_is_preferred_wherever_it_stands() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#;
        let expected = bearer("https://auth.docker.io/token", Some("registry.docker.io"));
        assert_eq!(choose(&[hub]), expected);
        assert_eq!(choose(&[r#"Basic realm="x""#, hub]), expected);
        assert_eq!(choose(&[&format!(r#"Basic realm="x", {hub}"#)]), expected);
        assert_eq!(choose(&[r#"bEARER REALM="https://a.example/t""#]), bearer("https://a.example/t", None));
        assert_eq!(choose(&[r#"Negotiate, Basic realm="x""#]), Some(Challenge::Basic));
    }

    #[test]
    fn garbage_is_an_error_and_does_not_hide_what_can_be_read() {
        let long = "x".repeat(10_000);
        for value in [
            "",
            "Bearer",
            r#"Bearer realm="""#,
            r#"Bearer realm="/token""#,
            "Bearer realm=\"",
            "=,;\"\\",
            &long,
            "Digest realm=\"x\"",
        ] {
            assert_eq!(choose(&[value]), None, "{value}");
        }
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&["error error", "Basic realm=x"]), Some(Challenge::Basic));
    }
}
