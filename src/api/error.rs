//! The one table from failures to status codes.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use serde::Serialize;

use super::answer::{Answer, JSON, NO_STORE};
use crate::{
    oci::{ErrorCode, InvalidDigest, InvalidName},
    registry::{RegistryError, RegistryErrorKind as Kind},
    telemetry::{CacheStatus, MissReason},
    upstream::RouteError,
};

/// A failure as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: ErrorCode,
    pub(super) message: String,
    /// In whole seconds.
    pub(super) retry_after: Option<u64>,
    pub(super) cache: CacheStatus,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, cache: CacheStatus::None }
    }

    /// The answer; the message is escaped by the JSON writer.
    pub(super) fn into_answer(self) -> Answer {
        #[derive(Serialize)]
        struct Document<'a> {
            errors: [Item<'a>; 1],
        }
        #[derive(Serialize)]
        struct Item<'a> {
            code: &'a str,
            message: &'a str,
            detail: Option<()>,
        }

        let item = Item { code: self.code.as_str(), message: &self.message, detail: None };
        // Strings cannot fail to be written as JSON.
        let json = serde_json::to_vec(&Document { errors: [item] }).unwrap_or_default();
        // A cache in front is not to remember failures longer than this server does.
        let mut answer = Answer::new(self.status, self.cache).header(header::CACHE_CONTROL, NO_STORE).bytes(JSON, json);
        if let Some(seconds) = self.retry_after {
            answer = answer.retry_after(seconds);
        }
        answer.error = Some(self.message);
        answer
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let (status, code) = match error.kind {
            Kind::ManifestUnknown => (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
            Kind::BlobUnknown => (StatusCode::NOT_FOUND, ErrorCode::BlobUnknown),
            Kind::NameUnknown => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
            Kind::Denied => (StatusCode::FORBIDDEN, ErrorCode::Denied),
            Kind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests),
            Kind::UpstreamUnavailable if error.retry_after.is_some() => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unknown),
            Kind::UpstreamUnavailable | Kind::BadUpstreamAnswer => (StatusCode::BAD_GATEWAY, ErrorCode::Unknown),
            Kind::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, ErrorCode::Unknown),
            Kind::Loop => (StatusCode::LOOP_DETECTED, ErrorCode::Unsupported),
            Kind::UploadUnknown => (StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
            Kind::UploadBusy => (StatusCode::CONFLICT, ErrorCode::BlobUploadInvalid),
            Kind::OutOfOrder { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid),
            Kind::DigestInvalid => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
            Kind::SizeInvalid => (StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid),
            Kind::TooMany => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests),
            Kind::ManifestInvalid => (StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid),
            Kind::ReferenceMissing => (StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown),
            Kind::Unsupported => (StatusCode::BAD_REQUEST, ErrorCode::Unsupported),
            Kind::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Denied),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown),
        };
        let may_wait = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        Self {
            status,
            code,
            message: error.message.to_string(),
            retry_after: error.retry_after.filter(|_| may_wait).map(whole_seconds),
            cache: cache_status(&error),
        }
    }
}

fn cache_status(error: &RegistryError) -> CacheStatus {
    match error.kind {
        _ if error.from_cache => CacheStatus::NegativeHit,
        Kind::ManifestUnknown | Kind::BlobUnknown | Kind::NameUnknown | Kind::Denied if error.upstream().is_some() => {
            CacheStatus::Miss(MissReason::UpstreamRefused)
        }
        Kind::RateLimited | Kind::UpstreamUnavailable | Kind::UpstreamTimeout | Kind::BadUpstreamAnswer | Kind::Loop => {
            CacheStatus::Miss(MissReason::UpstreamFailed)
        }
        _ => CacheStatus::None,
    }
}

/// Rounded up, so that nobody comes back too early; at least one, because zero means "at once" to many clients.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        let (status, code) = match error {
            // 404, so that clients fall back to the registry itself.
            RouteError::UnknownUpstream(_) | RouteError::NoUpstream => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
            RouteError::Conflict(..) | RouteError::InvalidName(_) => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<InvalidName> for ApiError {
    fn from(error: InvalidName) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, error.to_string())
    }
}

