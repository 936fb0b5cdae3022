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
    /// `digest`: of the blob that an upload becomes.
    pub(super) digest: Option<Cow<'a, str>>,
    /// `digest-algorithm`: of that digest, before it is known.
    pub(super) algorithm: Option<Cow<'a, str>>,
    /// `mount`: the digest of a blob that another repository has.
    pub(super) mount: Option<Cow<'a, str>>,
    /// `from`: the repository that has it.
    pub(super) from: Option<Cow<'a, str>>,
    /// `tag`, any number of times: what a manifest is to be named.
    pub(super) tags: Vec<Cow<'a, str>>,
    /// `image`, of a layer.
    pub(super) image: Option<Cow<'a, str>>,
    /// `version`, of a layer's image.
    pub(super) version: Option<Cow<'a, str>>,
    /// `customer`: who asks.
    pub(super) customer: Option<Cow<'a, str>>,
    /// `layerHash`: the digest of a layer.
    pub(super) layer_hash: Option<Cow<'a, str>>,
    /// `dry_run`: whether a change is only to be told of.
    pub(super) dry_run: Option<Cow<'a, str>>,
    /// `what`: the part of the cache that is meant.
    pub(super) what: Option<Cow<'a, str>>,
    /// `grace`: how new something has to be, to be spared.
    pub(super) grace: Option<Cow<'a, str>>,
    /// `rate`: bytes per second.
    pub(super) rate: Option<Cow<'a, str>>,
    /// `tier`: the one that is meant.
    pub(super) tier: Option<Cow<'a, str>>,
    /// `sort`: what comes first.
    pub(super) sort: Option<Cow<'a, str>>,
    /// `limit`: how many at most.
    pub(super) count: Option<Cow<'a, str>>,
    /// `offset`: how many of the first are left out.
    pub(super) offset: Option<Cow<'a, str>>,
    /// `of`: what a question to the graph is about.
    pub(super) of: Option<Cow<'a, str>>,
    /// `platform`: which image of an index.
    pub(super) platform: Option<Cow<'a, str>>,
    /// `beyond_budget`: whether a limit does not count.
    pub(super) beyond_budget: Option<Cow<'a, str>>,
    /// `region`: where something is asked for.
    pub(super) region: Option<Cow<'a, str>>,
    /// `depth`: how many edges away.
    pub(super) depth: Option<Cow<'a, str>>,
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
                "digest" => (&mut parsed.digest, ErrorCode::DigestInvalid),
                "digest-algorithm" => (&mut parsed.algorithm, ErrorCode::DigestInvalid),
                "mount" => (&mut parsed.mount, ErrorCode::DigestInvalid),
                "from" => (&mut parsed.from, ErrorCode::NameInvalid),
                "image" => (&mut parsed.image, ErrorCode::NameInvalid),
                "version" => (&mut parsed.version, ErrorCode::Unsupported),
                "customer" => (&mut parsed.customer, ErrorCode::Unsupported),
                "layerHash" => (&mut parsed.layer_hash, ErrorCode::DigestInvalid),
                "dry_run" => (&mut parsed.dry_run, ErrorCode::Unsupported),
                "what" => (&mut parsed.what, ErrorCode::Unsupported),
                "grace" => (&mut parsed.grace, ErrorCode::Unsupported),
                "rate" => (&mut parsed.rate, ErrorCode::Unsupported),
                "tier" => (&mut parsed.tier, ErrorCode::Unsupported),
                "sort" => (&mut parsed.sort, ErrorCode::Unsupported),
                "limit" => (&mut parsed.count, ErrorCode::Unsupported),
                "offset" => (&mut parsed.offset, ErrorCode::Unsupported),
                "of" => (&mut parsed.of, ErrorCode::NameInvalid),
                "platform" => (&mut parsed.platform, ErrorCode::Unsupported),
                "beyond_budget" => (&mut parsed.beyond_budget, ErrorCode::Unsupported),
                "region" => (&mut parsed.region, ErrorCode::Unsupported),
                "depth" => (&mut parsed.depth, ErrorCode::Unsupported),
                "tag" => {
                    parsed.tags.push(value);
                    continue;
                }
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
        assert_eq!(Query::parse(Some("tag=a&tag=b&tag=a")).unwrap().tags, ["a", "b", "a"]);
        for query in
            ["ns=a&ns=b", "n=1&n=2", "last=a&last=", "artifactType=a&artifactType=b", "digest=a&digest=b", "from=&from=a"]
        {
            assert_eq!(Query::parse(Some(query)).unwrap_err().status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
