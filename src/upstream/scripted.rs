//! A server for tests that says exactly what a test tells it to, and remembers what it was asked.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinHandle,
};
use url::Url;

use super::{HttpOrigin, Identity, http::Surroundings, retry::RetryBudget};
use crate::{config::Upstream, oci::RepositoryName, telemetry::Metrics};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// What the server says.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    head: String,
    body: Vec<u8>,
    own_framing: bool,
    silent: bool,
    delay: Duration,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        let head = format!("HTTP/1.1 {status} X\r\n");
        Self { head, body: Vec::new(), own_framing: false, silent: false, delay: Duration::ZERO }
    }

    /// Nothing, for ever.
    pub(super) fn silence() -> Self {
        Self { silent: true, ..Self::new(200) }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.own_framing |= name == "content-length" || name == "transfer-encoding";
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// With a `Content-Length` that fits, unless a header said otherwise; then the connection is closed after the body.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    async fn write(self, stream: &mut TcpStream, is_head: bool) -> std::io::Result<()> {
        tokio::time::sleep(self.delay).await;
        let length = if self.own_framing { String::new() } else { format!("content-length: {}\r\n", self.body.len()) };
        stream.write_all(format!("{}{length}\r\n", self.head).as_bytes()).await?;
        if !is_head {
            stream.write_all(&self.body).await?;
        }
        stream.flush().await
    }
}

/// The server; it ends with the test.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", |_| script).await
    }

    /// `script` is made from the server's own URL.
    pub(super) async fn start_at<S>(ip: &str, script: impl FnOnce(&Url) -> S) -> Self
    where
        S: Fn(&Seen) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(SocketAddr::new(ip.parse().unwrap(), 0)).await.unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let script = Arc::new(script(&url));
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let record = seen.clone();
        let task = Handle::current().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, record) = (script.clone(), record.clone());
                Handle::current().spawn(async move {
                    // A broken connection is the client's business.
                    let _ = converse(stream, &*script, &record).await;
                });
            }
        });
        Self { url, seen, task }
    }

    /// All requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.seen.lock().iter().filter(|seen| seen.path() == path).count()
    }

    /// The configuration of an upstream that is this server: no retries, short timeouts.
    pub(super) fn config(&self) -> Upstream {
        let mut config = Upstream::new("test.example");
        config.url = Some(self.url.clone());
        config.retries = 0;
        config
    }

    pub(super) fn origin(&self) -> HttpOrigin {
        origin(&self.config())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn origin(config: &Upstream) -> HttpOrigin {
    origin_with(config, &Arc::new(Metrics::new()))
}

pub(super) fn origin_with(config: &Upstream, metrics: &Arc<Metrics>) -> HttpOrigin {
    let surroundings = Surroundings { retry_budget: Arc::new(RetryBudget::default()), helper_directory: None };
    HttpOrigin::within(surroundings, config, metrics, &identity(), Handle::current()).unwrap()
}

/// What the origins of tests say of themselves.
pub(super) fn identity() -> Identity {
    let text = str::to_owned;
    Identity { via: text("harbinger-test"), region: text("eu-1"), customer_header: text("x-harbinger-customer") }
}

pub(super) fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

async fn converse(
    mut stream: TcpStream,
    script: &(dyn Fn(&Seen) -> Reply + Send + Sync),
    record: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(seen) = read(&mut stream, &mut buffer).await? else { return Ok(()) };
        record.lock().push(seen.clone());
        let reply = script(&seen);
        if reply.silent {
            std::future::pending::<()>().await;
        }
        let closes = reply.own_framing && seen.method != "HEAD";
        reply.write(&mut stream, seen.method == "HEAD").await?;
        if closes {
            return stream.shutdown().await;
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Seen>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer.drain(..end + 4).take(end).collect()).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut seen = Seen { method, target, body: String::new(), headers };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    seen.body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
    Ok(Some(seen))
}
