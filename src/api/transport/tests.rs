//! The transport over real sockets.

mod pipelines;

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{Method, StatusCode, header},
    web,
};
use bytes::Bytes;
use futures_util::StreamExt;

use super::{Lane, OutBody, Receipt};
use crate::{
    api::server::{Running, start},
    config,
    oci::ByteRange,
    tiers::{Body, Piece},
};

const BIG: usize = 24 << 20;

struct Settled(mpsc::Sender<(u64, bool)>);

impl Receipt for Settled {
    fn settle(self: Box<Self>, sent: u64, complete: bool) {
        // The test may have ended.
        let _ = self.0.send((sent, complete));
    }
}

struct Stage {
    runtime: tokio::runtime::Runtime,
    server: Option<Running>,
    address: SocketAddr,
    content: Vec<u8>,
    file: Arc<File>,
    settled: parking_lot::Mutex<mpsc::Receiver<(u64, bool)>>,
}

impl Stage {
    /// How the next answer ended.
    fn settled(&self) -> (u64, bool) {
        self.settled.lock().recv_timeout(Duration::from_secs(60)).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let server = self.server.take();
        self.runtime.block_on(async move { drop(server) });
    }
}

fn content() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..BIG).map(|_| random.u8(..)).collect()
}

fn config() -> config::Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config::Server { listen, workers: 1, ..config::Server::default() }
}

fn stage() -> Stage {
    stage_with(&config())
}

fn stage_with(config: &config::Server) -> Stage {
    let content = content();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    let file = Arc::new(file);
    let (sender, settled) = mpsc::channel();
    let (served, bytes) = (Arc::clone(&file), Bytes::from(content.clone()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        start(config, move |request: HttpRequest, _: web::Payload| {
            let receipt: Box<dyn Receipt> = Box::new(Settled(sender.clone()));
            let response = respond(&request, &served, &bytes, receipt);
            async move { response }
        })
        .unwrap()
    });
    Stage { address: server.address(), runtime, server: Some(server), content, file, settled: settled.into() }
}

fn respond(request: &HttpRequest, file: &Arc<File>, content: &Bytes, receipt: Box<dyn Receipt>) -> HttpResponse<OutBody> {
    let all = ByteRange { start: 0, end: BIG as u64 };
    let part = |start: u64, end: u64| Piece::File { file: Arc::clone(file), range: ByteRange { start, end } };
    let stream = |pieces: Vec<io::Result<Piece>>| {
        // Every piece comes late, as from an upstream.
        Body::Stream(Box::pin(futures_util::stream::iter(pieces).then(|piece| async {
            tokio::task::yield_now().await;
            piece
        })))
    };
    let size = BIG as u64;
    let mixed = || {
        vec![
            Ok(part(0, 5 << 20)),
            Ok(Piece::Bytes(content.slice(5 << 20..5_300_000))),
            Ok(part(5_300_000, 5_300_001)),
            Ok(Piece::Bytes(content.slice(5_300_001..9 << 20))),
            Ok(part(9 << 20, size)),
        ]
    };
    let (body, length) = match request.uri().path() {
        "/small" => (Body::Bytes(content.slice(..100)), Some(100)),
        "/empty" => (Body::Bytes(Bytes::new()), Some(0)),
        "/memory" => (Body::Bytes(content.clone()), Some(size)),
        "/file" => (Body::File { file: Arc::clone(file), range: all }, Some(size)),
        "/part" => (Body::File { file: Arc::clone(file), range: ByteRange { start: 12_345, end: 3_456_789 } }, Some(3_444_444)),
        "/mixed" => (stream(mixed()), Some(size)),
        "/chunked" => (stream(mixed()), None),
        "/breaks" => (stream(vec![Ok(part(0, 1000)), Err(io::Error::other("wrong digest"))]), Some(size)),
        "/breaks-chunked" => (stream(vec![Ok(part(0, 1000)), Err(io::Error::other("wrong digest"))]), None),
        "/too-short" => (stream(vec![Ok(part(0, 1000))]), Some(2000)),
        "/too-long" => (stream(vec![Ok(part(0, 1000)), Ok(part(1000, 2001))]), Some(2000)),
        "/short-file" => (Body::File { file: Arc::clone(file), range: ByteRange { start: 0, end: size + 9 } }, Some(size + 9)),
        other => panic!("{other}"),
    };
    let lane = request.conn_data::<Lane>().cloned().unwrap();
    let body = if request.method() == Method::HEAD {
        OutBody::head(length, lane, Some(receipt))
    } else {
        OutBody::new(body, length, lane, Some(receipt))
    };
    let streamed = body.size() == BodySize::Stream;
    let mut response = HttpResponse::with_body(StatusCode::OK, body);
    if let (true, Some(length)) = (streamed, length) {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        response.head_mut().no_chunking(true);
    }
    response
}

