//! One connection to a server that speaks Bolt.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::timeout,
};

use super::{
    address::Address,
    packstream::{self, Structure},
};
use crate::graph::live::{LiveError, Login};

/// Bytes of a message of the server, at most: what is asked for has a handful of rows.
const LONGEST: usize = 16 << 20;

/// How long the server may take to say something. A statement that removes much says nothing until it is done.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long connecting and logging in may take.
const SOON: Duration = Duration::from_secs(15);

/// How long a server may take to say which version it speaks. One of another protocol waits for more, and says nothing.
const VERY_SOON: Duration = Duration::from_secs(5);

const PREAMBLE: [u8; 4] = [0x60, 0x60, 0xb0, 0x17];

/// 5.4 and the four before it, 4.4, and nothing else: most wanted first.
const VERSIONS: [[u8; 4]; 4] = [[0, 4, 4, 5], [0, 0, 4, 4], [0; 4], [0; 4]];

/// The largest piece of a message.
const CHUNK: usize = 0xffff;

mod tag {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const GOODBYE: u8 = 0x02;
    pub(super) const RUN: u8 = 0x10;
    pub(super) const BEGIN: u8 = 0x11;
    pub(super) const COMMIT: u8 = 0x12;
    pub(super) const PULL: u8 = 0x3f;
    pub(super) const LOGON: u8 = 0x6a;
    pub(super) const SUCCESS: u8 = 0x70;
    pub(super) const RECORD: u8 = 0x71;
    pub(super) const IGNORED: u8 = 0x7e;
    pub(super) const FAILURE: u8 = 0x7f;
}

/// A connection on which somebody has logged in. After an error it is of no more use.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufStream<TcpStream>,
    target: String,
    database: Option<String>,
}

impl Connection {
    /// Connects, agrees on a version and logs in.
    pub(super) async fn open(address: &Address, login: Option<&Login>) -> Result<Self, LiveError> {
        let target = format!("{}:{}", address.host, address.port);
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = timeout(SOON, connecting).await.map_err(|_| LiveError::Silent(SOON.as_secs()))?;
        let stream = stream.map_err(|error| LiveError::Unreachable { target: target.clone(), error })?;
        // Only a matter of speed: it works without.
        let _ = stream.set_nodelay(true);
        let mut connection = Self { stream: BufStream::new(stream), target, database: address.database.clone() };
        match timeout(SOON, connection.begin(login)).await {
            Ok(begun) => begun.map(|()| connection),
            Err(_) => Err(LiveError::Silent(SOON.as_secs())),
        }
    }

    async fn begin(&mut self, login: Option<&Login>) -> Result<(), LiveError> {
        let version = match timeout(VERY_SOON, self.agree()).await {
            Ok(agreed) => agreed?,
            Err(_) => return Err(self.wrong(&format!("it said nothing within {} s", VERY_SOON.as_secs()))),
        };
        let agent = concat!("Harbinger/", env!("CARGO_PKG_VERSION"));
        let mut hello = json!({"user_agent": agent});
        let shown = match login {
            Some(Login { user, password }) => {
                json!({"scheme": "basic", "principal": user, "credentials": password.expose_secret()})
            }
            None => json!({"scheme": "none"}),
        };
        let separate_logon = version >= (5, 1);
        if version >= (5, 3) {
            hello["bolt_agent"] = json!({"product": agent});
        }
        if let (false, Value::Object(hello), Value::Object(shown)) = (separate_logon, &mut hello, &shown) {
            hello.extend(shown.clone());
        }
        self.send(tag::HELLO, &[&hello]).await?;
        if separate_logon {
            self.send(tag::LOGON, &[&shown]).await?;
        }
        self.flush().await?;
        for _ in 0..1 + usize::from(separate_logon) {
            self.answer().await?;
        }
        Ok(())
    }

