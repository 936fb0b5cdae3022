//! `harbinger log`, beside a server that runs, and after one that was killed.

use std::{fs, path::Path, thread, time::Duration};

use serde_json::Value;

use crate::{
    process::{Serving, harbinger},
    upstream::Upstream,
};

const TAG: &str = "/v2/library/app/manifests/1";

/// What it prints, and how it ends.
fn log(data: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = harbinger(&["log"]);
    let output = command.args(arguments).args(["--data", data.to_str().unwrap()]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn printed(data: &Path, arguments: &[&str]) -> String {
    let (printed, complaint, code) = log(data, arguments);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{arguments:?}");
    printed
}

/// Waits until the log holds this many requests.
fn holds(data: &Path, requests: usize) -> Vec<Value> {
    loop {
        let (printed, _, _) = log(data, &["export", "--format", "jsonl"]);
        let events: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found: Vec<_> = events.into_iter().filter(|event| event["event"] == "request").collect();
        if found.len() >= requests {
            return found;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_log_is_read_while_the_server_runs_and_outlives_a_kill() {
    let upstream = Upstream::start();
    let mut serving = Serving::start(&format!("[demand_log]\nprivacy = \"full\"\n{}", upstream.named("docker.io")));
    let data = serving.folder.path().join("data");
    for path in [TAG, &upstream.layer_path()] {
        assert_eq!(serving.ask("GET", path, "x-harbinger-customer: acme\r\n").status, 200);
    }
    let requests = holds(&data, 2);
    assert_eq!((&requests[0]["tag"], &requests[0]["customer"]), (&"1".into(), &"acme".into()));
    assert_eq!(requests[1]["digest"], upstream.layer_digest.as_str());

    let table = printed(&data, &["export", "--format", "csv"]);
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("time,event,customer,region,client,route,repository,private,tag,digest,"));
    assert!(lines.any(|line| line.contains(",request,acme,") && line.contains(&upstream.layer_digest)), "{table}");
    let list = printed(&data, &["ls"]);
    assert!(list.starts_with("SEGMENT") && list.contains("  full\n") && list.contains(" events, "), "{list}");

    serving.signal("KILL");
    serving.wait();
    assert_eq!(holds(&data, 2), requests);
    assert_eq!(printed(&data, &["export", "--format", "jsonl", "--until", "2020-01-01"]), "");
    let out = serving.folder.path().join("out.csv");
    assert_eq!(printed(&data, &["export", "--format", "csv", "--out", out.to_str().unwrap()]), "");
    assert_eq!(fs::read_to_string(&out).unwrap(), table);
}

#[test]
fn what_cannot_be_exported_is_told_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let (_, error, code) = log(folder.path(), &["ls"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("there is no demand log in") && error.contains("name its folder with --data"), "{error}");
    let (_, error, _) = log(folder.path(), &["export", "--format", "csv", "--since", "1h", "--until", "2h"]);
    assert!(error.contains("--since must be the earlier one"), "{error}");
    let (_, error, code) = log(folder.path(), &["export", "--format", "csv", "--since", "yesterday"]);
    assert!(code == Some(2) && error.contains("a date such as 2026-11-23"), "{error}");
    if !cfg!(feature = "parquet") {
        let (_, error, code) = log(folder.path(), &["export", "--format", "parquet"]);
        assert!(code == Some(1) && error.contains("--features parquet"), "{error}");
    }
    let stray = folder.path().join("x.trace");
    fs::write(&stray, "something else that is long enough").unwrap();
    let output = harbinger(&["log", "export", "--format", "csv", stray.to_str().unwrap()]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("x.trace: this is no trace"), "{error}");
}
