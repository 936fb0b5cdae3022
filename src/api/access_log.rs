//! One line per request on standard output. Writing never holds up a request: when the writer is behind, lines are dropped
//! and counted.

mod clock;

use std::{
    borrow::Cow,
    io::{self, Write},
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use actix_web::{HttpRequest, http::header};
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;

use crate::{
    config::AccessLog as Format,
    customers::Customer,
    oci::RepositoryName,
    telemetry::{CacheStatus, Metrics},
};

/// Lines that wait for the writer.
const QUEUE: usize = 8192;

/// Longest text from a client in a line, in bytes.
const MAX_TEXT: usize = 256;

/// The way to the writer.
pub(super) struct AccessLog {
    lines: SyncSender<String>,
    dropped: Counter,
    format: Format,
    region: String,
    customer_header: String,
}

impl AccessLog {
    /// Starts the writer; `None` when the log is off. The writer ends when the last line's owner is gone.
    pub(super) fn start(
        format: Format,
        region: &str,
        customer_header: &str,
        metrics: &Metrics,
        out: impl Write + Send + 'static,
    ) -> io::Result<Option<Arc<Self>>> {
        if format == Format::Off {
            return Ok(None);
        }
        let dropped = Counter::default();
        metrics.register(|registry| {
            registry.register("access_log_dropped", "Lines of the access log that could not be written", dropped.clone());
        });
        let (lines, queue) = sync_channel(QUEUE);
        thread::Builder::new().name("access-log".to_owned()).spawn(move || write_lines(&queue, out))?;
        let (region, customer_header) = (region.to_owned(), customer_header.to_owned());
        Ok(Some(Arc::new(Self { lines, dropped, format, region, customer_header })))
    }

    /// Begins the line of a request.
    pub(super) fn line(self: &Arc<Self>, request: &HttpRequest) -> Box<Line> {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        Box::new(Line {
            log: Arc::clone(self),
            time: SystemTime::now(),
            customer: Customer::from_header(text(&self.customer_header)),
            client: request.peer_addr(),
            method: cut(request.method().as_str()),
            path: cut(request.uri().path_and_query().map_or("", |path| path.as_str())),
            user_agent: cut(text(header::USER_AGENT.as_str()).unwrap_or_default()),
            upstream: None,
            repository: None,
            reference: String::new(),
            first_byte: None,
            error: None,
        })
    }
}

/// Writes what has come, and flushes whenever nothing more waits. A closed standard output is no reason to stop serving.
fn write_lines(queue: &Receiver<String>, out: impl Write) {
    let mut out = io::BufWriter::with_capacity(64 << 10, out);
    while let Ok(line) = queue.recv() {
        let _ = out.write_all(line.as_bytes());
        while let Ok(line) = queue.try_recv() {
            let _ = out.write_all(line.as_bytes());
        }
        let _ = out.flush();
    }
}

/// What is known of a request until its end.
pub(super) struct Line {
    log: Arc<AccessLog>,
    time: SystemTime,
    pub(super) customer: Customer,
    client: Option<SocketAddr>,
    method: String,
    path: String,
    user_agent: String,
    pub(super) upstream: Option<Arc<str>>,
    pub(super) repository: Option<RepositoryName>,
    pub(super) reference: String,
    /// From the request's head to the answer's.
    pub(super) first_byte: Option<Duration>,
    pub(super) error: Option<String>,
}

/// A line as it is written; the order of fields is the order of words in the text form.
#[derive(Serialize)]
struct Record<'a> {
    time: String,
    region: &'a str,
    customer: &'a str,
    client: Option<SocketAddr>,
    method: &'a str,
    path: &'a str,
    upstream: Option<&'a str>,
    repository: Option<&'a str>,
    reference: Option<&'a str>,
    status: u16,
    bytes_sent: u64,
    first_byte_us: Option<u64>,
    total_us: u64,
    cache: &'a str,
    cache_detail: &'a str,
    cut_off: bool,
    user_agent: &'a str,
    error: Option<&'a str>,
}

