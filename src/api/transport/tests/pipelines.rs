//! Requests that are sent before the answers to others have come.

use super::*;

const MIX: [(&str, &str); 9] = [
    ("GET", "/small"),
    ("HEAD", "/file"),
    ("GET", "/file"),
    ("HEAD", "/small"),
    ("GET", "/chunked"),
    ("HEAD", "/empty"),
    ("GET", "/empty"),
    ("GET", "/memory"),
    ("HEAD", "/small"),
];

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

/// Requests for `MIX`, and a last one that closes the connection.
fn mix() -> String {
    let mut bytes: String = MIX.iter().map(|(method, path)| request(method, path, "")).collect();
    bytes += &request("GET", "/part", "Connection: close\r\n");
    bytes
}

#[track_caller]
fn is_answered(client: &mut Client, stage: &Stage, method: &str, path: &str) {
    if method == "HEAD" {
        assert_eq!(client.head().unwrap(), Some(expected(stage, path).len() as u64), "{path}");
    } else {
        assert!(client.body().unwrap() == expected(stage, path), "{path}");
    }
}

#[track_caller]
fn is_closed(client: &mut Client) {
    assert_eq!(client.line().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[track_caller]
fn mix_is_answered(client: &mut Client, stage: &Stage) {
    for (method, path) in MIX {
        is_answered(client, stage, method, path);
    }
    is_answered(client, stage, "GET", "/part");
    is_closed(client);
}

#[test]
fn each_request_is_answered_as_if_it_were_alone() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    client.stream.get_mut().write_all(mix().as_bytes()).unwrap();
    mix_is_answered(&mut client, &stage);
}

#[test]
fn byte_by_byte() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    client.stream.get_ref().set_nodelay(true).unwrap();
    let mut writer = client.stream.get_ref().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for byte in mix().as_bytes() {
                writer.write_all(&[*byte]).unwrap();
            }
        });
        mix_is_answered(&mut client, &stage);
    });
}

#[test]
fn more_requests_than_are_read_at_once() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    let mut writer = client.stream.get_ref().try_clone().unwrap();
    let asked: Vec<_> = (0..2000).map(|n| if n % 3 == 0 { ("HEAD", "/part") } else { ("GET", "/small") }).collect();
    let bytes: String = asked.iter().map(|(method, path)| request(method, path, "")).collect();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(bytes.as_bytes()).unwrap());
        for (method, path) in asked {
            is_answered(&mut client, &stage, method, path);
        }
    });
    assert_eq!(client.get("/small").unwrap(), expected(&stage, "/small"));
}

#[test]
fn a_client_that_has_said_all_still_hears_all() {
    let stage = stage();
    for asked in [&MIX[..], &MIX[..1], &MIX[2..3]] {
        let mut client = Client::connect(&stage);
        let bytes: String = asked.iter().map(|(method, path)| request(method, path, "")).collect();
        client.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
        client.stream.get_ref().shutdown(Shutdown::Write).unwrap();
        for (method, path) in asked {
            is_answered(&mut client, &stage, method, path);
        }
        is_closed(&mut client);
    }
}

#[test]
fn what_follows_the_last_request_does_not_spoil_its_answer() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    // Too large for the kernel's buffers: it has not left before everything is written.
    let bytes = request("GET", "/file", "Connection: close\r\n") + &request("GET", "/small", "").repeat(1000);
    client.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
    is_answered(&mut client, &stage, "GET", "/file");
    is_closed(&mut client);
}

#[test]
fn an_error_waits_for_its_turn_and_ends_the_connection() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    let bytes = request("GET", "/file", "") + "nonsense\r\n\r\n" + &request("GET", "/small", "");
    client.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
    is_answered(&mut client, &stage, "GET", "/file");
    assert_eq!(client.line().unwrap(), "http/1.1 400 bad request");
    while !client.line().unwrap().is_empty() {}
    is_closed(&mut client);
}

#[test]
fn a_request_body_is_not_held_back() {
    let stage = stage();
    for (headers, body) in [
        ("Content-Length: 5\r\n", "\r\n\r\n!"),
        ("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "4\r\n\r\n\r\n\r\n0\r\n\r\n"),
    ] {
        for size in [1, 1000] {
            let mut client = Client::connect(&stage);
            client.stream.get_ref().set_nodelay(true).unwrap();
            let bytes = request("PUT", "/small", headers) + body;
            for piece in bytes.as_bytes().chunks(size) {
                client.stream.get_mut().write_all(piece).unwrap();
            }
            client.stream.get_ref().shutdown(Shutdown::Write).unwrap();
            if headers.starts_with("Expect") {
                assert_eq!((client.line().unwrap().as_str(), client.line().unwrap().as_str()), ("http/1.1 100 continue", ""));
            }
            is_answered(&mut client, &stage, "PUT", "/small");
            is_closed(&mut client);
        }
    }
}

#[test]
fn a_connection_goes_on_after_a_request_in_chunks() {
    let stage = stage();
    let mut client = Client::connect(&stage);
    let bytes = request("PUT", "/small", "Transfer-Encoding: chunked\r\n") + "2\r\n\n\n\r\n0\r\n\r\n";
    client.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
    is_answered(&mut client, &stage, "PUT", "/small");
    for path in ["/small", "/part"] {
        assert!(client.get(path).unwrap() == expected(&stage, path), "{path}");
    }
}
