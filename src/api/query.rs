//! The query parameters that mean something here. Others are ignored.

use std::borrow::Cow;

use actix_web::http::StatusCode;

use super::error::ApiError;
use crate::oci::ErrorCode;

/// Decoded once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query<'a> {
    /// `ns`: the registry that the client means.
    pub(super) namespace: Option<Cow<'a, str>>,
    /// `n`: the page size.
    pub(super) limit: Option<Cow<'a, str>>,
    /// `last`: the entry before the page.
    pub(super) last: Option<Cow<'a, str>>,
    /// `artifactType`: the filter of referrers.
    pub(super) artifact_type: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads a query string. A parameter given twice with different values is refused.
    pub(super) fn parse(query: Option<&'a str>) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let (slot, code) = match key.as_ref() {
                "ns" => (&mut parsed.namespace, ErrorCode::NameInvalid),
                "n" => (&mut parsed.limit, ErrorCode::Unsupported),
                "last" => (&mut parsed.last, ErrorCode::Unsupported),
                "artifactType" => (&mut parsed.artifact_type, ErrorCode::Unsupported),
                _ => continue,
            };
            if slot.as_ref().is_some_and(|earlier| *earlier != value) {
                return Err(ApiError::new(
                    StatusCode::BAD_REQUEST,
                    code,
                    format!("the query parameter '{key}' is given twice with different values"),
                ));
            }
            *slot = Some(value);
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let query = Query::parse(Some("ns=docker.io%3A443&n=5&x=1&last=a%252F&artifactType=a%2Fb")).unwrap();
        assert_eq!(query.namespace.as_deref(), Some("docker.io:443"));
        assert_eq!(query.limit.as_deref(), Some("5"));
        assert_eq!(query.last.as_deref(), Some("a%2F"));
        assert_eq!(query.artifact_type.as_deref(), Some("a/b"));
        assert_eq!(Query::parse(None), Ok(Query::default()));
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(Query::parse(Some("ns=a&ns=a")).is_ok());
        for query in ["ns=a&ns=b", "n=1&n=2", "last=a&last=", "artifactType=a&artifactType=b"] {
            assert_eq!(Query::parse(Some(query)).unwrap_err().status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
