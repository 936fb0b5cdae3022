//! `harbinger graph`: the same answers from a running server and from what it has left.

use std::{path::Path, sync::Arc};

use harbinger::{
    events::{Event, Layer, ManifestSeen, Repository, What},
    graph::Graph,
    oci::{Algorithm, Digest},
};
use serde_json::Value;

use crate::process::{Serving, harbinger};

fn layer(content: &str, size: u64) -> Layer {
    let media_type = "application/vnd.oci.image.layer.v1.tar".parse().unwrap();
    Layer { digest: Digest::of(Algorithm::Sha256, content.as_bytes()), size, media_type }
}

pub(crate) fn image(name: &str, tag: &str, layers: &[&str]) -> [Event; 2] {
    let repository = Repository { route: "docker.io".into(), name: name.parse().unwrap(), private: false };
    let seen = ManifestSeen {
        repository: repository.clone(),
        manifest: layer(&format!("{name}:{tag}"), 500),
        config: None,
        layers: layers.iter().map(|content| layer(content, 1 << 20)).collect(),
        manifests: None,
        subject: None,
        base: None,
        created: None,
    };
    let digest = Some(seen.manifest.digest);
    let moved = What::TagMoved { repository, tag: tag.parse().unwrap(), digest };
    [What::ManifestSeen(Arc::new(seen)), moved].map(|what| Event { at: 1_714_521_600_000, what })
}

/// Leaves a graph in a data folder, as a server does that has ended.
pub(crate) fn leave_graph(data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    let graph = Graph::at_rest_or_new(&data.join("graph.redb")).unwrap();
    let events = [
        image("library/os", "12", &["rootfs"]),
        image("library/app", "1.0", &["rootfs", "one"]),
        image("library/app", "1.1", &["rootfs", "two"]),
    ];
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        graph.apply(events.into_iter().flatten().collect()).await.unwrap();
        graph.stop().await.unwrap();
    });
}

pub(crate) fn graph(data: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = harbinger(&["graph"]);
    let output = command.args(arguments).args(["--data", data.to_str().unwrap()]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

pub(crate) fn printed(data: &Path, arguments: &[&str]) -> String {
    let (printed, complaint, code) = graph(data, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {complaint}");
    printed
}

const QUESTIONS: [&[&str]; 7] = [
    &["stats"],
    &["shares", "app:1.0"],
    &["base", "app:1.0"],
    &["versions", "app:1.0"],
    &["together", "app"],
    &["around", "app:1.0", "--depth", "2", "--limit", "50"],
    &["shares", "app:1.1", "--limit", "1", "--offset", "1"],
];

#[test]
fn answers_are_told_in_tables() {
    let folder = tempfile::tempdir().unwrap();
    leave_graph(folder.path());
    let lines = |arguments: &[&str]| -> Vec<String> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        printed(folder.path(), arguments).lines().map(words).collect()
    };
    let shares = lines(&["shares", "app:1.0"]);
    assert!(shares[0].ends_with("2 layers, 2.0 MiB docker.io/library/app:1.0"), "{shares:?}");
    assert_eq!(shares[1], "NEIGHBOUR SHARED SAVED TAGS");
    assert!(shares.iter().any(|line| line.ends_with("1 1.0 MiB docker.io/library/os:12")), "{shares:?}");
    assert_eq!(shares.last().unwrap(), "2 of 2");

    let base = lines(&["base", "app:1.0"]);
    assert_eq!(base[1], "BASE SHARED LAYERS DECLARED TAGS");
    assert!(base[2].ends_with("1 1 no docker.io/library/os:12"), "{base:?}");

    let versions = lines(&["versions", "app:1.0"]);
    assert!(versions[2].starts_with("2024-05-01 00:00:00 docker.io/library/app:1.0 sha256:"), "{versions:?}");
    assert!(versions.contains(&"later versions: docker.io/library/app:1.1".to_owned()), "{versions:?}");

    let stats = lines(&["stats"]);
    assert!(stats.contains(&"manifest 3".to_owned()) && stats.contains(&"dedup ratio: 1.67".to_owned()), "{stats:?}");
    let around = lines(&["around", "os:12"]);
    assert!(around.contains(&"0 tag docker.io/library/os:12".to_owned()), "{around:?}");
}

#[test]
fn a_server_tells_what_it_will_leave() {
    let folder = tempfile::tempdir().unwrap();
    leave_graph(folder.path());
    let data = folder.path();
    let left: Vec<Value> = QUESTIONS.iter().map(|question| json(data, question)).collect();
    let mut serving = Serving::in_folder(data);
    for (question, left) in QUESTIONS.iter().zip(left) {
        assert_eq!(json(data, question), left, "{question:?}");
    }
    serving.signal("TERM");
    serving.wait();
}

fn json(data: &Path, question: &[&str]) -> Value {
    let arguments = [question, &["--json"]].concat();
    loop {
        let (printed, complaint, code) = graph(data, &arguments);
        // A server that has just started may be loading still.
        if complaint.contains("is being loaded") {
            continue;
        }
        assert_eq!(code, Some(0), "{question:?}: {complaint}");
        return serde_json::from_str(&printed).unwrap();
    }
}

#[test]
fn what_cannot_be_answered_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (_, complaint, code) = graph(folder.path(), &["stats"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("there is no graph in"), "{complaint}");
    leave_graph(folder.path());
    for (arguments, expected) in [
        (&["shares", "app:9"][..], "the graph does not know 'docker.io/library/app:9'"),
        (&["shares", "app:.x"], "'.x' is not a tag"),
        (&["shares", "app:1.0", "--limit", "5000"], "'limit' is a number, 1000 at most"),
        (&["top", "--region", "moon"], "the graph does not know 'region moon'"),
        (&["around", "app", "--depth", "9"], "'depth' is a number, 4 at most"),
    ] {
        let (printed, complaint, code) = graph(folder.path(), arguments);
        assert_eq!((printed.as_str(), code), ("", Some(1)), "{arguments:?}");
        assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
    }
    assert_eq!(graph(folder.path(), &["shares"]).2, Some(2));
}
