//! What a registry without faults answers.

use serde_json::{Value, json};

use super::{LinkForm, Request, Shelf, reply::Reply};
use crate::content::OCI_INDEX;

impl Shelf {
    /// The answer to a request that may be answered.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        if let Some(bytes) = self.paths.get(&request.path) {
            return self.ranged(request, Reply::new(200, bytes.clone()));
        }
        if request.path == "/v2/" {
            return Reply::new(200, "{}").with("Content-Type", "application/json");
        }
        match Place::of(&request.path) {
            Some(Place::Manifest(name, reference)) => self.manifest(name, reference),
            Some(Place::Blob(name, digest)) => self.blob(request, name, digest),
            Some(Place::Tags(name)) => self.tags(request, name),
            Some(Place::Referrers(name, digest)) if self.referrers_api => self.referrers(name, digest),
            _ => unknown("NAME_UNKNOWN"),
        }
    }

    fn manifest(&self, name: &str, reference: &str) -> Reply {
        let found = self.repositories.get(name).and_then(|repository| {
            let digest = repository.tags.get(reference).map_or(reference, String::as_str);
            repository.manifests.get_key_value(digest)
        });
        let Some((digest, (bytes, media_type))) = found else {
            return unknown("MANIFEST_UNKNOWN");
        };
        Reply::new(200, bytes.clone()).with("Content-Type", media_type).with("Docker-Content-Digest", digest)
    }

    fn blob(&self, request: &Request, name: &str, digest: &str) -> Reply {
        let Some(bytes) = self.repositories.get(name).and_then(|repository| repository.blobs.get(digest)) else {
            return unknown("BLOB_UNKNOWN");
        };
        let reply = Reply::new(200, bytes.clone()).with("Content-Type", "application/octet-stream");
        self.ranged(request, reply.with("Docker-Content-Digest", digest))
    }

    fn ranged(&self, request: &Request, reply: Reply) -> Reply {
        let length = reply.body.len();
        let range = request.header("range").and_then(|text| text.strip_prefix("bytes="));
        let Some((first, last)) = range.filter(|_| self.ranges && request.method == "GET").and_then(|text| text.split_once('-'))
        else {
            return reply;
        };
        let start: usize = first.parse().unwrap_or(0);
        let end = last.parse().map_or(length, |last: usize| (last + 1).min(length));
        if start >= end {
            return Reply::new(416, "").with("Content-Range", format!("bytes */{length}"));
        }
        let part = reply.body.slice(start..end);
        Reply { status: 206, body: part, ..reply }.with("Content-Range", format!("bytes {start}-{}/{length}", end - 1))
    }

    fn tags(&self, request: &Request, name: &str) -> Reply {
        let Some(repository) = self.repositories.get(name) else {
            return unknown("NAME_UNKNOWN");
        };
        let after = request.query("last").unwrap_or_default();
        let mut tags: Vec<&String> = repository.tags.keys().filter(|tag| **tag > after).collect();
        let mut reply = Reply::new(200, "").with("Content-Type", "application/json");
        if let Some((size, form)) = self.tag_pages
            && tags.len() > size
        {
            tags.truncate(size);
            let next = format!("/v2/{name}/tags/list?n={size}&last={}", tags[size - 1]);
            let next = match form {
                LinkForm::Absolute => format!("http://{}{next}", self.host),
                LinkForm::Relative => next,
            };
            reply = reply.with("Link", format!("<{next}>; rel=\"next\""));
        }
        Reply { body: json!({ "name": name, "tags": tags }).to_string().into(), ..reply }
    }

    fn referrers(&self, name: &str, digest: &str) -> Reply {
        let none = Vec::new();
        let found = self.repositories.get(name).and_then(|repository| repository.referrers.get(digest)).unwrap_or(&none);
        let index: Value = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found });
        Reply::new(200, index.to_string()).with("Content-Type", OCI_INDEX)
    }
}

fn unknown(code: &str) -> Reply {
    Reply::new(404, json!({ "errors": [{ "code": code, "message": "unknown" }] }).to_string())
        .with("Content-Type", "application/json")
}

/// What a path means.
enum Place<'a> {
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Tags(&'a str),
    Referrers(&'a str, &'a str),
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix("/v2/")?;
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Some(Self::Tags(name));
        }
        let (rest, last) = path.rsplit_once('/')?;
        let (name, kind) = rest.rsplit_once('/')?;
        match kind {
            "manifests" => Some(Self::Manifest(name, last)),
            "blobs" => Some(Self::Blob(name, last)),
            "referrers" => Some(Self::Referrers(name, last)),
            _ => None,
        }
    }
}
