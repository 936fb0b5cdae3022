//! The one reader of request paths, over the path as it was sent: nothing is decoded, so nothing can be decoded twice.

use crate::oci::ErrorCode;
use actix_web::http::StatusCode;

use super::error::ApiError;

/// Longest path with its query that is read, in bytes.
const MAX_LEN: usize = 8 << 10;

/// What a path asks for. Names and references are not parsed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    /// `/healthz`
    Alive,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/layer/upload`
    LayerUpload,
    /// `/layer/request`
    LayerRequest,
    /// `/api/v1/openapi.json`
    OpenApi,
    /// `/api/v1/gc`
    Garbage,
    /// `/api/v1/purge`
    Purge,
    /// `/api/v1/warm`
    Warm,
    /// `/api/v1/predictions`
    Predictions,
    /// What registries and other edges tell.
    Notifications,
    /// `/api/v1/scrub`
    Scrub,
    /// `/api/v1/cache`
    Cache,
    /// `/api/v1/cache/blobs`
    CachedBlobs,
    /// `/api/v1/cache/blobs/<digest>`
    CachedBlob(&'a str),
    /// `/api/v1/graph/export`
    GraphExport,
    /// `/api/v1/graph/import`
    GraphImport,
    /// `/api/v1/graph/lacking`
    GraphLacking,
    /// `/api/v1/graph/<question>`
    Graph(&'a str),
    /// A path of the distribution API.
    Registry {
        /// `X` of `/X/v2/…`.
        prefix: Option<&'a str>,
        /// What follows `/v2/`.
        what: Api<'a>,
    },
    /// Anything else.
    Unknown,
}

/// What follows `/v2/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api<'a> {
    /// Nothing: end-1.
    Base,
    /// `<name>/manifests/<reference>`: end-3.
    Manifest(&'a str, &'a str),
    /// `<name>/blobs/<digest>`: end-2.
    Blob(&'a str, &'a str),
    /// `<name>/tags/list`: end-8.
    Tags(&'a str),
    /// `<name>/referrers/<digest>`: end-12.
    Referrers(&'a str, &'a str),
    /// `<name>/blobs/uploads/`: end-4 and end-11.
    Uploads(&'a str),
    /// `<name>/blobs/uploads/<id>`: end-5, end-6, end-13 and end-14.
    Upload(&'a str, &'a str),
    /// `_catalog`
    Catalog,
    /// Something this server does not know.
    Unknown,
}

impl<'a> Api<'a> {
    /// The repository, as the path spells it.
    pub(super) const fn name(self) -> Option<&'a str> {
        match self {
            Self::Manifest(name, _) | Self::Blob(name, _) | Self::Referrers(name, _) | Self::Upload(name, _) => Some(name),
            Self::Tags(name) | Self::Uploads(name) => Some(name),
            Self::Base | Self::Catalog | Self::Unknown => None,
        }
    }

    /// The reference, digest or upload at the end; empty where there is none.
    pub(super) const fn last(self) -> &'a str {
        match self {
            Self::Manifest(_, last) | Self::Blob(_, last) | Self::Referrers(_, last) | Self::Upload(_, last) => last,
            _ => "",
        }
    }
}

/// Refuses a path that is, with its query, longer than 8 KiB.
pub(super) fn limit(path_and_query: &str) -> Result<(), ApiError> {
    if path_and_query.len() > MAX_LEN {
        let message = "the path and the query are together longer than 8 KiB";
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, ErrorCode::NameInvalid, message));
    }
    Ok(())
}