    /// The version that the server chooses, as major and minor number.
    async fn agree(&mut self) -> Result<(u8, u8), LiveError> {
        let offer = [PREAMBLE, VERSIONS[0], VERSIONS[1], VERSIONS[2], VERSIONS[3]].concat();
        self.stream.write_all(&offer).await.map_err(broken)?;
        self.flush().await?;
        let mut chosen = [0; 4];
        let read = self.stream.read_exact(&mut chosen).await;
        match chosen {
            _ if read.is_err() => Err(self.wrong("it closed the connection")),
            [0, 0, minor @ 0..=4, 5] => Ok((5, minor)),
            [0, 0, 4, 4] => Ok((4, 4)),
            [0, 0, 0, 0] => Err(self.wrong("it speaks no version of Bolt that is spoken here: 4.4, 5.0 to 5.4")),
            _ => Err(self.wrong("it does not speak Bolt")),
        }
    }

    /// Runs a statement that brings its own transactions. Gives its rows.
    pub(super) async fn run(&mut self, text: &str, parameters: &Value) -> Result<Vec<Vec<Value>>, LiveError> {
        self.send(tag::RUN, &[&json!(text), parameters, &self.place()]).await?;
        self.send(tag::PULL, &[&json!({"n": -1})]).await?;
        self.flush().await?;
        self.answer().await?;
        self.answer().await
    }

    /// Runs statements in one transaction: all of them, or none. All is sent before the first answer is read.
    pub(super) async fn transaction(&mut self, statements: &[(String, Value)]) -> Result<(), LiveError> {
        self.send(tag::BEGIN, &[&self.place()]).await?;
        for (text, parameters) in statements {
            self.send(tag::RUN, &[&json!(text), parameters, &json!({})]).await?;
            self.send(tag::PULL, &[&json!({"n": -1})]).await?;
        }
        self.send(tag::COMMIT, &[]).await?;
        self.flush().await?;
        for _ in 0..2 + 2 * statements.len() {
            self.answer().await?;
        }
        Ok(())
    }

    /// Which database is meant.
    fn place(&self) -> Value {
        self.database.as_ref().map_or_else(|| json!({}), |database| json!({"db": database}))
    }

    async fn send(&mut self, tag: u8, fields: &[&Value]) -> Result<(), LiveError> {
        let message = packstream::message(tag, fields);
        for chunk in message.chunks(CHUNK) {
            self.stream.write_all(&(chunk.len() as u16).to_be_bytes()).await.map_err(broken)?;
            self.stream.write_all(chunk).await.map_err(broken)?;
        }
        self.stream.write_all(&[0, 0]).await.map_err(broken)
    }

    async fn flush(&mut self) -> Result<(), LiveError> {
        self.stream.flush().await.map_err(broken)
    }

    /// The answer to one message: the rows before its end.
    async fn answer(&mut self) -> Result<Vec<Vec<Value>>, LiveError> {
        let mut rows = Vec::new();
        loop {
            let message = timeout(PATIENCE, self.message()).await.map_err(|_| LiveError::Silent(PATIENCE.as_secs()))??;
            let Structure { tag, mut fields } = packstream::read(&message).map_err(|error| self.wrong(&error.to_string()))?;
            match (tag, fields.pop()) {
                (tag::SUCCESS, _) => return Ok(rows),
                (tag::RECORD, Some(Value::Array(row))) => rows.push(row),
                (tag::FAILURE, Some(why)) => return Err(self.failure(&why)),
                (tag::IGNORED, _) => return Err(LiveError::Refused("it ignores what follows an error".to_owned())),
                (other, _) => return Err(self.wrong(&format!("it sent a message {other:#04x}"))),
            }
        }
    }

    /// The bytes of a message, from its chunks. Empty ones between messages only show that the server is alive.
    async fn message(&mut self) -> Result<Vec<u8>, LiveError> {
        let mut message = Vec::new();
        loop {
            let length = self.stream.read_u16().await.map_err(broken)?;
            match usize::from(length) {
                0 if message.is_empty() => {}
                0 => return Ok(message),
                length if message.len() + length > LONGEST => return Err(self.wrong("it sent a message that is too long")),
                length => {
                    let begun = message.len();
                    message.resize(begun + length, 0);
                    self.stream.read_exact(&mut message[begun..]).await.map_err(broken)?;
                }
            }
        }
    }

    fn failure(&self, why: &Value) -> LiveError {
        let text = |name: &str| why.get(name).and_then(Value::as_str).unwrap_or_default();
        let (code, message) = (text("code"), text("message"));
        if code.contains(".Security.") {
            return LiveError::Login { target: self.target.clone(), why: message.to_owned() };
        }
        LiveError::Refused(format!("{message} ({code})"))
    }

