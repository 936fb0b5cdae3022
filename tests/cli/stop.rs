//! `SIGTERM` and Ctrl-C.

use std::{io::Read, net::TcpStream, sync::Arc, thread, time::Duration};

use crate::{
    process::{Answer, Serving},
    upstream::Upstream,
};

/// A pull that has begun and cannot end, at a server that was told to stop.
fn stopping_in_the_middle(signal: &str) -> (Arc<Upstream>, Serving, TcpStream) {
    let upstream = Upstream::start();
    upstream.hold(true);
    // The grace time that counts is the last one that was read.
    let serving = Serving::start(&format!("[server]\nshutdown_grace = \"0s\"\n{}", upstream.named("docker.io")));
    serving.reload(&format!("[server]\nshutdown_grace = \"1h\"\n{}", upstream.named("docker.io")));
    serving.err.wait_for("configuration reloaded");
    let client = serving.send("GET", &upstream.layer_path(), "");
    // It is under way when its head is there.
    assert_eq!(client.peek(&mut [0]).unwrap(), 1);
    serving.signal(signal);
    serving.err.wait_for("stopping; a second signal stops at once");
    (upstream, serving, client)
}

#[test]
fn answers_under_way_are_finished() {
    let (upstream, mut serving, client) = stopping_in_the_middle("TERM");
    // The port closes a moment after the message.
    while TcpStream::connect(&serving.address).is_ok() {
        thread::sleep(Duration::from_millis(10));
    }
    upstream.hold(false);
    let answer = Answer::read(client);
    assert_eq!(answer.status, 200);
    assert!(answer.body == upstream.layer, "{} of {} bytes", answer.body.len(), upstream.layer.len());
    assert_eq!(serving.wait(), Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let (upstream, mut serving, mut client) = stopping_in_the_middle("INT");
    serving.signal("TERM");
    assert_eq!(serving.wait(), Some(1));
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes);
    assert!(bytes.len() < upstream.layer.len());
    upstream.hold(false);
}

#[test]
fn what_outlasts_the_grace_time_is_cut() {
    let upstream = Upstream::start();
    upstream.hold(true);
    let mut serving = Serving::start(&format!("[server]\nshutdown_grace = \"100ms\"\n{}", upstream.named("docker.io")));
    let client = serving.send("GET", &upstream.layer_path(), "");
    assert_eq!(client.peek(&mut [0]).unwrap(), 1);
    serving.signal("TERM");
    assert_eq!(serving.wait(), Some(0));
    assert!(Answer::read(client).body.len() < upstream.layer.len());
    upstream.hold(false);
}