/// A client that knows just enough HTTP.
struct Client {
    stream: io::BufReader<TcpStream>,
}

impl Client {
    fn connect(stage: &Stage) -> Self {
        let stream = TcpStream::connect(stage.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream: io::BufReader::with_capacity(8192, stream) }
    }

    fn send(&mut self, method: &str, path: &str) {
        write!(self.stream.get_mut(), "{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        io::BufRead::read_until(&mut self.stream, b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8(line).unwrap().trim_end().to_ascii_lowercase())
    }

    /// The announced length; `None` for chunks.
    fn head(&mut self) -> io::Result<Option<u64>> {
        assert_eq!(self.line()?, "http/1.1 200 ok");
        let mut length = None;
        loop {
            let line = self.line()?;
            if let Some(value) = line.strip_prefix("content-length: ") {
                assert_eq!(length.replace(value.parse().unwrap()), None, "one length only");
            }
            if line.is_empty() {
                return Ok(length);
            }
        }
    }

    fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        match self.head()? {
            Some(length) => {
                body.resize(length as usize, 0);
                self.stream.read_exact(&mut body)?;
            }
            None => loop {
                let size = usize::from_str_radix(&self.line()?, 16).unwrap();
                let start = body.len();
                body.resize(start + size, 0);
                self.stream.read_exact(&mut body[start..])?;
                assert_eq!(self.line()?, "");
                if size == 0 {
                    break;
                }
            },
        }
        Ok(body)
    }

    fn get(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.send("GET", path);
        self.body()
    }
}

fn expected<'a>(stage: &'a Stage, path: &str) -> &'a [u8] {
    match path {
        "/small" => &stage.content[..100],
        "/empty" => &[],
        "/part" => &stage.content[12_345..3_456_789],
        _ => &stage.content,
    }
}

const WHOLE: [&str; 7] = ["/file", "/small", "/mixed", "/part", "/empty", "/memory", "/chunked"];

#[test]
fn every_kind_of_body_is_exact_on_one_connection() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    for path in WHOLE {
        assert!(client.get(path).unwrap() == expected(&stage, path), "{path}");
        assert_eq!(stage.settled(), (expected(&stage, path).len() as u64, true), "{path}");
    }
}

#[test]
fn a_file_that_is_not_in_the_page_cache_is_exact_too() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    for path in ["/file", "/mixed", "/part"] {
        stage.file.sync_all().unwrap();
        rustix::fs::fadvise(&*stage.file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        assert!(client.get(path).unwrap() == expected(&stage, path), "{path}");
    }
}

#[test]
fn head_has_the_length_and_no_body() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    for path in WHOLE {
        client.send("HEAD", path);
        let length = (path != "/chunked").then_some(expected(&stage, path).len() as u64);
        assert_eq!(client.head().unwrap(), length, "{path}");
    }
    assert_eq!(client.get("/small").unwrap(), expected(&stage, "/small"));
}

#[test]
fn pipelined_answers_do_not_overtake_each_other() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    // Smaller than any body; one smaller than a segment of the loopback device would only measure the kernel's timers.
    rustix::net::sockopt::set_socket_recv_buffer_size(client.stream.get_ref(), 128 << 10).unwrap();
    let paths = ["/small", "/file", "/small", "/small", "/part", "/mixed", "/empty", "/part", "/chunked", "/memory", "/small"];
    for path in paths {
        client.send("GET", path);
    }
    for path in paths {
        assert!(client.body().unwrap() == expected(&stage, path), "{path}");
    }
    for path in paths {
        assert_eq!(stage.settled(), (expected(&stage, path).len() as u64, true), "{path}");
    }
}

#[test]
fn many_clients_at_once() {
    let stage = stage();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::connect(&stage);
                for path in ["/part", "/file", "/small"] {
                    assert!(client.get(path).unwrap() == expected(&stage, path), "{path}");
                }
            });
        }
    });
}

