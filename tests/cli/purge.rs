//! `harbinger purge`, with a server and without.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    process::{Serving, harbinger},
    upstream::Upstream,
};

const TAG: &str = "/v2/library/app/manifests/1";

/// What it prints, and how it ends.
fn purge(data: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = harbinger(&["purge", "--data", data.to_str().unwrap()]).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn printed(data: &Path, arguments: &[&str]) -> String {
    let (printed, complaint, code) = purge(data, arguments);
    assert_eq!(code, Some(0), "{complaint}");
    printed
}

/// A server that has pulled the image.
fn pulled() -> (Arc<Upstream>, Serving, PathBuf) {
    let upstream = Upstream::start();
    let serving = Serving::start(&format!("[cache]\ntag_ttl = \"1h\"\n{}", upstream.named("docker.io")));
    assert_eq!(serving.get(TAG).status, 200);
    assert_eq!(serving.get(&upstream.layer_path()).body, upstream.layer);
    serving.landed(&upstream.layer_path());
    let data = serving.folder.path().join("data");
    (upstream, serving, data)
}

fn summary(what: &str, done: &str, upstream: &Upstream) -> String {
    let size = bytesize::ByteSize::b((upstream.manifest.len() + upstream.layer.len()) as u64).display().iec();
    format!("{what}: {done} 1 tags, 1 manifests, 1 blobs; 2 contents leave the cache, {size}")
}

#[test]
fn a_running_server_is_asked() {
    let (upstream, serving, data) = pulled();
    let told = printed(&data, &["app:1", "--dry-run"]);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert!(lines[0].starts_with("tag       docker.io/library/app:1 "), "{told}");
    assert!(
        told.contains(&format!("blob      docker.io/library/app@{}     3.0 MiB  removed\n", upstream.layer_digest)),
        "{told}"
    );
    assert_eq!(lines[3], summary("app:1", "would forget", &upstream));
    assert_eq!(serving.get(TAG).header("cache-status"), "harbinger; hit; detail=memory");

    let told = printed(&data, &["app:1", "docker.io/**:none-*"]);
    assert!(told.contains(&format!("{}\n", summary("app:1", "forgot", &upstream))), "{told}");
    assert!(told.ends_with("docker.io/**:none-*: forgot 0 tags, 0 manifests, 0 blobs; 0 contents leave the cache, 0 B\n"));
    assert_eq!(serving.get(TAG).status, 200);
    assert_eq!(serving.get(&upstream.layer_path()).body, upstream.layer);
    assert_eq!(upstream.count(&format!("GET {TAG}")), 2);
    assert_eq!(upstream.count(&format!("GET {}", upstream.layer_path())), 2);
}

#[test]
fn without_a_server_it_is_done_here() {
    let (upstream, mut serving, data) = pulled();
    serving.signal("TERM");
    assert_eq!(serving.wait(), Some(0));
    let told = printed(&data, &["docker.io/library/app"]);
    assert_eq!(told.lines().last().unwrap(), summary("docker.io/library/app", "forgot", &upstream));
    let told = printed(&data, &["docker.io/library/app"]);
    assert!(told.contains("forgot 0 tags, 0 manifests, 0 blobs"), "{told}");
}

#[test]
fn what_cannot_be_purged_is_an_error() {
    let (_upstream, mut serving, data) = pulled();
    for (what, why) in [("local/app", "harbinger gc"), ("quay.io/a", "no upstream named 'quay.io'")] {
        let (printed, complaint, code) = purge(&data, &[what]);
        assert_eq!((printed.as_str(), code), ("", Some(1)));
        assert!(complaint.starts_with("error: the server answered 400 Bad Request: '") && complaint.contains(why), "{complaint}");
    }
    serving.signal("TERM");
    assert_eq!(serving.wait(), Some(0));
    let (_, complaint, code) = purge(&data, &["local/app"]);
    assert_eq!(code, Some(1));
    assert!(complaint.starts_with("error: 'local/app' cannot be purged: it is hosted here"), "{complaint}");
}

#[test]
fn where_nothing_is_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (_, complaint, code) = purge(folder.path(), &["app"]);
    let expected = format!("error: there is no catalog in {}; name the data folder with --data\n", folder.path().display());
    assert_eq!((complaint, code), (expected, Some(1)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
}
