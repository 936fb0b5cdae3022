//! A scripted registry: what it holds, what goes wrong with it, and what was asked of it.

mod answer;
mod connection;
mod gate;
mod gatekeeper;
mod reply;
mod selftest;

pub(crate) use gate::Gate;
pub(crate) use reply::*;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use self::{connection::Connection, gatekeeper::Gatekeeper};
use crate::content::{Blob, Image, OCI_INDEX, OCI_MANIFEST};

/// The fake registry. Ends when dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
    listening: JoinHandle<()>,
}

/// All that it knows.
#[derive(Default)]
struct Shelf {
    host: String,
    repositories: HashMap<String, Repository>,
    /// Content by path, whatever the path: what a CDN holds.
    paths: HashMap<String, Bytes>,
    rules: Vec<Rule>,
    log: Vec<Request>,
    gatekeeper: Gatekeeper,
    ranges: bool,
    referrers_api: bool,
    tag_pages: Option<(usize, LinkForm)>,
    down: bool,
}

#[derive(Default)]
struct Repository {
    manifests: HashMap<String, (Bytes, String)>,
    tags: BTreeMap<String, String>,
    blobs: HashMap<String, Bytes>,
    referrers: HashMap<String, Vec<Value>>,
}

/// How the next page of a list is named.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkForm {
    Absolute,
    Relative,
}

/// A fault for requests of one kind.
struct Rule {
    method: String,
    path: String,
    remaining: usize,
    fault: Fault,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    fn parse(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines.filter_map(|line| line.split_once(':'));
        Self {
            method,
            path: path.replace("%3A", ":").replace("%3a", ":"),
            query: query.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A query parameter, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

impl Upstream {
    /// A registry that holds nothing yet, on a free port.
    pub(crate) async fn start() -> Self {
        Self::start_on("127.0.0.1").await
    }

    /// The same on another loopback address: another host.
    pub(crate) async fn start_on(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Shelf { host: address.to_string(), ranges: true, referrers_api: true, ..Shelf::default() };
        let shelf = Arc::new(Mutex::new(shelf));
        let listening = tokio::spawn(listen(listener, Arc::clone(&shelf)));
        Self { address, shelf, listening }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// What it holds.
impl Upstream {
    /// Takes in an image under a tag.
    pub(crate) fn holds_image(&self, name: &str, tag: &str, image: &Image) {
        self.holds_manifest(name, tag, &image.manifest, OCI_MANIFEST);
        for blob in &image.blobs {
            self.holds_blob(name, blob);
        }
    }

    pub(crate) fn holds_index(&self, name: &str, tag: &str, index: &Blob) {
        self.holds_manifest(name, tag, index, OCI_INDEX);
    }

    pub(crate) fn holds_manifest(&self, name: &str, tag: &str, manifest: &Blob, media_type: &str) {
        self.repository(name, |repository| {
            repository.manifests.insert(manifest.digest.clone(), (manifest.bytes.clone(), media_type.to_owned()));
            repository.tags.insert(tag.to_owned(), manifest.digest.clone());
        });
    }

    pub(crate) fn holds_blob(&self, name: &str, blob: &Blob) {
        self.repository(name, |repository| repository.blobs.insert(blob.digest.clone(), blob.bytes.clone()));
    }

    pub(crate) fn holds_tags(&self, name: &str, tags: &[&str]) {
        self.repository(name, |repository| repository.tags.extend(tags.iter().map(|tag| (tag.to_string(), String::new()))));
    }

    pub(crate) fn holds_referrers(&self, name: &str, subject: &str, descriptors: Vec<Value>) {
        self.repository(name, |repository| repository.referrers.insert(subject.to_owned(), descriptors));
    }

    /// Takes in bytes at a path.
    pub(crate) fn holds_path(&self, path: &str, bytes: &Bytes) {
        self.shelf.lock().paths.insert(path.to_owned(), bytes.clone());
    }

    pub(crate) fn loses_tag(&self, name: &str, tag: &str) {
        self.repository(name, |repository| repository.tags.remove(tag));
    }

    fn repository<T>(&self, name: &str, change: impl FnOnce(&mut Repository) -> T) {
        change(self.shelf.lock().repositories.entry(name.to_owned()).or_default());
    }
}

/// How it behaves.
impl Upstream {
    /// Begins a rule: what happens to requests of `method` (or `*`) for `path` (or for all below it, when it ends with `*`).
    pub(crate) fn when(&self, method: &str, path: &str) -> When<'_> {
        When { upstream: self, method: method.to_owned(), path: path.to_owned() }
    }

    /// Forgets all rules and comes up again.
    pub(crate) fn behaves(&self) {
        let mut shelf = self.shelf.lock();
        shelf.rules.clear();
        shelf.down = false;
    }

    /// Closes every connection without an answer.
    pub(crate) fn goes_down(&self) {
        self.shelf.lock().down = true;
    }

    pub(crate) fn knows_no_ranges(&self) {
        self.shelf.lock().ranges = false;
    }

    pub(crate) fn knows_no_referrers(&self) {
        self.shelf.lock().referrers_api = false;
    }

    pub(crate) fn pages_tags(&self, size: usize, form: LinkForm) {
        self.shelf.lock().tag_pages = Some((size, form));
    }

    pub(crate) fn wants_basic(&self, user: &str, password: &str) {
        self.shelf.lock().gatekeeper = Gatekeeper::basic(user, password);
    }

    /// Wants a token, which its own token service gives to everybody.
    pub(crate) fn wants_token(&self, expires_in: Option<u64>) {
        self.wants_token_from(self.url("/token"), expires_in);
    }

    /// Wants a token from elsewhere.
    pub(crate) fn wants_token_from(&self, realm: String, expires_in: Option<u64>) {
        self.shelf.lock().gatekeeper = Gatekeeper::Bearer { realm, valid: Default::default(), issued: 0, expires_in };
    }

    /// All tokens given so far are worth nothing any more.
    pub(crate) fn revokes_tokens(&self) {
        self.shelf.lock().gatekeeper.revoke();
    }
}

/// What was asked of it.
impl Upstream {
    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shelf.lock().log.clone()
    }

    /// Requests of `method` (or `*`) whose path contains `part`.
    pub(crate) fn asked(&self, method: &str, part: &str) -> Vec<Request> {
        let matches = |request: &&Request| (method == "*" || request.method == method) && request.path.contains(part);
        self.shelf.lock().log.iter().filter(matches).cloned().collect()
    }

    /// How many of them.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.asked(method, part).len()
    }

    pub(crate) fn forgets_requests(&self) {
        self.shelf.lock().log.clear();
    }
}

/// A rule under way.
pub(crate) struct When<'a> {
    upstream: &'a Upstream,
    method: String,
    path: String,
}

impl When<'_> {
    pub(crate) fn once(self, fault: Fault) {
        self.times(1, fault);
    }

