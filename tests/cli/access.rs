//! The access log: one line a request, with what was really sent and why it did not come from the cache.

use std::io::Read;

use serde_json::Value;

use crate::{
    process::{Answer, Serving},
    upstream::Upstream,
};

const TAG: &str = "/v2/library/app/manifests/1";

fn serve(access: &str, upstream: &Upstream) -> Serving {
    let config = "[server]\nregion = \"eu-1\"\ncustomer_header = \"x-team\"\n[cache]\ntag_ttl = \"0s\"\n[logging]\naccess = ";
    Serving::start(&format!("{config}\"{access}\"\n{}", upstream.named("docker.io")))
}

#[test]
fn a_line_as_json_says_all() {
    let upstream = Upstream::start();
    let serving = serve("json", &upstream);
    let (layer, blob) = (upstream.layer_path(), upstream.layer.len() as u64);
    let manifest = upstream.manifest.len() as u64;
    let by_digest = format!("/v2/library/app/manifests/{}", upstream.manifest_digest);

    let steps = [
        ("GET", TAG, 200, manifest, "miss", "absent"),
        ("GET", &by_digest, 200, manifest, "hit", "memory"),
        ("HEAD", TAG, 200, 0, "revalidated", "revalidated"),
        ("HEAD", &layer, 200, 0, "miss", "not-kept"),
        ("GET", &layer, 200, blob, "miss", "absent"),
    ];
    for (at, (method, path, status, bytes, cache, detail)) in steps.into_iter().enumerate() {
        serving.ask(method, path, "x-team: acme\r\n");
        let line = serving.out.wait_for_lines(at + 1).pop().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let found = (&line["status"], &line["bytes_sent"], &line["cache"], &line["cache_detail"]);
        assert_eq!(found, (&status.into(), &bytes.into(), &cache.into(), &detail.into()), "{line}");
        assert_eq!((&line["region"], &line["customer"]), (&"eu-1".into(), &"acme".into()), "{line}");
        assert_eq!((&line["upstream"], &line["repository"]), (&"docker.io".into(), &"library/app".into()), "{line}");
        assert_eq!((&line["method"], &line["path"], &line["cut_off"]), (&method.into(), &path.into(), &false.into()), "{line}");
        assert_eq!(line["reference"], path.rsplit('/').next().unwrap(), "{line}");
        assert_eq!((&line["error"], &line["user_agent"]), (&Value::Null, &"test/1".into()), "{line}");
        assert!(line["first_byte_us"].as_u64().unwrap() <= line["total_us"].as_u64().unwrap(), "{line}");
        assert!(line["client"].as_str().unwrap().starts_with("127.0.0.1:") && line["time"].is_string(), "{line}");
    }

    serving.landed(&layer);
    let before = serving.out.wait_for("\"cache\":\"hit\",\"cache_detail\":\"disk\"").lines().count();

    let refused = serving.ask("PUT", TAG, "content-length: 0\r\n");
    let line: Value = serde_json::from_str(&serving.out.wait_for_lines(before + 1).pop().unwrap()).unwrap();
    assert_eq!((refused.status, &line["status"], &line["cache"]), (405, &405.into(), &"none".into()), "{line}");
    assert_eq!((&line["customer"], &line["bytes_sent"]), (&"anonymous".into(), &(refused.body.len() as u64).into()), "{line}");
    for (at, (cache, path)) in
        [("miss", "/v2/library/app/manifests/no"), ("negative", "/v2/library/app/manifests/no")].iter().enumerate()
    {
        let missing = serving.get(path);
        let line: Value = serde_json::from_str(&serving.out.wait_for_lines(before + 2 + at).pop().unwrap()).unwrap();
        assert_eq!((missing.status, &line["status"], &line["cache"]), (404, &404.into(), &(*cache).into()), "{line}");
        assert!(line["error"].as_str().unwrap().contains("no such manifest"), "{line}");
    }
}

#[test]
fn when_the_upstream_fails() {
    let upstream = Upstream::start();
    let serving = serve("json", &upstream);
    serving.get(TAG);
    upstream.die();
    let asked = |path, lines| -> Value {
        serving.get(path);
        serde_json::from_str(&serving.out.wait_for_lines(lines).pop().unwrap()).unwrap()
    };
    let stale = asked(TAG, 2);
    let found = (&stale["status"], &stale["cache"], &stale["cache_detail"], &stale["error"]);
    assert_eq!(found, (&200.into(), &"stale".into(), &"upstream-error".into(), &Value::Null), "{stale}");
    let failed = asked("/v2/library/app/manifests/2", 3);
    // 502 while it is still tried, 503 when it is left alone for a while.
    assert!([502, 503].contains(&failed["status"].as_u64().unwrap()), "{failed}");
    assert_eq!((&failed["cache_detail"], failed["error"].is_string()), (&"upstream-failed".into(), true), "{failed}");
}

#[test]
fn followers_and_those_who_leave() {
    let upstream = Upstream::start();
    upstream.hold(true);
    let serving = serve("json", &upstream);
    let first = serving.send("GET", &upstream.layer_path(), "");
    assert_eq!(first.peek(&mut [0]).unwrap(), 1);
    let mut leaves = serving.send("GET", &upstream.layer_path(), "");
    leaves.read_exact(&mut [0; 4096]).unwrap();
    drop(leaves);
    upstream.hold(false);
    assert_eq!(Answer::read(first).body.len(), upstream.layer.len());
    let lines: Vec<Value> = serving.out.wait_for_lines(2).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |cache: &str| lines.iter().find(|line| line["cache"] == cache).unwrap_or_else(|| panic!("{cache}: {lines:?}"));
    assert_eq!((&of("miss")["cut_off"], &of("miss")["bytes_sent"]), (&false.into(), &upstream.layer.len().into()), "{lines:?}");
    let left = of("collapsed");
    assert_eq!((&left["cut_off"], &left["cache_detail"]), (&true.into(), &"joined".into()), "{left}");
    assert!(left["bytes_sent"].as_u64().unwrap() < upstream.layer.len() as u64, "{left}");
}

#[test]
fn a_line_as_text_says_the_same() {
    let upstream = Upstream::start();
    let serving = serve("text", &upstream);
    serving.ask("GET", TAG, "x-team: acme\r\n");
    let line = serving.out.wait_for_lines(1).pop().unwrap();
    let length = upstream.manifest.len();
    for part in [
        " eu-1 acme 127.0.0.1:",
        &format!(" \"GET {TAG}\" 200 {length}B "),
        " cache=miss/absent first_byte=",
        " upstream=docker.io repository=library/app reference=1 ",
        " agent=\"test/1\"",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!line.contains("cut-off") && !line.contains("error="), "{line}");
}
