//! A bucket that speaks as much of S3 as an edge asks for: whole objects, ranges, conditions, deletions.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{content::Blob, proxy::Setup};

/// The bucket `box`. Ends when dropped.
pub(crate) struct FakeBucket {
    endpoint: String,
    shelf: Arc<Mutex<Shelf>>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Shelf {
    objects: BTreeMap<String, Bytes>,
    log: Vec<(String, String)>,
    dead: bool,
}

impl FakeBucket {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (endpoint, shelf) = (format!("http://{}/", listener.local_addr().unwrap()), Arc::<Mutex<Shelf>>::default());
        let shared = shelf.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { endpoint, shelf, listening }
    }

    /// The same proxy over this bucket.
    pub(crate) fn below(&self, setup: Setup) -> Setup {
        setup.with(|config| {
            let object = &mut config.storage.object;
            object.url = "s3://box".to_owned();
            object.endpoint = Some(self.endpoint.parse().unwrap());
            object.access_key_id = Some("key".to_owned());
            object.secret_access_key = Some("secret".to_owned().into());
            // The machine may be slow, and this bucket is meant to be quick.
            object.lookup_timeout = std::time::Duration::from_secs(10);
        })
    }

    /// How many objects there are whose name contains `part`.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.shelf.lock().objects.keys().filter(|key| key.contains(part)).count()
    }

    /// How many records whose name contains `part` say nothing any more.
    pub(crate) fn nothing(&self, part: &str) -> usize {
        let shelf = self.shelf.lock();
        let records = shelf.objects.iter().filter(|(key, _)| key.contains(part));
        records.filter(|(_, bytes)| bytes.ends_with(br#""record":null}"#)).count()
    }

    /// Bytes of a blob as they lie here.
    pub(crate) fn holds(&self, blob: &Blob) -> Option<Bytes> {
        self.shelf.lock().objects.get(&place(blob)).cloned()
    }

    /// Puts something else in a blob's place.
    pub(crate) fn swaps(&self, blob: &Blob, bytes: Bytes) {
        self.shelf.lock().objects.insert(place(blob), bytes);
    }

    /// Requests of `method` whose path contains `part`.
    pub(crate) fn asked(&self, method: &str, part: &str) -> usize {
        self.shelf.lock().log.iter().filter(|(asked, path)| asked == method && path.contains(part)).count()
    }

    /// Closes every connection without an answer from now on.
    pub(crate) fn dies(&self) {
        self.shelf.lock().dead = true;
    }
}

impl Drop for FakeBucket {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn place(blob: &Blob) -> String {
    let hex = blob.digest.trim_start_matches("sha256:");
    format!("/box/blobs/sha256/{}/{hex}", &hex[..2])
}

async fn serve(mut stream: TcpStream, shelf: Arc<Mutex<Shelf>>) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end + 4);
        let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let body = Bytes::from(buffer.drain(..length).collect::<Vec<_>>());
        let Some((head, body)) = shelf.lock().answer(&head, body) else { return Ok(()) };
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &&str| line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
    head.lines().find(named).and_then(|line| Some(line.split_once(':')?.1.trim()))
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{:x}\"", u64::from_be_bytes(Sha256::digest(bytes)[..8].try_into().unwrap()))
}

impl Shelf {
    /// Head and body of an answer; `None` is a closed connection.
    fn answer(&mut self, head: &str, body: Bytes) -> Option<(String, Bytes)> {
        let mut words = head.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let path = target.split('?').next()?.to_owned();
        self.log.push((method.to_owned(), path.clone()));
        if self.dead {
            return None;
        }
        let known = self.objects.get(&path).cloned();
        let plain = |status: &str| Some((format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"), Bytes::new()));
        match (method, known) {
            ("PUT", known) => {
                let is_new = header(head, "if-none-match").is_none_or(|_| known.is_none());
                let is_same = header(head, "if-match").is_none_or(|tag| known.is_some_and(|known| etag(&known) == tag));
                if !is_new || !is_same {
                    return plain("412 Precondition Failed");
                }
                let tag = etag(&body);
                self.objects.insert(path, body);
                Some((format!("HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: 0\r\n\r\n"), Bytes::new()))
            }
            ("DELETE", _) => {
                self.objects.remove(&path);
                plain("204 No Content")
            }
            ("POST", _) => {
                let text = String::from_utf8_lossy(&body);
                for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>")) {
                    self.objects.remove(&format!("/box/{}", key.0));
                }
                let body =
                    Bytes::from_static(br#"<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></DeleteResult>"#);
                Some((format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()), body))
            }
            (_, None) => plain("404 Not Found"),
            (_, Some(bytes)) => {
                let start = header(head, "range")
                    .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
                let (status, part, range) = match start {
                    Some(start) => {
                        let range = format!("Content-Range: bytes {start}-{}/{}\r\n", bytes.len() - 1, bytes.len());
                        ("206 Partial Content", bytes.slice(start..), range)
                    }
                    None => ("200 OK", bytes.clone(), String::new()),
                };
                let (length, tag) = (part.len(), etag(&bytes));
                let date = "Last-Modified: Mon, 23 Nov 2026 00:00:00 GMT";
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: {tag}\r\n{date}\r\n{range}\r\n");
                Some((head, if method == "HEAD" { Bytes::new() } else { part }))
            }
        }
    }
}