    pub(crate) fn times(self, remaining: usize, fault: Fault) {
        let Self { upstream, method, path } = self;
        upstream.shelf.lock().rules.push(Rule { method, path, remaining, fault });
    }

    pub(crate) fn always(self, fault: Fault) {
        self.times(usize::MAX, fault);
    }
}

impl Rule {
    fn meets(&self, request: &Request) -> bool {
        let path = match self.path.strip_suffix('*') {
            Some(start) => request.path.starts_with(start),
            None => request.path == self.path,
        };
        path && (self.method == "*" || self.method == request.method) && self.remaining > 0
    }
}

impl Shelf {
    /// Writes the request down and decides the answer; `None` is a closed connection.
    fn receive(&mut self, request: &Request) -> Option<Reply> {
        if self.down {
            return None;
        }
        self.log.push(request.clone());
        let good = self.gatekeeper.stops(request).unwrap_or_else(|| self.answer(request));
        let Some(rule) = self.rules.iter_mut().find(|rule| rule.meets(request)) else {
            return Some(good);
        };
        rule.remaining -= usize::from(rule.remaining != usize::MAX);
        Some((rule.fault)(good))
    }
}

async fn listen(listener: TcpListener, shelf: Arc<Mutex<Shelf>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shelf)));
    }
}

async fn serve(stream: TcpStream, shelf: Arc<Mutex<Shelf>>) {
    let mut connection = Connection::new(stream);
    // An error is a proxy that has gone: it has a right to.
    while let Ok(Some(request)) = connection.request().await {
        let Some(reply) = shelf.lock().receive(&request) else {
            return;
        };
        if !connection.send(reply, request.method != "HEAD").await.unwrap_or(false) {
            return;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
