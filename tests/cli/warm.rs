//! `harbinger warm`

use std::path::Path;

use crate::{
    process::{Serving, harbinger},
    upstream::Upstream,
};

/// What it prints, and how it ends.
fn warm(data: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = harbinger(&["warm", "--data", data.to_str().unwrap()]).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn a_running_server_fetches_and_what_cannot_be_had_is_told() {
    let upstream = Upstream::start();
    let serving = Serving::start(&upstream.named("docker.io"));
    let (data, list) = (serving.folder.path().join("data"), serving.folder.path().join("images.txt"));
    std::fs::write(&list, "# what we run\napp:1 # the app\n").unwrap();
    let (printed, complaint, code) = warm(&data, &[list.to_str().unwrap(), "app:1", "app:9", "quay.io/a"]);
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines[0].starts_with("app:1: fetched 2 (3.0 MiB), here 0 (0 B), not to be had 1"), "{printed}");
    assert_eq!((lines[1], lines.len()), ("app:9: fetched 0 (0 B), here 0 (0 B), not to be had 1", 2));
    // The registry does not have the configuration that its manifest names.
    assert!(complaint.contains("app:1: sha256:") && complaint.contains("app:9: 9: "), "{complaint}");
    assert!(complaint.contains("quay.io/a: no upstream named 'quay.io' is configured here"), "{complaint}");
    assert_eq!(code, Some(1));

    upstream.die();
    assert_eq!(serving.get(&upstream.layer_path()).body, upstream.layer);
    assert_eq!(upstream.count(&format!("GET {}", upstream.layer_path())), 1);
}

#[test]
fn without_a_server_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (_, complaint, code) = warm(folder.path(), &["app:1"]);
    assert!(complaint.starts_with("error: no server runs on the data folder"), "{complaint}");
    assert_eq!(code, Some(1));
    let (_, complaint, code) = warm(folder.path(), &["app:.x"]);
    assert!(complaint.starts_with("error: 'app:.x' is no file and no image: a tag is"), "{complaint}");
    assert_eq!(code, Some(1));
}
