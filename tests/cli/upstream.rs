//! A tiny registry on loopback: `library/app:1`, one manifest with one layer. Each connection answers one request.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use harbinger::oci::{Algorithm, Digest};

/// More than the memory tier takes, and more than is verified before its head goes out.
const LAYER: usize = 3 << 20;

pub(crate) struct Upstream {
    pub(crate) address: String,
    pub(crate) manifest: String,
    pub(crate) manifest_digest: String,
    pub(crate) layer: Vec<u8>,
    pub(crate) layer_digest: String,
    log: Mutex<Vec<String>>,
    /// Whether layers are sent only in part for now.
    held: (Mutex<bool>, Condvar),
    /// Whether nobody is answered any more.
    dead: AtomicBool,
}

impl Upstream {
    pub(crate) fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let layer: Vec<u8> = (0..LAYER).map(|at| (at / 7 % 251) as u8).collect();
        let layer_digest = Digest::of(Algorithm::Sha256, &layer).to_string();
        let config = Digest::of(Algorithm::Sha256, b"{}").to_string();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": LAYER }],
        });
        let manifest = manifest.to_string();
        let upstream = Arc::new(Self {
            address: listener.local_addr().unwrap().to_string(),
            manifest_digest: Digest::of(Algorithm::Sha256, manifest.as_bytes()).to_string(),
            manifest,
            layer,
            layer_digest,
            log: Mutex::default(),
            held: (Mutex::new(false), Condvar::new()),
            dead: AtomicBool::new(false),
        });
        let ours = Arc::clone(&upstream);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let ours = Arc::clone(&ours);
                thread::spawn(move || ours.answer(stream));
            }
        });
        upstream
    }

    /// The table of a configuration that mirrors this registry as `name`.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("[[upstream]]\nname = \"{name}\"\nurl = \"http://{}\"\n", self.address)
    }

    pub(crate) fn layer_path(&self) -> String {
        format!("/v2/library/app/blobs/{}", self.layer_digest)
    }

    /// Requests so far that begin with `start`.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.starts_with(start)).count()
    }

    /// Lets layers stop in the middle, or go on.
    pub(crate) fn hold(&self, held: bool) {
        *self.held.0.lock().unwrap() = held;
        self.held.1.notify_all();
    }

    /// From now on, connections are closed without an answer.
    pub(crate) fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    fn answer(&self, mut stream: TcpStream) {
        if self.dead.load(Ordering::SeqCst) {
            return;
        }
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        // The rest of the head.
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        self.log.lock().unwrap().push(request.clone());
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        let is_manifest = path == "/v2/library/app/manifests/1" || path.ends_with(&self.manifest_digest);
        let (media_type, digest, body) = if is_manifest {
            ("application/vnd.oci.image.manifest.v1+json", &self.manifest_digest, self.manifest.as_bytes())
        } else if path == self.layer_path() {
            ("application/octet-stream", &self.layer_digest, &self.layer[..])
        } else {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return;
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\ndocker-content-digest: {digest}\r\n\
             connection: close\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        if method == "HEAD" {
            return;
        }
        let (first, rest) = body.split_at(length / 2);
        let _ = stream.write_all(first);
        if !is_manifest {
            let held = self.held.0.lock().unwrap();
            drop(self.held.1.wait_while(held, |held| *held).unwrap());
        }
        let _ = stream.write_all(rest);
    }
}