impl Line {
    /// Ends the line and gives it to the writer.
    pub(super) fn write(&self, status: u16, cache: CacheStatus, bytes_sent: u64, complete: bool, total: Duration) {
        let record = Record {
            time: clock::rfc3339(self.time),
            region: &self.log.region,
            customer: self.customer.as_str(),
            client: self.client,
            method: &self.method,
            path: &self.path,
            upstream: self.upstream.as_deref(),
            repository: self.repository.as_ref().map(RepositoryName::as_str),
            reference: Some(self.reference.as_str()).filter(|reference| !reference.is_empty()),
            status,
            bytes_sent,
            first_byte_us: self.first_byte.map(|time| time.as_micros() as u64),
            total_us: total.as_micros() as u64,
            cache: cache.outcome(),
            cache_detail: cache.detail(),
            cut_off: !complete,
            user_agent: &self.user_agent,
            error: self.error.as_deref(),
        };
        let line = if self.log.format == Format::Json { record.json() } else { record.text() };
        if self.log.lines.try_send(line).is_err() {
            self.log.dropped.inc();
        }
    }
}

impl Record<'_> {
    fn json(&self) -> String {
        // Strings and numbers cannot fail to be written as JSON.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    fn text(&self) -> String {
        use std::fmt::Write as _;

        let mut line = String::with_capacity(256);
        let client = self.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "{} {} {} {client} \"{} {}\" {} {}B {}us cache={}/{}",
            self.time,
            self.region,
            self.customer,
            harmless(self.method),
            harmless(self.path),
            self.status,
            self.bytes_sent,
            self.total_us,
            self.cache,
            self.cache_detail
        );
        if let Some(first_byte) = self.first_byte_us {
            let _ = write!(line, " first_byte={first_byte}us");
        }
        if let (Some(upstream), Some(repository)) = (self.upstream, self.repository) {
            let _ = write!(line, " upstream={upstream} repository={repository}");
        }
        if let Some(reference) = self.reference {
            let _ = write!(line, " reference={}", harmless(reference));
        }
        if self.cut_off {
            line.push_str(" cut-off");
        }
        let _ = write!(line, " agent=\"{}\"", harmless(self.user_agent));
        if let Some(error) = self.error {
            let _ = write!(line, " error=\"{}\"", harmless(error));
        }
        line.push('\n');
        line
    }
}

/// The beginning of a text from a client.
pub(super) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

/// A text that does nothing to a terminal and does not end its quotes; as JSON, texts are so anyway.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        return text.into();
    }
    text.escape_default().to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record<'static> {
        Record {
            time: "2026-11-23T06:00:00.000Z".to_owned(),
            region: "eu",
            customer: "acme",
            client: Some(SocketAddr::from(([127, 0, 0, 1], 9))),
            method: "GET",
            path: "/v2/",
            upstream: Some("hub"),
            repository: Some("library/x"),
            reference: Some("latest"),
            status: 502,
            bytes_sent: 7,
            first_byte_us: Some(5),
            total_us: 9,
            cache: "miss",
            cache_detail: "absent",
            cut_off: true,
            user_agent: "curl/8",
            error: Some("a\nb\"\u{1b}"),
        }
    }

    #[test]
    fn a_line_is_one_line_in_either_form() {
        let json = record().json();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["error"], "a\nb\"\u{1b}");
        assert_eq!(value["bytes_sent"], 7);
        assert_eq!(value["cut_off"], true);
        let text = record().text();
        for line in [&json, &text] {
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(line.ends_with('\n') && !line.contains('\u{1b}'), "{line}");
        }
        assert!(text.contains("\"GET /v2/\" 502 7B 9us cache=miss/absent"), "{text}");
    }

    #[test]
    fn texts_of_clients_are_harmless() {
        assert_eq!(harmless("containerd/2.1 'x'"), "containerd/2.1 'x'");
        assert_eq!(harmless("\u{1b}[31m\"x\r\n"), "\\u{1b}[31m\\\"x\\r\\n");
        assert!(harmless("é").is_ascii());
        assert_eq!(cut(&"a".repeat(1000)).len(), MAX_TEXT);
        assert_eq!(cut(&format!("a{}", "é".repeat(1000))).len(), MAX_TEXT - 1);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let (release, gate) = std::sync::mpsc::channel();
        let log = AccessLog::start(Format::Json, "eu", "x-customer", &Metrics::new(), Stuck(gate)).unwrap().unwrap();
        let request = actix_web::test::TestRequest::get().uri("/v2/").to_http_request();
        for _ in 0..QUEUE * 2 {
            log.line(&request).write(200, CacheStatus::None, 0, true, Duration::ZERO);
        }
        assert!(log.dropped.get() > 0);
        drop(release);
    }

    #[test]
    fn off_is_nothing() {
        assert!(AccessLog::start(Format::Off, "", "x", &Metrics::new(), io::sink()).unwrap().is_none());
    }
}
