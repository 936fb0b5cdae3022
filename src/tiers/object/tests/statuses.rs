//! The library's own client against answers of a server: what it makes of them must be understood.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::tiers::object::failure::{Failure, explain};

/// A bucket behind a server that answers every request with `head`, and closes.
async fn answering(head: &'static str) -> Bucket {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Handle::current().spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(head.as_bytes()).await;
        }
    });
    connect(&format!("http://{address}"))
}

fn connect(endpoint: &str) -> Bucket {
    let endpoint = Some(endpoint.parse().unwrap());
    let config = Object { url: "s3://box/p".to_owned(), endpoint, anonymous: true, ..Object::default() };
    Bucket::connect(&config).unwrap().unwrap()
}

async fn failure(bucket: &Bucket) -> Failure {
    let path = bucket.blob(&digest_of(b"x"));
    let error = bucket.reads.get(&path).await.unwrap_err();
    assert!(!explain(&error).contains('\n'));
    Failure::of(&error)
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    for (head, expected) in [
        ("HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n", Failure::Absent),
        ("HTTP/1.1 416 x\r\ncontent-length: 0\r\n\r\n", Failure::Absent),
        ("HTTP/1.1 400 x\r\ncontent-length: 0\r\n\r\n", Failure::Refused),
        ("HTTP/1.1 501 x\r\ncontent-length: 0\r\n\r\n", Failure::Refused),
        ("HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n", Failure::Denied),
        ("HTTP/1.1 403 x\r\ncontent-length: 0\r\n\r\n", Failure::Denied),
        ("HTTP/1.1 412 x\r\ncontent-length: 0\r\n\r\n", Failure::Conflict),
        ("HTTP/1.1 429 x\r\ncontent-length: 0\r\n\r\n", Failure::Unwell),
        ("HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n", Failure::Unwell),
        ("HTTP/1.1 503 Slow Down\r\ncontent-length: 8\r\n\r\nSlowDown", Failure::Unwell),
        ("HTTP/1.1 301 x\r\ncontent-length: 0\r\n\r\n", Failure::Unwell),
        ("HTTP/1.1 200 x\r\n", Failure::Unreachable),
        ("no http", Failure::Unreachable),
        ("", Failure::Unreachable),
    ] {
        assert_eq!(failure(&answering(head).await).await, expected, "{head}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(failure(&connect(&format!("http://{address}"))).await, Failure::Unreachable);
}
