//! `harbinger scrub`, with a server and without.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use harbinger::oci::{Algorithm, Digest};
use serde_json::Value;

use crate::{
    process::{Answer, Serving, harbinger},
    upstream::Upstream,
};

const TAG: &str = "/v2/library/app/manifests/1";

/// What it prints, and how it ends.
fn scrub(data: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = harbinger(&["scrub", "--data", data.to_str().unwrap()]).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// A server that has pulled the image.
fn pulled() -> (Arc<Upstream>, Serving, PathBuf) {
    let upstream = Upstream::start();
    let serving = Serving::start(&upstream.named("docker.io"));
    assert_eq!(serving.get(TAG).status, 200);
    assert_eq!(serving.get(&upstream.layer_path()).body, upstream.layer);
    serving.landed(&upstream.layer_path());
    let data = serving.folder.path().join("data");
    (upstream, serving, data)
}

fn below(folder: &Path, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").unwrap();
    folder.join("sha256").join(&hex[..2]).join(hex)
}

/// Changes the last byte of a file.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
}

fn last_line(printed: &str) -> &str {
    printed.lines().last().unwrap()
}

#[test]
fn a_running_server_finds_what_has_rotted() {
    let (upstream, serving, data) = pulled();
    let (printed, complaint, code) = scrub(&data, &[]);
    assert_eq!((last_line(&printed), code), ("checked 2 files, 3.0 MiB: all is right", Some(0)), "{complaint}");

    let file = below(&data.join("blobs"), &upstream.layer_digest);
    damage(&file);
    let (printed, complaint, code) = scrub(&data, &["--rate", "1GiB"]);
    assert_eq!((last_line(&printed), code), ("checked 2 files, 3.0 MiB: 1 damaged", Some(1)), "{complaint}");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 3, "{printed}");
    assert_eq!(lines[0], "FAULT        TIER     SIZE  NOW        DIGEST");
    assert_eq!(lines[1], format!("wrong-bytes  disk  3.0 MiB  set aside  {}", upstream.layer_digest));
    let aside = data.join("quarantine").join(upstream.layer_digest.replace(':', "-"));
    assert_ne!(fs::read(aside).unwrap(), upstream.layer);

    assert_eq!(serving.get(&upstream.layer_path()).body, upstream.layer, "as the upstream has it");
    serving.landed(&upstream.layer_path());
    let (printed, complaint, code) = scrub(&data, &["--json"]);
    assert_eq!(code, Some(0), "{complaint}");
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&found["running"], &found["checked"], &found["damaged"]), (&false.into(), &2.into(), &Value::Array(vec![])));
    let metrics = serving.get("/metrics");
    for line in [
        "harbinger_scrub_damaged_total{tier=\"disk\"} 1",
        "harbinger_scrubbed_total{tier=\"disk\"} 6",
        "harbinger_tier_quarantined_files{tier=\"disk\"} 1",
    ] {
        assert!(metrics.text().lines().any(|found| found == line), "{line} is not in:\n{}", metrics.text());
    }
}

#[test]
fn without_a_server_it_is_done_here_and_nothing_is_evicted() {
    let (upstream, mut serving, data) = pulled();
    serving.signal("TERM");
    assert_eq!(serving.wait(), Some(0));
    let file = below(&data.join("blobs"), &upstream.layer_digest);
    let config = data.parent().unwrap().join("small.toml");
    fs::write(&config, "[storage.disk]\nlimit = \"1 KiB\"\n").unwrap();
    let small = ["--config", config.to_str().unwrap()];
    let (printed, complaint, code) = scrub(&data, &small);
    assert_eq!((last_line(&printed), code), ("checked 2 files, 3.0 MiB: all is right", Some(0)), "{complaint}");
    assert!(file.exists(), "to look is not to delete");
    damage(&file);
    let (printed, complaint, code) = scrub(&data, &["--json"]);
    assert_eq!(code, Some(1), "{complaint}");
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(found["damaged"][0]["digest"], upstream.layer_digest);
    assert!(!file.exists());
    assert_eq!(scrub(&data, &[]).2, Some(0), "the catalog is free again");
}

#[test]
fn what_was_pushed_is_named_and_stays() {
    let serving = Serving::with_flags(&["--upstream", "docker.io=http://127.0.0.1:9"]);
    let data = serving.folder.path().join("data");
    let content = vec![7; 100_000];
    let digest = Digest::of(Algorithm::Sha256, &content).to_string();
    let length = format!("content-length: {}\r\n", content.len());
    let mut stream = serving.send("POST", &format!("/v2/local/app/blobs/uploads/?digest={digest}"), &length);
    std::io::Write::write_all(&mut stream, &content).unwrap();
    assert_eq!(Answer::read(stream).status, 201);
    let file = below(&data.join("hosted"), &digest);
    damage(&file);
    for _ in 0..2 {
        let (printed, _, code) = scrub(&data, &[]);
        assert_eq!(code, Some(1));
        assert!(printed.contains(&format!("wrong-bytes  hosted  97.7 KiB  left in place  {digest}\n")), "{printed}");
        assert!(file.exists());
    }
}

#[test]
fn what_cannot_be_done_is_told_apart_from_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (printed, complaint, code) = scrub(folder.path(), &[]);
    let expected = format!("error: there is no catalog in {}; name the data folder with --data\n", folder.path().display());
    assert_eq!((printed.as_str(), complaint, code), ("", expected, Some(2)));
    let (_, complaint, code) = scrub(folder.path(), &["--rate", "0"]);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("must be a number of bytes such as 50MiB, and more than nothing"), "{complaint}");
}