/// Reads a path. Names are told from keywords right to left, because keywords are legal parts of names.
pub(super) fn parse(path: &str) -> Result<Resource<'_>, ApiError> {
    match path {
        "/healthz" => return Ok(Resource::Alive),
        "/readyz" => return Ok(Resource::Ready),
        "/metrics" => return Ok(Resource::Metrics),
        "/layer/upload" => return Ok(Resource::LayerUpload),
        "/layer/request" => return Ok(Resource::LayerRequest),
        "/api/v1/openapi.json" => return Ok(Resource::OpenApi),
        "/api/v1/gc" => return Ok(Resource::Garbage),
        "/api/v1/notifications" => return Ok(Resource::Notifications),
        "/api/v1/purge" => return Ok(Resource::Purge),
        "/api/v1/warm" => return Ok(Resource::Warm),
        "/api/v1/predictions" => return Ok(Resource::Predictions),
        "/api/v1/scrub" => return Ok(Resource::Scrub),
        "/api/v1/cache" => return Ok(Resource::Cache),
        "/api/v1/cache/blobs" => return Ok(Resource::CachedBlobs),
        _ => {}
    }
    if let Some(digest) = path.strip_prefix("/api/v1/cache/blobs/") {
        return Ok(Resource::CachedBlob(digest));
    }
    if let Some(question) = path.strip_prefix("/api/v1/graph/") {
        return Ok(match question {
            "export" => Resource::GraphExport,
            "import" => Resource::GraphImport,
            "lacking" => Resource::GraphLacking,
            question => Resource::Graph(question),
        });
    }
    let Some((prefix, rest)) = split_version(path) else {
        return Ok(Resource::Unknown);
    };
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\')) {
        return Err(invalid("the path may hold only plain ASCII letters, digits and punctuation, not percent-encoded"));
    }
    let what = parse_api(rest);
    if let Some(name) = what.name()
        && name.split('/').any(|component| matches!(component, "" | "." | ".."))
    {
        return Err(invalid("a repository name has no empty component, '.' or '..'"));
    }
    Ok(Resource::Registry { prefix, what })
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, message)
}

/// Splits `/v2/rest` and `/X/v2/rest` at the version; `rest` may be missing with its slash.
fn split_version(path: &str) -> Option<(Option<&str>, &str)> {
    let path = path.strip_prefix('/')?;
    if let Some(rest) = after_version(path) {
        return Some((None, rest));
    }
    let (prefix, path) = path.split_once('/')?;
    let rest = after_version(path)?;
    (!prefix.is_empty()).then_some((Some(prefix), rest))
}