#[test]
fn aborted_downloads_let_go_of_everything() {
    let stage = stage();
    for path in ["/file", "/mixed", "/chunked", "/memory"] {
        for _ in 0..5 {
            let mut client = Client::connect(&stage);
            client.send("GET", path);
            client.head().unwrap();
            let mut some = vec![0; 70_000];
            client.stream.read_exact(&mut some).unwrap();
            client.stream.get_ref().shutdown(Shutdown::Both).unwrap();
            drop(client);
            let (sent, complete) = stage.settled();
            assert!(!complete && sent < BIG as u64, "{path}: {sent}");
        }
    }
    // The only owners left: this test and the server's handler (one of its clones per worker).
    let mut client = Client::connect(&stage);
    client.get("/small").unwrap();
    let owners = Arc::strong_count(&stage.file);
    client.get("/file").unwrap();
    client.get("/small").unwrap();
    assert_eq!(Arc::strong_count(&stage.file), owners);
    assert!(owners <= 4, "{owners}");
}

#[test]
fn what_cannot_be_sent_whole_is_cut() {
    let stage = stage();
    for path in ["/breaks", "/breaks-chunked", "/too-short", "/too-long", "/short-file"] {
        let error = Client::connect(&stage).get(path).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset), "{path}: {error}");
        let (_, complete) = stage.settled();
        assert!(!complete, "{path}");
    }
}

#[test]
fn a_growing_file_is_sent_up_to_where_it_has_grown() {
    let written = Arc::new(AtomicU64::new(0));
    let file = Arc::new(tempfile::tempfile().unwrap());
    let (source, seen) = (Arc::clone(&file), Arc::clone(&written));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        start(&config(), move |request: HttpRequest, _: web::Payload| {
            let (source, seen) = (Arc::clone(&source), Arc::clone(&seen));
            let pieces = futures_util::stream::unfold(0, move |sent| {
                let (source, seen) = (Arc::clone(&source), Arc::clone(&seen));
                async move {
                    while sent < 1_000_000 && seen.load(Ordering::SeqCst) == sent {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    let end = seen.load(Ordering::SeqCst);
                    let range = ByteRange { start: sent, end };
                    (end > sent).then_some((Ok(Piece::File { file: source, range }), end))
                }
            });
            let lane = request.conn_data::<Lane>().cloned().unwrap();
            let body = OutBody::new(Body::Stream(Box::pin(pieces)), Some(1_000_000), lane, None);
            let mut response = HttpResponse::with_body(StatusCode::OK, body);
            response.headers_mut().insert(header::CONTENT_LENGTH, 1_000_000_u64.into());
            response.head_mut().no_chunking(true);
            async move { response }
        })
        .unwrap()
    });
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut client = Client { stream: io::BufReader::new(stream) };
    assert_eq!(client.head().unwrap(), Some(1_000_000));
    let content = &content()[..1_000_000];
    for part in content.chunks(100_000) {
        (&*file).write_all(part).unwrap();
        written.fetch_add(part.len() as u64, Ordering::SeqCst);
        let mut received = vec![0; part.len()];
        client.stream.read_exact(&mut received).unwrap();
        assert!(received == part);
    }
    runtime.block_on(async move { drop(server) });
}

#[test]
fn a_tls_hello_is_turned_away_at_once() {
    let stage = stage();
    let mut stream = TcpStream::connect(stage.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
    let mut answer = Vec::new();
    // Closed, by whatever way, before the time for a request's head is over; and without a word.
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    assert!(answer.is_empty());
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let config = config::Server { write_stall_timeout: Duration::from_millis(300), ..config() };
    let stage = stage_with(&config);
    for path in ["/file", "/memory"] {
        let mut client = Client::connect(&stage);
        client.send("GET", path);
        let (sent, complete) = stage.settled();
        assert!(!complete && sent < BIG as u64, "{path}: {sent}");
    }
}

#[test]
fn stopping_lets_answers_finish() {
    let mut stage = stage();
    let mut client = Client::connect(&stage);
    client.send("GET", "/file");
    assert_eq!(client.head().unwrap(), Some(BIG as u64));
    let server = stage.server.take().unwrap();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| stage.runtime.block_on(server.stop(Duration::from_secs(30))));
        let mut body = vec![0; BIG];
        client.stream.read_exact(&mut body).unwrap();
        assert!(body == stage.content);
        stopping.join().unwrap();
    });
    assert!(TcpStream::connect(stage.address).is_err());
}
