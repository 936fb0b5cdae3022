//! Two customers in two repositories do anything in any order; after every answer a small model agrees with the server.
//!
//! A failure names its seed; `SEED=<that> cargo test --test push interleavings` runs it again.

mod choices;

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use fastrand::Rng;
use tokio::task::JoinHandle;

use crate::{
    client::Answer,
    content::{Blob, sha256},
    documents::empty_json,
    hosted::{ONE, TWO, closing, uploads_path},
    model::{Document, Model, Repository, Upload},
    proxy::{Proxy, Setup, manifest_path},
};

const STEPS: usize = 260;
const SEEDS: Range<u64> = 1..5;
const CUSTOMERS: [&str; 2] = ["acme", "globex"];
const TAGS: [&str; 3] = ["v1", "v2", "latest"];

/// Each walk has a server of its own, which is stopped and started again on the way.
#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_anything() {
    let mut walks = Vec::new();
    for seed in seeds() {
        let proxy = Arc::new(Setup::hosted().start().await);
        walks.push((seed, tokio::spawn(walk(seed, proxy, [ONE, TWO]))));
    }
    finish(walks).await;
}

/// All walks at one server, each in its own repositories with the same contents, and a collection after the other.
#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_anything_beside_others() {
    const PAIRS: [[&str; 2]; 4] =
        [["local/a", "local/a/b"], ["local/b", "local/c"], ["local/d", "local/e/f/g"], ["local/h", "local/i"]];
    let proxy = Arc::new(Setup::hosted().setting("gc_grace", "0s").start().await);
    let collecting = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move {
            loop {
                proxy.collect("").await;
            }
        }
    });
    let walks = seeds().zip(PAIRS).map(|(seed, names)| (seed, tokio::spawn(walk(seed, Arc::clone(&proxy), names))));
    finish(walks.collect()).await;
    collecting.abort();
}

fn seeds() -> Range<u64> {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    given.map_or(SEEDS, |seed| seed..seed + 1)
}

async fn finish(walks: Vec<(u64, JoinHandle<()>)>) {
    for (seed, walk) in walks {
        assert!(walk.await.is_ok(), "the walk of SEED={seed} has failed");
    }
}

