//! A server with hosted repositories, and what clients do to it in a row.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;
use toml::{Table, Value};

use crate::{
    client::Answer,
    content::{Blob, Image, OCI_INDEX, OCI_MANIFEST},
    documents::empty_json,
    proxy::{Proxy, Setup, blob_path, manifest_path},
};

/// Two repositories.
pub(crate) const ONE: &str = "local/one";
pub(crate) const TWO: &str = "local/team/two";

impl Setup {
    /// Hosted repositories only, and nothing is collected by itself.
    pub(crate) fn hosted() -> Self {
        Self::with_upstreams(Vec::new()).setting("gc_interval", "0s")
    }

    /// Sets a key of `[hosted]` as an operator writes it.
    #[must_use]
    pub(crate) fn setting(self, key: &str, value: impl Into<Value>) -> Self {
        self.with(|config| {
            let mut table = Table::try_from(&*config).unwrap();
            let section = table.entry("hosted").or_insert_with(|| Table::new().into());
            section.as_table_mut().unwrap().insert(key.to_owned(), value.into());
            *config = table.try_into().unwrap();
        })
    }
}

/// Where an upload to a repository begins.
pub(crate) fn uploads_path(name: &str) -> String {
    format!("/v2/{name}/blobs/uploads/")
}

/// The target that closes an upload.
pub(crate) fn closing(location: &str, digest: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}

/// How far an upload is, as its `Range` says. One byte and none look the same.
#[track_caller]
pub(crate) fn last_byte(answer: &Answer) -> usize {
    let range = answer.header("Range").unwrap_or_else(|| panic!("no Range in {answer:?}"));
    let last = range.strip_prefix("0-").and_then(|last| last.parse().ok());
    last.unwrap_or_else(|| panic!("a Range of {range}"))
}

/// All files below a folder, which need not exist.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// How many bytes lie in all files below a folder.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    files(folder).iter().map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len())).sum()
}

impl Answer {
    /// It has this status and, when that is an error, this code, in the form of the specification.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        self.is_error(&[status]);
        assert_eq!(self.error_code(), code, "{}", self.text());
        assert!(!self.json()["errors"][0]["message"].as_str().unwrap().is_empty());
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The location, which is a path of this server.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        let location = self.header("Location").unwrap_or_else(|| panic!("no Location in {self:?}"));
        assert!(location.starts_with("/v2/"), "{location}");
        location.to_owned()
    }

    /// An upload stands open there.
    #[track_caller]
    pub(crate) fn opens_upload(&self, name: &str) -> String {
        self.is(202);
        let location = self.location();
        assert!(location.starts_with(&uploads_path(name)), "{location}");
        location
    }

    /// All values of a header.
    pub(crate) fn headers_named(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The target of a `Link` to the next page.
    pub(crate) fn next(&self) -> Option<String> {
        let (target, rest) = self.header("Link")?.strip_prefix('<')?.split_once('>')?;
        assert!(rest.contains("rel=\"next\""), "{rest}");
        Some(target.to_owned())
    }
}

impl Proxy {
    pub(crate) async fn hosted() -> Self {
        Setup::hosted().start().await
    }

    pub(crate) async fn delete(&self, target: &str) -> Answer {
        self.request("DELETE", target).send().await
    }

    /// Opens an upload.
    pub(crate) async fn begin_upload(&self, name: &str) -> String {
        self.request("POST", &uploads_path(name)).send().await.opens_upload(name)
    }

    /// Appends to an upload.
    pub(crate) async fn append(&self, location: &str, bytes: &[u8]) -> Answer {
        self.request("PATCH", location).body(bytes.to_vec()).send().await
    }

    /// Appends a chunk that begins at `first`.
    pub(crate) async fn append_at(&self, location: &str, first: usize, bytes: &[u8]) -> Answer {
        let chunk = self.request("PATCH", location).content_range(first, first + bytes.len() - 1);
        chunk.body(bytes.to_vec()).send().await
    }

    /// Closes an upload with the last bytes of a blob.
    pub(crate) async fn close(&self, location: &str, digest: &str, bytes: &[u8]) -> Answer {
        self.request("PUT", &closing(location, digest)).body(bytes.to_vec()).send().await
    }

    /// Pushes a blob in the way of most clients.
    pub(crate) async fn push_blob(&self, name: &str, blob: &Blob) {
        let location = self.begin_upload(name).await;
        let answer = self.close(&location, &blob.digest, &blob.bytes).await;
        answer.is(201);
        assert_eq!(answer.location(), blob_path(name, blob));
        assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
    }

