//! `harbinger gc`, with a server and without.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use harbinger::oci::{Algorithm, Digest};

use crate::process::{Answer, Serving, harbinger};

/// One content for a file and one for the catalog.
const CONTENTS: [&[u8]; 2] = [&[7; 100_000], b"small"];

fn push(serving: &Serving, content: &[u8]) -> String {
    let digest = Digest::of(Algorithm::Sha256, content);
    let length = format!("content-length: {}\r\n", content.len());
    let mut stream = serving.send("POST", &format!("/v2/local/app/blobs/uploads/?digest={digest}"), &length);
    stream.write_all(content).unwrap();
    assert_eq!(Answer::read(stream).status, 201);
    format!("/v2/local/app/blobs/{digest}")
}

/// What it prints, and how it ends.
fn gc(data: &Path, flags: &[&str]) -> (String, String, Option<i32>) {
    let output = harbinger(&["gc", "--data", data.to_str().unwrap()]).args(flags).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn last_line(data: &Path, flags: &[&str]) -> String {
    let (printed, complaint, code) = gc(data, flags);
    assert_eq!(code, Some(0), "{complaint}");
    printed.lines().last().unwrap().to_owned()
}

fn data(serving: &Serving) -> PathBuf {
    serving.folder.path().join("data")
}

#[test]
fn a_running_server_is_asked() {
    let serving = Serving::with_flags(&["--upstream", "docker.io=http://127.0.0.1:9"]);
    let data = data(&serving);
    let paths = CONTENTS.map(|content| push(&serving, content));
    assert_eq!(last_line(&data, &["--grace", "0s"]), "deleted 0 blobs, 0 B");
    for path in &paths {
        assert_eq!(serving.ask("DELETE", path, "").status, 202);
    }
    assert_eq!(last_line(&data, &["--dry-run"]), "would delete 0 blobs, 0 B", "the grace time spares what is new");
    let (printed, ..) = gc(&data, &["--dry-run", "--grace", "0s"]);
    for path in &paths {
        assert!(printed.contains(path.rsplit('/').next().unwrap()), "{printed}");
    }
    assert_eq!(printed.lines().last().unwrap(), "would delete 2 blobs, 97.7 KiB");
    assert_eq!(last_line(&data, &["--grace", "0s"]), "deleted 2 blobs, 97.7 KiB");
    assert_eq!(last_line(&data, &["--grace", "0s"]), "deleted 0 blobs, 0 B");
    assert_eq!(serving.get("/healthz").status, 200);
}

#[test]
fn without_a_server_it_is_done_here() {
    let mut serving = Serving::with_flags(&["--upstream", "docker.io=http://127.0.0.1:9"]);
    let data = data(&serving);
    for path in CONTENTS.map(|content| push(&serving, content)) {
        assert_eq!(serving.ask("DELETE", &path, "").status, 202);
    }
    serving.signal("TERM");
    assert_eq!(serving.wait(), Some(0));
    assert!(!data.join("admin.json").exists(), "nobody is led to a server that has stopped");
    assert_eq!(last_line(&data, &["--grace", "0s"]), "deleted 2 blobs, 97.7 KiB");
    assert_eq!(last_line(&data, &["--grace", "0s"]), "deleted 0 blobs, 0 B");
}

#[test]
fn where_nothing_is_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (printed, complaint, code) = gc(folder.path(), &[]);
    let expected = format!("error: there is no catalog in {}; name the data folder with --data\n", folder.path().display());
    assert_eq!((printed.as_str(), complaint, code), ("", expected, Some(1)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}

#[test]
fn a_server_that_cannot_be_asked_is_an_error() {
    let serving = Serving::with_flags(&["--upstream", "docker.io=http://127.0.0.1:9"]);
    let data = data(&serving);
    let file = data.join("admin.json");
    let told = std::fs::read_to_string(&file).unwrap();
    let wrong = told.replace("\"token\":\"", "\"token\":\"x");
    for (text, expected) in [("{}", "cannot be read"), (&wrong, "the server answered 401")] {
        std::fs::write(&file, text).unwrap();
        let (_, complaint, code) = gc(&data, &[]);
        assert_eq!(code, Some(1));
        assert!(complaint.contains(expected), "{complaint}");
    }
}
