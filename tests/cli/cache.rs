//! `harbinger cache`, and the API behind it.

use std::{path::Path, sync::Arc};

use serde_json::Value;

use crate::{
    process::{Answer, Serving, harbinger},
    upstream::Upstream,
};

const TAG: &str = "/v2/library/app/manifests/1";

/// What it prints, and how it ends.
fn cache(data: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = harbinger(&["cache"]);
    let output = command.args(arguments).args(["--data", data.to_str().unwrap()]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn printed(serving: &Serving, arguments: &[&str]) -> String {
    let (printed, complaint, code) = cache(&serving.folder.path().join("data"), arguments);
    assert_eq!(code, Some(0), "{complaint}");
    printed
}

/// A server from which acme has pulled the image.
fn pulled() -> (Arc<Upstream>, Serving) {
    let upstream = Upstream::start();
    let serving = Serving::start(&format!("[server]\ncustomer_header = \"x-team\"\n{}", upstream.named("docker.io")));
    assert_eq!(serving.ask("GET", TAG, "x-team: acme\r\n").status, 200);
    assert_eq!(serving.ask("GET", &upstream.layer_path(), "x-team: acme\r\n").body, upstream.layer);
    serving.landed(&upstream.layer_path());
    assert_eq!(
        serving.ask("GET", &upstream.layer_path(), "x-team: acme\r\n").header("cache-status"),
        "harbinger; hit; detail=disk"
    );
    (upstream, serving)
}

/// Asks as the operator.
fn ask(serving: &Serving, path: &str) -> Answer {
    let file = std::fs::read(serving.folder.path().join("data/admin.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    serving.ask("GET", path, &format!("authorization: Bearer {}\r\n", file["token"].as_str().unwrap()))
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(answer.text()).unwrap()
}

#[test]
fn what_lies_where_is_told_in_tables() {
    let (upstream, serving) = pulled();
    let lines = |arguments: &[&str]| -> Vec<String> { printed(&serving, arguments).lines().map(str::to_owned).collect() };

    let usage = lines(&["du"]);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&usage[0]), "TIER KIND CUSTOMER ENTRIES SIZE LIMIT SHARE");
    assert!(usage.iter().any(|line| words(line).starts_with("disk disk (all) 2 3.0 MiB 50.0 GiB 0.0 %")), "{usage:?}");
    assert!(usage.iter().any(|line| words(line).starts_with("disk disk acme ")), "{usage:?}");
    assert_eq!(words(usage.last().unwrap()), "hosted hosted (all) 0 0 B");

    let listed = lines(&["ls"]);
    assert_eq!(words(&listed[0]), "DIGEST TIER SIZE HEAT VALUE CUSTOMER VERIFIED");
    assert!(listed[1].starts_with(&format!("{}  disk  3.0 MiB ", &upstream.layer_digest[..19])), "{listed:?}");
    assert!(listed[1].ends_with("  acme      yes"), "{listed:?}");
    assert_eq!((listed.len(), listed[3].as_str()), (4, "2 of 2"));
    let one = lines(&["ls", "--long", "--limit", "1", "--offset", "1", "--sort", "size", "--tier", "disk"]);
    assert!(one[1].starts_with(&upstream.manifest_digest), "{one:?}");
    assert_eq!(one[2], "1 of 2");
    assert_eq!(lines(&["ls", "--customer", "nobody"]).last().unwrap(), "0 of 0");

    let shown = lines(&["show", &upstream.layer_digest]);
    assert_eq!(shown[0], upstream.layer_digest);
    assert!(shown[2].starts_with("disk  disk  3.0 MiB "), "{shown:?}");
    assert_eq!(shown[3..], ["may be read in:".to_owned(), "  docker.io/library/app".to_owned()]);
}

#[test]
fn what_has_rotted_lies_nowhere_after_a_scrub() {
    let (upstream, serving) = pulled();
    upstream.die();
    let hex = upstream.layer_digest.strip_prefix("sha256:").unwrap();
    let file = serving.folder.path().join("data/blobs/sha256").join(&hex[..2]).join(hex);
    std::fs::write(&file, vec![0; upstream.layer.len()]).unwrap();
    let output = harbinger(&["scrub", "--data", serving.folder.path().join("data").to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown: Value = serde_json::from_str(&printed(&serving, &["show", &upstream.layer_digest, "--json"])).unwrap();
    assert_eq!(shown["places"], Value::Array(vec![]));
    assert!(printed(&serving, &["show", &upstream.layer_digest]).contains("\nlies nowhere\n"));
    assert!(printed(&serving, &["du"]).ends_with("damaged files that are kept aside: 1\n"));
}

#[test]
fn json_is_what_the_api_says() {
    let (upstream, serving) = pulled();
    for (arguments, path) in [
        (&["du"][..], "/api/v1/cache".to_owned()),
        (&["ls", "--sort", "digest"], "/api/v1/cache/blobs?sort=digest".to_owned()),
        (&["show", &upstream.layer_digest], format!("/api/v1/cache/blobs/{}", upstream.layer_digest)),
    ] {
        let mut told: Value = serde_json::from_str(&printed(&serving, &[arguments, &["--json"]].concat())).unwrap();
        let mut said = json(&ask(&serving, &path));
        for one in [&mut told, &mut said] {
            forget_heat(one);
        }
        assert_eq!(told, said, "{path}");
    }
}

/// Heat cools down from moment to moment.
fn forget_heat(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| name != "heat" && name != "value");
            fields.values_mut().for_each(forget_heat);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_heat),
        _ => {}
    }
}

#[test]
fn only_the_operator_may_look() {
    let (upstream, serving) = pulled();
    let blob = format!("/api/v1/cache/blobs/{}", upstream.layer_digest);
    for path in ["/api/v1/cache", "/api/v1/cache/blobs", &blob, "/api/v1/scrub"] {
        assert_eq!(serving.get(path).status, 401, "{path}");
        assert_eq!(serving.ask("GET", path, "authorization: Bearer x\r\n").status, 401, "{path}");
        assert_eq!(ask(&serving, path).status, 200, "{path}");
    }
    assert_eq!(serving.ask("POST", "/api/v1/scrub", "").status, 401);
    assert_eq!(json(&ask(&serving, "/api/v1/scrub"))["running"], false, "nobody could begin one");
    assert_eq!(serving.ask("DELETE", "/api/v1/scrub", "").status, 405);
    assert_eq!(serving.ask("POST", "/api/v1/cache", "").status, 405);
}

#[test]
fn wrong_questions_are_explained() {
    let (_upstream, serving) = pulled();
    for (path, status, expected) in [
        ("/api/v1/cache/blobs?tier=floppy", 400, "'tier' is the name of a disk tier: disk"),
        ("/api/v1/cache/blobs?sort=smell", 400, "'sort' is one of size, heat, value and digest"),
        ("/api/v1/cache/blobs?limit=10001", 400, "'limit' is a number, 10000 at most"),
        ("/api/v1/cache/blobs?limit=-1", 400, "'limit' is a number, 10000 at most"),
        ("/api/v1/cache/blobs?offset=100001", 400, "'offset' is a number, 100000 at most"),
        ("/api/v1/cache/blobs/sha256:1", 400, ""),
        (
            "/api/v1/cache/blobs/sha256:0000000000000000000000000000000000000000000000000000000000000000",
            404,
            "nothing is known of this content",
        ),
    ] {
        let answer = ask(&serving, path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
    let (_, complaint, code) = cache(&serving.folder.path().join("data"), &["ls", "--tier", "floppy"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("'tier' is the name of a disk tier: disk"), "{complaint}");
}

#[test]
fn without_a_server_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["du"][..], &["ls"]] {
        let (printed, complaint, code) = cache(folder.path(), arguments);
        assert_eq!((printed.as_str(), code), ("", Some(1)));
        assert!(complaint.contains("no server runs on the data folder"), "{complaint}");
        assert!(complaint.contains("start one with 'harbinger serve', or name its folder with --data"), "{complaint}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}