impl From<InvalidDigest> for ApiError {
    fn from(error: InvalidDigest) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registry_failure_has_its_status_and_code() {
        for (kind, status, code) in [
            (Kind::ManifestUnknown, 404, "MANIFEST_UNKNOWN"),
            (Kind::BlobUnknown, 404, "BLOB_UNKNOWN"),
            (Kind::NameUnknown, 404, "NAME_UNKNOWN"),
            (Kind::Denied, 403, "DENIED"),
            (Kind::RateLimited, 429, "TOOMANYREQUESTS"),
            (Kind::UpstreamUnavailable, 502, "UNKNOWN"),
            (Kind::UpstreamTimeout, 504, "UNKNOWN"),
            (Kind::BadUpstreamAnswer, 502, "UNKNOWN"),
            (Kind::Loop, 508, "UNSUPPORTED"),
            (Kind::UploadUnknown, 404, "BLOB_UPLOAD_UNKNOWN"),
            (Kind::UploadBusy, 409, "BLOB_UPLOAD_INVALID"),
            (Kind::OutOfOrder { received: 1 }, 416, "BLOB_UPLOAD_INVALID"),
            (Kind::DigestInvalid, 400, "DIGEST_INVALID"),
            (Kind::SizeInvalid, 400, "SIZE_INVALID"),
            (Kind::TooLarge, 413, "SIZE_INVALID"),
            (Kind::TooMany, 429, "TOOMANYREQUESTS"),
            (Kind::ManifestInvalid, 400, "MANIFEST_INVALID"),
            (Kind::ReferenceMissing, 400, "MANIFEST_BLOB_UNKNOWN"),
            (Kind::Unsupported, 400, "UNSUPPORTED"),
            (Kind::StorageFull, 507, "DENIED"),
            (Kind::Internal, 500, "UNKNOWN"),
        ] {
            let error = ApiError::from(RegistryError::new(kind, "why"));
            assert_eq!((error.status.as_u16(), error.code.as_str()), (status, code), "{kind:?}");
            assert_eq!(error.retry_after, None, "{kind:?}");
        }
    }

    #[test]
    fn a_known_wait_is_told_rounded_up() {
        let mut error = RegistryError::new(Kind::RateLimited, "slowly");
        error.retry_after = Some(Duration::from_millis(2_100));
        assert_eq!(ApiError::from(error.clone()).retry_after, Some(3));
        error.kind = Kind::UpstreamUnavailable;
        error.retry_after = Some(Duration::ZERO);
        let error = ApiError::from(error);
        assert_eq!((error.status, error.retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    }

    #[test]
    fn only_an_upstream_can_be_blamed_for_its_failures() {
        for (kind, status) in [
            (Kind::BadUpstreamAnswer, CacheStatus::Miss(MissReason::UpstreamFailed)),
            (Kind::BlobUnknown, CacheStatus::None),
            (Kind::DigestInvalid, CacheStatus::None),
            (Kind::StorageFull, CacheStatus::None),
        ] {
            assert_eq!(ApiError::from(RegistryError::new(kind, "why")).cache, status, "{kind:?}");
        }
    }

    #[test]
    fn a_remembered_not_found_says_so() {
        let mut error = RegistryError::new(Kind::ManifestUnknown, "gone");
        error.from_cache = true;
        assert_eq!(ApiError::from(error).cache, CacheStatus::NegativeHit);
    }

    #[test]
    fn messages_are_escaped() {
        let answer = ApiError::from(RouteError::UnknownUpstream("a\"\n\u{1b}[31m".to_owned())).into_answer();
        let crate::tiers::Body::Bytes(body) = answer.body else { panic!("an error is small") };
        let text = std::str::from_utf8(&body).unwrap();
        assert!(!text.contains('\n') && !text.contains('\u{1b}'), "{text}");
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(json["errors"][0]["code"], "NAME_UNKNOWN");
        assert!(json["errors"][0]["message"].as_str().unwrap().contains("a\"\n\u{1b}[31m"));
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.headers.contains(&(header::CACHE_CONTROL, NO_STORE)));
    }
}