    fn wrong(&self, why: &str) -> LiveError {
        LiveError::WrongServer { target: self.target.clone(), expected: "a Neo4j", why: why.to_owned() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server is told, if that can be done at once; it notices the end of the connection in any case.
        let _ = self.stream.get_ref().try_write(&[0, 2, 0xb0, tag::GOODBYE, 0, 0]);
    }
}

fn broken(error: std::io::Error) -> LiveError {
    LiveError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};

    use super::*;

    /// A server that says `replies`, whatever it is told, after the version. Gives what it was told once the client has left.
    async fn server(version: [u8; 4], replies: Vec<Vec<u8>>) -> (Address, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = Handle::current().spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut offer = [0; 20];
            stream.read_exact(&mut offer).await.unwrap();
            stream.write_all(&version).await.unwrap();
            for reply in replies {
                for chunk in reply.chunks(7) {
                    stream.write_all(&[0, chunk.len() as u8]).await.unwrap();
                    stream.write_all(chunk).await.unwrap();
                }
                stream.write_all(&[0, 0, 0, 0]).await.unwrap();
            }
            let mut told = Vec::new();
            let _ = stream.read_to_end(&mut told).await;
            [&offer[..], &told].concat()
        });
        (Address { host: "127.0.0.1".to_owned(), port, database: Some("db".to_owned()) }, task)
    }

    fn success() -> Vec<u8> {
        packstream::message(tag::SUCCESS, &[&json!({})])
    }

    fn login() -> Login {
        Login { user: "neo4j".to_owned(), password: "secret".to_owned().into() }
    }

    #[tokio::test]
    async fn rows_are_read_and_the_database_is_named() {
        let row = packstream::message(tag::RECORD, &[&json!([1, "x"])]);
        let (address, told) = server([0, 0, 4, 5], vec![success(), success(), success(), row, success()]).await;
        let mut connection = Connection::open(&address, Some(&login())).await.unwrap();
        let long = "y".repeat(70_000);
        assert_eq!(connection.run(&long, &json!({})).await.unwrap(), [vec![json!(1), json!("x")]]);
        drop(connection);
        let told = told.await.unwrap();
        assert_eq!(told[..8], [&PREAMBLE[..], &[0, 4, 4, 5]].concat());
        let has = |part: &[u8]| told.windows(part.len()).any(|window| window == part);
        assert!(has(b"credentials\x86secret") && has(b"\x82db\x82db") && has(b"\xd2\0\x01\x11\x70yyy"));
    }

    #[tokio::test]
    async fn an_old_server_is_told_who_asks_in_the_greeting() {
        let (address, told) = server([0, 0, 4, 4], vec![success()]).await;
        drop(Connection::open(&address, Some(&login())).await.unwrap());
        let told = told.await.unwrap();
        assert_eq!(told[22..24], [0xb1, tag::HELLO]);
        assert!(told.windows(6).any(|window| window == b"secret"));
    }

    #[tokio::test]
    async fn failures_say_what_is_wrong() {
        let failure = |code: &str| packstream::message(tag::FAILURE, &[&json!({"code": code, "message": "no"})]);
        let refused = vec![success(), failure("Neo.ClientError.Security.Unauthorized")];
        let (address, _told) = server([0, 0, 4, 5], refused).await;
        let error = Connection::open(&address, Some(&login())).await.unwrap_err();
        assert!(matches!(error, LiveError::Login { .. }), "{error}");

        let replies = vec![success(), success(), failure("Neo.ClientError.Statement.SyntaxError")];
        let (address, _told) = server([0, 0, 1, 5], replies).await;
        let error = Connection::open(&address, None).await.unwrap().run("x", &json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), "the database refused a request: no (Neo.ClientError.Statement.SyntaxError)");

        for version in [[0; 4], *b"HTTP"] {
            let (address, _told) = server(version, vec![]).await;
            let error = Connection::open(&address, None).await.unwrap_err();
            assert!(matches!(error, LiveError::WrongServer { .. }), "{error}");
        }
        let nobody = Address { host: "127.0.0.1".to_owned(), port: 1, database: None };
        assert!(matches!(Connection::open(&nobody, None).await.unwrap_err(), LiveError::Unreachable { .. }));
    }
}