fn after_version(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("v2")?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn parse_api(rest: &str) -> Api<'_> {
    if rest.is_empty() {
        return Api::Base;
    }
    let Some((head, last)) = rest.rsplit_once('/') else {
        return if rest == "_catalog" { Api::Catalog } else { Api::Unknown };
    };
    // A name that is missing altogether is an empty name, not an unknown path.
    let (name, keyword) = head.rsplit_once('/').unwrap_or(("", head));
    match keyword {
        "manifests" => Api::Manifest(name, last),
        "blobs" if last == "uploads" => Api::Uploads(name),
        "blobs" => Api::Blob(name, last),
        "referrers" => Api::Referrers(name, last),
        "tags" if last == "list" => Api::Tags(name),
        "uploads" => match if name == "blobs" { Some("") } else { name.strip_suffix("/blobs") } {
            Some(name) if last.is_empty() => Api::Uploads(name),
            Some(name) => Api::Upload(name, last),
            None => Api::Unknown,
        },
        _ => Api::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(path: &str) -> Api<'_> {
        match parse(path) {
            Ok(Resource::Registry { prefix: None, what }) => what,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn the_last_keyword_counts() {
        assert_eq!(api("/v2"), Api::Base);
        assert_eq!(api("/v2/"), Api::Base);
        assert_eq!(api("/v2/a/manifests/latest"), Api::Manifest("a", "latest"));
        assert_eq!(api("/v2/a/manifests/b/manifests/c"), Api::Manifest("a/manifests/b", "c"));
        assert_eq!(api("/v2/foo/tags/list/tags/list"), Api::Tags("foo/tags/list"));
        assert_eq!(api("/v2/foo/blobs/uploads/manifests/x"), Api::Manifest("foo/blobs/uploads", "x"));
        assert_eq!(api("/v2/a/b/blobs/sha256:1"), Api::Blob("a/b", "sha256:1"));
        assert_eq!(api("/v2/a/referrers/sha256:1"), Api::Referrers("a", "sha256:1"));
        assert_eq!(api("/v2/a/manifests/"), Api::Manifest("a", ""));
        assert_eq!(api("/v2/v2/_catalog/x"), Api::Unknown);
        assert_eq!(api("/v2/_catalog"), Api::Catalog);
        assert_eq!(api("/v2/a/tags/other"), Api::Unknown);
        for path in ["/v2/a/blobs/uploads", "/v2/a/blobs/uploads/"] {
            assert_eq!(api(path), Api::Uploads("a"), "{path}");
        }
        assert_eq!(api("/v2/a/b/blobs/uploads/some-id"), Api::Upload("a/b", "some-id"));
        assert_eq!(api("/v2/a/xblobs/uploads/some-id"), Api::Unknown);
    }

    #[test]
    fn prefixes_and_plain_paths() {
        assert_eq!(parse("/hub/v2/a/tags/list"), Ok(Resource::Registry { prefix: Some("hub"), what: Api::Tags("a") }));
        assert_eq!(parse("/hub/v2"), Ok(Resource::Registry { prefix: Some("hub"), what: Api::Base }));
        assert_eq!(parse("/healthz"), Ok(Resource::Alive));
        assert_eq!(parse("/readyz"), Ok(Resource::Ready));
        assert_eq!(parse("/metrics"), Ok(Resource::Metrics));
        assert_eq!(parse("/api/v1/cache/blobs"), Ok(Resource::CachedBlobs));
        assert_eq!(parse("/api/v1/cache/blobs/sha256:1"), Ok(Resource::CachedBlob("sha256:1")));
        assert_eq!(parse("/api/v1/graph/stats"), Ok(Resource::Graph("stats")));
        assert_eq!(parse("/api/v1/graph/import"), Ok(Resource::GraphImport));
        for path in ["", "/", "*", "//v2//a", "/v1/", "/v22/a", "/a/b/v2/c", "/favicon.ico", "/%2e%2e/etc"] {
            assert_eq!(parse(path), Ok(Resource::Unknown), "{path}");
        }
    }

    #[test]
    fn nothing_encoded_or_strange_gets_past() {
        for path in [
            "/v2/a%2Fb/manifests/x",
            "/v2/a/%2e%2e/b/manifests/x",
            "/v2/a/%252e%252e/b/manifests/x",
            "/v2/a%00b/manifests/x",
            "/v2/a%20b/manifests/x",
            "/v2/a b/manifests/x",
            "/v2/a\\b/manifests/x",
            "/v2/a\u{7f}/manifests/x",
            "/v2/\u{e9}/b/manifests/x",
            "/v2/\u{ff41}/b/manifests/x",
            "/v2/a/manifests/x%00",
            "/v2/a/blobs/sha256%3Aabc",
            "/v2/a\n/manifests/x",
            "/v2/manifests/x",
            "/v2//manifests/x",
            "/v2/a//b/manifests/x",
            "/v2//a/manifests/x",
            "/v2/a//manifests/x",
            "/v2/a/../b/manifests/x",
            "/v2/./b/blobs/x",
            "/v2/a/../tags/list",
            "/hub%41/v2/a/tags/list",
        ] {
            let error = parse(path).unwrap_err();
            assert_eq!((error.status.as_u16(), error.code), (400, ErrorCode::NameInvalid), "{path}");
        }
    }

    #[test]
    fn path_and_query_are_limited_together() {
        let longest = format!("/v2/?{}", "a".repeat(MAX_LEN - 5));
        assert_eq!(limit(&longest), Ok(()));
        assert_eq!(limit(&format!("{longest}a")).unwrap_err().status, StatusCode::URI_TOO_LONG);
    }
}