    /// Sends a manifest.
    pub(crate) async fn put_manifest(&self, name: &str, reference: &str, manifest: &Blob, media_type: &str) -> Answer {
        let request = self.request("PUT", &manifest_path(name, reference)).header("Content-Type", media_type);
        request.body(manifest.bytes.clone()).send().await
    }

    /// Pushes an image manifest or an index, which must be taken.
    pub(crate) async fn push_manifest(&self, name: &str, reference: &str, manifest: &Blob) -> Answer {
        let is_index = manifest.bytes.windows(11).any(|window| window == b"\"manifests\"");
        let answer = self.put_manifest(name, reference, manifest, if is_index { OCI_INDEX } else { OCI_MANIFEST }).await;
        answer.is(201);
        assert_eq!(answer.location(), manifest_path(name, &manifest.digest));
        assert_eq!(answer.header("Docker-Content-Digest"), Some(manifest.digest.as_str()));
        answer
    }

    /// Pushes an image with all its blobs.
    pub(crate) async fn push_image(&self, name: &str, tag: &str, image: &Image) {
        for blob in &image.blobs {
            self.push_blob(name, blob).await;
        }
        self.push_manifest(name, tag, &image.manifest).await;
    }

    /// Pushes what [`crate::documents::bare`] and [`crate::documents::referring`] name.
    pub(crate) async fn push_empty_json(&self, name: &str) {
        self.push_blob(name, &empty_json()).await;
    }

    /// Orders a garbage collection, as the operator may: the digests that were garbage.
    pub(crate) async fn collect(&self, query: &str) -> BTreeSet<String> {
        let file: Json = serde_json::from_slice(&fs::read(self.data().join("admin.json")).unwrap()).unwrap();
        let token = format!("Bearer {}", file["token"].as_str().unwrap());
        let answer = self.request("POST", &format!("/api/v1/gc{query}")).header("Authorization", &token).send().await;
        let report = answer.is(200).json();
        let garbage = report["garbage"].as_array().unwrap().iter();
        garbage.map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
    }

    /// The upload is open and holds as many bytes.
    pub(crate) async fn holds(&self, location: &str, bytes: usize) {
        let answer = self.get(location).await;
        answer.is(204);
        assert_eq!(last_byte(&answer), bytes.saturating_sub(1));
    }

    /// There is no such upload for anybody.
    pub(crate) async fn knows_no_upload(&self, location: &str) {
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let target = if method == "PUT" { closing(location, &empty_json().digest) } else { location.to_owned() };
            let request = self.request(method, &target);
            let request = if method == "PATCH" || method == "PUT" { request.body("{}") } else { request };
            request.send().await.refuses(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }

    /// No repository of ours has the blob.
    pub(crate) async fn lacks_blob(&self, name: &str, blob: &Blob) {
        let path = blob_path(name, blob);
        assert_eq!(self.head(&path).await.status, 404, "{path}");
        self.get(&path).await.refuses(404, "BLOB_UNKNOWN");
    }

    pub(crate) async fn has_blob(&self, name: &str, blob: &Blob) {
        let path = blob_path(name, blob);
        let head = self.head(&path).await;
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("Content-Length"), Some(blob.bytes.len().to_string().as_str()));
        assert_eq!(head.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
        let answer = self.get(&path).await;
        answer.is_exactly(&blob.bytes);
        assert_eq!(answer.header("Docker-Content-Digest"), Some(blob.digest.as_str()));
    }

    /// A tag or digest names exactly this manifest.
    pub(crate) async fn has_manifest(&self, name: &str, reference: &str, manifest: &Blob) {
        let path = manifest_path(name, reference);
        let head = self.head(&path).await;
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("Content-Length"), Some(manifest.bytes.len().to_string().as_str()));
        let answer = self.get(&path).await;
        answer.is_exactly(&manifest.bytes);
        for answer in [head, answer] {
            assert_eq!(answer.header("Docker-Content-Digest"), Some(manifest.digest.as_str()));
        }
    }

    pub(crate) async fn lacks_manifest(&self, name: &str, reference: &str) {
        let path = manifest_path(name, reference);
        assert_eq!(self.head(&path).await.status, 404, "{path}");
        self.get(&path).await.refuses(404, "MANIFEST_UNKNOWN");
    }
}