async fn walk(seed: u64, proxy: Arc<Proxy>, names: [&'static str; 2]) {
    let mut walker = Walker::new(seed, proxy, names);
    for _ in 0..STEPS {
        walker = walker.step().await;
    }
    walker.compare_all().await;
    let mut walker = walker.restart().await;
    walker.compare_all().await;
}

/// One walk through the possibilities.
struct Walker {
    proxy: Arc<Proxy>,
    names: [&'static str; 2],
    model: Model,
    rng: Rng,
    contents: Vec<Blob>,
    documents: Vec<Document>,
    /// What was done, for messages.
    trail: Vec<String>,
}

impl Walker {
    fn new(seed: u64, proxy: Arc<Proxy>, names: [&'static str; 2]) -> Self {
        let contents = vec![
            Blob::new(""),
            empty_json(),
            Blob::random(1, 1),
            Blob::random(2, 300),
            Blob::random(3, 5000),
            Blob::random(4, 70_000),
        ];
        let documents = choices::documents(&contents);
        Self { proxy, names, model: Model::default(), rng: Rng::with_seed(seed), contents, documents, trail: Vec::new() }
    }

    async fn step(mut self) -> Self {
        match self.rng.u32(0..100) {
            0..10 => self.open().await,
            10..30 => self.append().await,
            30..36 => self.ask_upload().await,
            36..40 => self.cancel().await,
            40..54 => self.close().await,
            54..60 => self.push_at_once().await,
            60..65 => self.mount().await,
            65..71 => self.read_blob().await,
            71..74 => self.delete_blob().await,
            74..86 => self.push_manifest().await,
            86..91 => self.read_manifest().await,
            91..94 => self.delete_manifest().await,
            94..98 => self.lists().await,
            _ => return self.restart().await,
        }
        self
    }

    /// The status is the expected one, or the whole trail is told.
    #[track_caller]
    fn agree(&mut self, what: String, answer: &Answer, expected: u16) {
        self.trail.push(format!("{what} -> {} {}", answer.status, answer.text().chars().take(200).collect::<String>()));
        if answer.status != expected {
            let tail = &self.trail[self.trail.len().saturating_sub(25)..];
            panic!("expected {expected} of the last of these:\n{}\n{answer:?}", tail.join("\n"));
        }
    }

    async fn open(&mut self) {
        let (name, customer) = (self.repository(), self.customer());
        let answer = self.proxy.request("POST", &uploads_path(name)).customer(customer).send().await;
        self.agree(format!("open in {name} for {customer}"), &answer, 202);
        let location = answer.opens_upload(name);
        self.model.uploads.push(Upload { location, repository: name, customer, bytes: Vec::new(), is_open: true });
    }

    async fn append(&mut self) {
        let Some((at, name, customer, location)) = self.somebodys_upload() else { return };
        let upload = self.model.uploads[at].clone();
        let (taken, piece) = (upload.bytes.len(), self.piece(&upload.bytes));
        let range = match self.rng.u32(0..4) {
            0 if !piece.is_empty() => Some((taken, taken + piece.len() - 1)),
            1 if !piece.is_empty() => Some((taken + 1, taken + piece.len())),
            2 if !piece.is_empty() => Some((taken, taken + piece.len() + self.rng.usize(0..2) - usize::from(piece.len() > 1))),
            _ => None,
        };
        let mut request = self.proxy.request("PATCH", &location).customer(customer);
        if let Some((first, last)) = range {
            request = request.content_range(first, last);
        }
        let is_stream = self.rng.bool();
        let request = if is_stream { request.chunked(piece.chunks(1000)) } else { request.body(piece.clone()) };
        let answer = request.send().await;
        let expected = if !upload.answers(name, customer) {
            404
        } else if range.is_some_and(|(first, last)| first != taken || last < first) {
            416
        } else if range.is_some_and(|(first, last)| last - first + 1 != piece.len()) {
            if is_stream { 400 } else { 416 }
        } else {
            202
        };
        if expected == 202 {
            self.model.uploads[at].bytes.extend(&piece);
        }
        self.agree(format!("append {} at {range:?} to {location} for {customer}", piece.len()), &answer, expected);
        if expected == 202 || expected == 416 {
            assert_eq!(answer.header("Range"), Some(self.model.uploads[at].range().as_str()));
        }
    }

    async fn ask_upload(&mut self) {
        let Some((at, name, customer, location)) = self.somebodys_upload() else { return };
        let answer = self.proxy.request("GET", &location).customer(customer).send().await;
        let upload = self.model.uploads[at].clone();
        let expected = if upload.answers(name, customer) { 204 } else { 404 };
        self.agree(format!("ask {location} for {customer}"), &answer, expected);
        if expected == 204 {
            assert_eq!(answer.header("Range"), Some(upload.range().as_str()));
        }
    }

    async fn cancel(&mut self) {
        let Some((at, name, customer, location)) = self.somebodys_upload() else { return };
        let answer = self.proxy.request("DELETE", &location).customer(customer).send().await;
        let upload = &mut self.model.uploads[at];
        let expected = if upload.answers(name, customer) { 204 } else { 404 };
        upload.is_open &= expected == 404;
        self.agree(format!("cancel {location} for {customer}"), &answer, expected);
    }

    async fn close(&mut self) {
        let Some((at, name, customer, location)) = self.somebodys_upload() else { return };
        let upload = self.model.uploads[at].clone();
        let rest = self.rest(&upload.bytes);
        let bytes = [&upload.bytes[..], &rest].concat();
        let (digest, range) = match self.rng.u32(0..6) {
            0 => (self.content().digest, None),
            1 => (sha256(&bytes), Some((bytes.len() + 1, bytes.len() + rest.len()))),
            2 if !rest.is_empty() => (sha256(&bytes), Some((upload.bytes.len(), bytes.len() - 1))),
            _ => (sha256(&bytes), None),
        };
        let range = range.filter(|(first, last)| first <= last);
        let mut request = self.proxy.request("PUT", &closing(&location, &digest)).customer(customer);
        if let Some((first, last)) = range {
            request = request.content_range(first, last);
        }
        let request = if self.rng.bool() { request.chunked(rest.chunks(3000)) } else { request.body(rest.clone()) };
        let answer = request.send().await;
        let expected = if !upload.answers(name, customer) {
            404
        } else if range.is_some_and(|(first, _)| first != upload.bytes.len()) {
            416
        } else {
            self.model.push(name, &bytes, &digest)
        };
        self.model.uploads[at].is_open &= expected != 201;
        self.agree(format!("close {location} for {customer} with {} at {range:?}, {digest}", rest.len()), &answer, expected);
    }

    async fn push_at_once(&mut self) {
        let (name, customer) = (self.repository(), self.customer());
        let (content, other) = (self.content(), self.content());
        let target = closing(&uploads_path(name), &other.digest);
        let answer = self.proxy.request("POST", &target).customer(customer).body(content.bytes.clone()).send().await;
        let expected = self.model.push(name, &content.bytes, &other.digest);
        self.agree(format!("push {} as {} to {name}", content.digest, other.digest), &answer, expected);
    }

    async fn mount(&mut self) {
        let (name, customer, content) = (self.repository(), self.customer(), self.content());
        // What others have is not in this model.
        let from = (!self.is_alone() || self.rng.bool()).then(|| self.repository());
        let source = from.map(|from| format!("&from={from}")).unwrap_or_default();
        let target = format!("{}?mount={}{source}", uploads_path(name), content.digest);
        let answer = self.proxy.request("POST", &target).customer(customer).send().await;
        let is_there = match from {
            Some(from) => self.model.repository(from).blobs.contains(&content.digest),
            None => self.model.has_anywhere(&content.digest),
        };
        self.agree(format!("mount {} from {from:?} to {name}", content.digest), &answer, if is_there { 201 } else { 202 });
        if is_there {
            self.model.push(name, &content.bytes, &content.digest);
        } else {
            let location = answer.opens_upload(name);
            self.model.uploads.push(Upload { location, repository: name, customer, bytes: Vec::new(), is_open: true });
        }
    }

    async fn read_blob(&mut self) {
        let (name, content) = (self.repository(), self.content());
        self.compare_blob(name, &content).await;
    }

    async fn compare_blob(&mut self, name: &'static str, content: &Blob) {
        let is_there = self.model.repository(name).blobs.contains(&content.digest);
        let answer = self.proxy.get(&crate::proxy::blob_path(name, content)).await;
        self.agree(format!("read {} in {name}", content.digest), &answer, if is_there { 200 } else { 404 });
        if is_there {
            answer.is_exactly(&content.bytes);
        }
    }

    async fn delete_blob(&mut self) {
        let (name, content) = (self.repository(), self.content());
        let answer = self.proxy.delete(&crate::proxy::blob_path(name, &content)).await;
        let was_there = self.model.repository(name).blobs.remove(&content.digest);
        self.agree(format!("delete {} in {name}", content.digest), &answer, if was_there { 202 } else { 404 });
    }

    async fn push_manifest(&mut self) {
        let (name, document) = (self.repository(), self.document());
        let reference = if self.rng.bool() { self.tag().to_owned() } else { document.blob.digest.clone() };
        let answer = self.proxy.put_manifest(name, &reference, &document.blob, document.media_type).await;
        let expected = self.model.repository(name).push_manifest(&reference, &document);
        self.agree(format!("push manifest {} as {reference} to {name}", document.blob.digest), &answer, expected);
        if expected == 201 {
            assert_eq!(answer.header("OCI-Subject"), document.subject.as_deref());
        }
    }

    async fn read_manifest(&mut self) {
        let (name, document) = (self.repository(), self.document());
        let reference = if self.rng.bool() { self.tag().to_owned() } else { document.blob.digest };
        self.compare_manifest(name, &reference).await;
    }

    async fn compare_manifest(&mut self, name: &'static str, reference: &str) {
        let answer = self.proxy.get(&manifest_path(name, reference)).await;
        let found = self.model.repository(name).manifest(reference);
        self.agree(format!("read manifest {reference} in {name}"), &answer, if found.is_some() { 200 } else { 404 });
        if let Some(bytes) = found {
            answer.is_exactly(&bytes);
        }
    }

    async fn delete_manifest(&mut self) {
        let (name, document) = (self.repository(), self.document());
        let reference = if self.rng.bool() { self.tag().to_owned() } else { document.blob.digest };
        let answer = self.proxy.delete(&manifest_path(name, &reference)).await;
        let expected = self.model.repository(name).delete_manifest(&reference);
        self.agree(format!("delete manifest {reference} in {name}"), &answer, expected);
    }

    async fn lists(&mut self) {
        let (name, document) = (self.repository(), self.document());
        self.compare_lists(name, &document.blob.digest).await;
    }

    async fn compare_lists(&mut self, name: &'static str, digest: &str) {
        let answer = self.proxy.get(&format!("/v2/{name}/tags/list")).await;
        let Repository { is_known, tags, .. } = self.model.repository(name);
        let (is_known, tags) = (*is_known, tags.keys().cloned().collect::<Vec<_>>());
        self.agree(format!("list tags of {name}"), &answer, if is_known { 200 } else { 404 });
        if is_known {
            assert_eq!(answer.json()["tags"], serde_json::json!(tags));
        }
        let answer = self.proxy.get(&format!("/v2/{name}/referrers/{digest}")).await;
        self.agree(format!("list referrers of {digest} in {name}"), &answer, 200);
        let index = answer.json();
        let found = index["manifests"].as_array().unwrap().iter();
        let found: BTreeSet<_> = found.map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect();
        assert_eq!(found, self.model.repository(name).referrers(digest));
    }

    async fn compare_all(&mut self) {
        for name in self.names {
            for content in self.contents.clone() {
                self.compare_blob(name, &content).await;
            }
            for document in self.documents.clone() {
                self.compare_manifest(name, &document.blob.digest).await;
                self.compare_lists(name, &document.blob.digest).await;
            }
            for tag in TAGS {
                self.compare_manifest(name, tag).await;
            }
        }
        for upload in self.model.uploads.clone() {
            let answer = self.proxy.request("GET", &upload.location).customer(upload.customer).send().await;
            self.agree(format!("ask {}", upload.location), &answer, if upload.is_open { 204 } else { 404 });
        }
    }

    /// Stops the server and starts it again, unless others use it.
    async fn restart(mut self) -> Self {
        match Arc::try_unwrap(self.proxy) {
            Ok(proxy) => {
                self.trail.push("restart".to_owned());
                self.proxy = Arc::new(proxy.stop().await.start().await);
            }
            Err(shared) => self.proxy = shared,
        }
        self
    }

    fn is_alone(&self) -> bool {
        Arc::strong_count(&self.proxy) == 1
    }
}
