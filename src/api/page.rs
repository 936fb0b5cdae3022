//! Lists in pages (distribution specification, "Listing Tags").

use actix_web::http::{
    StatusCode,
    header::{self, HeaderValue},
};

use super::{answer::Answer, error::ApiError, query::Query};
use crate::oci::ErrorCode;

/// Largest page.
pub(super) const MAX_PAGE: usize = 10_000;

/// The page size that is asked for: `n`.
pub(super) fn limit(query: &Query<'_>) -> Result<Option<usize>, ApiError> {
    query.limit.as_deref().map(parse_limit).transpose()
}

fn parse_limit(text: &str) -> Result<usize, ApiError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, "'n' is not a number of entries"));
    }
    Ok(text.parse().unwrap_or(usize::MAX).min(MAX_PAGE))
}

/// Adds where the page after `last` is. The path stays as the client wrote it, and so do the parameters that choose what is in
/// the list.
pub(super) fn link_next(answer: Answer, path: &str, query: &Query<'_>, last: &str, limit: usize) -> Answer {
    let mut next = url::form_urlencoded::Serializer::new(String::new());
    next.append_pair("last", last).append_pair("n", &limit.to_string());
    for (name, value) in [("ns", &query.namespace), ("artifactType", &query.artifact_type)] {
        if let Some(value) = value {
            next.append_pair(name, value);
        }
    }
    match HeaderValue::from_str(&format!("<{path}?{}>; rel=\"next\"", next.finish())) {
        Ok(link) => answer.header(header::LINK, link),
        Err(_) => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::CacheStatus;

    #[test]
    fn page_sizes() {
        assert_eq!(parse_limit("0"), Ok(0));
        assert_eq!(parse_limit("7"), Ok(7));
        assert_eq!(parse_limit("1000000000"), Ok(MAX_PAGE));
        assert_eq!(parse_limit("18446744073709551616"), Ok(MAX_PAGE));
        for bad in ["", "-1", "abc", "1e9", "+1", "0x1", " 1"] {
            assert_eq!(parse_limit(bad).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn links_keep_the_way_the_client_came() {
        for (path, query, last, expected) in [
            ("/v2/a/tags/list", None, "1.0", "</v2/a/tags/list?last=1.0&n=5>; rel=\"next\""),
            (
                "/hub/v2/a/tags/list",
                Some("ns=docker.io%3A443&x=1"),
                "x>y",
                "</hub/v2/a/tags/list?last=x%3Ey&n=5&ns=docker.io%3A443>; rel=\"next\"",
            ),
        ] {
            let answer = Answer::new(StatusCode::OK, CacheStatus::None);
            let answer = link_next(answer, path, &Query::parse(query).unwrap(), last, 5);
            assert_eq!(answer.headers, [(header::LINK, HeaderValue::from_str(expected).unwrap())]);
        }
    }
}
