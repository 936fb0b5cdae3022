//! An answer before it is turned into bytes: the same for GET and HEAD.

use std::cell::RefCell;

use actix_web::http::{
    StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use bytes::Bytes;

use crate::{oci::Digest, telemetry::CacheStatus, tiers::Body, upstream::Destination};

pub(super) static API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
static CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What never differs under one digest may be kept for a year, the longest that is in use: by everyone if it is public, and
/// else only by the client. Whoever reaches this server may read it, but who reaches a cache in front of it is not known here.
pub(super) fn immutable(destination: &Destination) -> HeaderValue {
    HeaderValue::from_static(match destination.is_public() {
        true => "public, max-age=31536000, immutable",
        false => "private, max-age=31536000, immutable",
    })
}

/// What is true for one request alone.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// What a tag names may change: whoever keeps it has to ask again.
pub(super) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Status, headers and body of an answer. A HEAD request gets all but the body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
    /// Length of `body`, or of what it would be; unknown while an upstream that does not say it is sending.
    pub(super) length: Option<u64>,
    pub(super) cache: CacheStatus,
    /// What the access log says of a failure.
    pub(super) error: Option<String>,
    /// The content that it is about, when the answer says which.
    pub(super) about: Option<Digest>,
    /// Whether the connection is of no more use.
    pub(super) close: bool,
}

impl Answer {
    pub(super) fn new(status: StatusCode, cache: CacheStatus) -> Self {
        Self {
            status,
            headers: Vec::with_capacity(10),
            body: Body::Bytes(Bytes::new()),
            length: Some(0),
            cache,
            error: None,
            about: None,
            close: false,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A header from text that has come from outside; left out when it cannot stand in a header.
    pub(super) fn text_header(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.header(name, value),
            Err(_) => self,
        }
    }

    pub(super) fn bytes(mut self, content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        self.headers.push((header::CONTENT_TYPE, content_type));
        self.length = Some(bytes.len() as u64);
        self.body = Body::Bytes(bytes);
        self
    }

    pub(super) fn body(mut self, body: Body, length: Option<u64>) -> Self {
        self.body = body;
        self.length = length;
        self
    }

    /// Length of a body that is not there, for HEAD.
    pub(super) fn length(mut self, length: Option<u64>) -> Self {
        self.length = length;
        self
    }

    /// The digest as digest header and as `ETag`.
    pub(super) fn digest(mut self, digest: &Digest) -> Self {
        self.about = Some(*digest);
        let mut quoted = String::with_capacity(140);
        quoted.push('"');
        quoted.push_str(digest.algorithm().as_str());
        quoted.push(':');
        quoted.push_str(&digest.hex());
        quoted.push('"');
        let plain = &quoted[1..quoted.len() - 1];
        self.text_header(CONTENT_DIGEST.clone(), plain).text_header(header::ETAG, &quoted)
    }

    /// The digest of a content that is not in this answer.
    pub(super) fn digest_alone(mut self, digest: &Digest) -> Self {
        self.about = Some(*digest);
        self.text_header(CONTENT_DIGEST.clone(), &digest.to_string())
    }

    pub(super) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }
}

/// The headers that every answer has.
pub(super) fn common_headers(cache: CacheStatus) -> [(HeaderName, HeaderValue); 2] {
    const VERSION: HeaderValue = HeaderValue::from_static("registry/2.0");
    [(API_VERSION.clone(), VERSION), (CACHE_STATUS.clone(), cache_status(cache))]
}

/// The value of `Cache-Status`; there are few, so each is formatted once per thread.
fn cache_status(status: CacheStatus) -> HeaderValue {
    thread_local! {
        static KNOWN: RefCell<Vec<(CacheStatus, HeaderValue)>> = const { RefCell::new(Vec::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some((_, value)) = known.iter().find(|(key, _)| *key == status) {
            return value.clone();
        }
        let value = HeaderValue::from_str(&status.to_string()).unwrap_or(HeaderValue::from_static("harbinger"));
        known.push((status, value.clone()));
        value
    })
}
