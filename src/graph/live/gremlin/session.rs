//! One WebSocket to a server that evaluates Gremlin.

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use url::Url;

use super::map;
use crate::graph::live::{LiveError, Login};

/// GraphSON 3, which every TinkerPop from 3.3 on reads. It is announced before each request.
const MIME: &[u8] = b"\x21application/vnd.gremlin-v3.0+json";

/// How long the server may take for one request, of which it is told.
const PATIENCE: Duration = Duration::from_secs(600);

const SOON: Duration = Duration::from_secs(15);

/// Bytes of an answer at most: what is asked for are some numbers.
const LONGEST: usize = 16 << 20;

/// A connection. After an error it is of no more use.
pub(super) struct Session {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    target: String,
    login: Option<Login>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) async fn open(url: &Url, login: Option<Login>) -> Result<Self, LiveError> {
        let target = url.to_string();
        let config = WebSocketConfig::default().max_message_size(Some(LONGEST)).max_frame_size(Some(LONGEST));
        let connecting = timeout(SOON, connect_async_with_config(url.as_str(), Some(config), true));
        let connected = connecting.await.map_err(|_| LiveError::Silent(SOON.as_secs()))?;
        let (socket, _) = connected.map_err(|error| match error {
            tungstenite::Error::Io(error) => LiveError::Unreachable { target: target.clone(), error },
            other => wrong(&target, &other.to_string()),
        })?;
        Ok(Self { socket, target, login })
    }

    /// Evaluates a script, in a transaction of its own. Gives the parts of its result.
    pub(super) async fn eval(&mut self, script: &str, bindings: &[(&str, Value)]) -> Result<Vec<Value>, LiveError> {
        let bindings = super::entries(bindings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let id = uuid::Uuid::new_v4().to_string();
        let arguments = [
            ("gremlin", json!(script)),
            ("bindings", bindings),
            ("language", json!("gremlin-groovy")),
            ("evaluationTimeout", super::int64(PATIENCE.as_millis() as i64)),
        ];
        self.send(&id, "eval", map(arguments)).await?;
        let mut parts = Vec::new();
        loop {
            let answer = timeout(PATIENCE, self.answer()).await.map_err(|_| LiveError::Silent(PATIENCE.as_secs()))??;
            let message = answer.pointer("/status/message").and_then(Value::as_str).unwrap_or_default();
            match answer.pointer("/status/code").and_then(Value::as_u64) {
                // Of something that was asked before and given up.
                _ if answer["requestId"].as_str().is_some_and(|other| other != id) => {}
                Some(200 | 204) => {
                    parts.push(answer["result"]["data"].clone());
                    return Ok(parts);
                }
                Some(206) => parts.push(answer["result"]["data"].clone()),
                Some(407) => self.log_in(&id).await?,
                Some(401) => return Err(LiveError::Login { target: self.target.clone(), why: message.to_owned() }),
                Some(code) => return Err(LiveError::Refused(format!("{message} ({code})"))),
                None => return Err(wrong(&self.target, "its answer has no status")),
            }
        }
    }

    async fn log_in(&mut self, id: &str) -> Result<(), LiveError> {
        let Some(Login { user, password }) = &self.login else {
            return Err(LiveError::Login { target: self.target.clone(), why: "it wants to know who asks".to_owned() });
        };
        let plain = STANDARD.encode(format!("\0{user}\0{}", password.expose_secret()));
        self.send(id, "authentication", map([("saslMechanism", json!("PLAIN")), ("sasl", json!(plain))])).await
    }

    async fn send(&mut self, id: &str, operation: &str, arguments: Value) -> Result<(), LiveError> {
        let id = json!({"@type": "g:UUID", "@value": id});
        let request = json!({"requestId": id, "op": operation, "processor": "", "args": arguments});
        let bytes = [MIME, request.to_string().as_bytes()].concat();
        self.socket.send(Message::Binary(bytes.into())).await.map_err(|error| broken(&error))
    }

    async fn answer(&mut self) -> Result<Value, LiveError> {
        loop {
            let message = self.socket.next().await.ok_or_else(|| LiveError::Broken("it was closed".to_owned()))?;
            let bytes = match message.map_err(|error| broken(&error))? {
                Message::Text(text) => text.as_bytes().to_vec(),
                Message::Binary(bytes) => bytes.to_vec(),
                Message::Close(why) => {
                    let why = why.map_or_else(|| "the server closed it".to_owned(), |why| why.to_string());
                    return Err(LiveError::Broken(why));
                }
                _ => continue,
            };
            return serde_json::from_slice(&bytes).map_err(|_| wrong(&self.target, "its answer is not JSON"));
        }
    }
}

fn wrong(target: &str, why: &str) -> LiveError {
    LiveError::WrongServer { target: target.to_owned(), expected: "a Gremlin Server", why: why.to_owned() }
}

fn broken(error: &tungstenite::Error) -> LiveError {
    LiveError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, runtime::Handle, task::JoinHandle};
    use tokio_tungstenite::accept_async;

    use super::*;

    /// A server that answers each request with the next of `answers`, a status code and data. Gives what it was told.
    async fn server(answers: Vec<(u16, Value)>) -> (Url, JoinHandle<Vec<Value>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/gremlin", listener.local_addr().unwrap()).parse().unwrap();
        let task = Handle::current().spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            let (mut told, mut answers) = (Vec::new(), answers.into_iter());
            while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
                let request: Value = serde_json::from_slice(bytes.strip_prefix(MIME).unwrap()).unwrap();
                let id = request["requestId"]["@value"].clone();
                told.push(request);
                for (code, data) in answers.by_ref() {
                    let status = json!({"code": code, "message": "why"});
                    let answer = json!({"requestId": id, "status": status, "result": {"data": data}});
                    socket.send(Message::Text(answer.to_string().into())).await.unwrap();
                    if code != 206 {
                        break;
                    }
                }
            }
            told
        });
        (url, task)
    }

    #[tokio::test]
    async fn an_answer_in_parts_is_whole_and_a_login_is_given_when_it_is_wanted() {
        let (url, told) = server(vec![(407, json!(null)), (206, json!(1)), (200, json!(2))]).await;
        let login = Login { user: "u".to_owned(), password: "p".to_owned().into() };
        let mut session = Session::open(&url, Some(login)).await.unwrap();
        assert_eq!(session.eval("x", &[("a", json!("b"))]).await.unwrap(), [1, 2]);
        drop(session);
        let told = told.await.unwrap();
        assert_eq!(told[0]["op"], "eval");
        assert_eq!(told[0]["args"]["@value"][3], map([("a", json!("b"))]));
        assert_eq!((&told[1]["op"], &told[1]["args"]["@value"][3]), (&json!("authentication"), &json!("AHUAcA==")));
        assert_eq!(told[0]["requestId"], told[1]["requestId"]);
    }

    #[tokio::test]
    async fn failures_say_what_is_wrong() {
        for (code, expected) in [(401, "refuses the user name"), (407, "wants to know who asks"), (597, "why (597)")] {
            let (url, _told) = server(vec![(code, json!(null))]).await;
            let error = Session::open(&url, None).await.unwrap().eval("x", &[]).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let nobody = "ws://127.0.0.1:1/gremlin".parse().unwrap();
        assert!(matches!(Session::open(&nobody, None).await.unwrap_err(), LiveError::Unreachable { .. }));
    }
}
