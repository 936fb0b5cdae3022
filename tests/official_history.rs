//! The example that reads a history of official images, on a tiny one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[expect(dead_code, reason = "its beginning and its printing are not called here")]
#[path = "../examples/official_history.rs"]
mod example;

use std::{fs::File, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};

fn write(folder: &Path, name: &str, text: &str) {
    let file = File::create(folder.join(name)).unwrap();
    let mut file = GzEncoder::new(file, Compression::fast());
    file.write_all(text.as_bytes()).unwrap();
    file.finish().unwrap();
}

fn digest(n: u32) -> String {
    format!("sha256:{n:064x}")
}

/// A base moves from layer 0 to layer 1; two images follow it, and one is ahead of it.
fn folder(namings: &[(u32, &str, &str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut layers = "layer_id,digest,size_bytes,last_modified_unix\n".to_owned();
    for layer in 0..5 {
        layers += &format!("{layer},{},{},0\n", digest(layer), 100 * (layer + 1));
    }
    write(folder.path(), "docker_official_layers.csv.gz", &layers);
    let manifests = [vec![0], vec![1], vec![0, 2], vec![1, 2], vec![1, 3, 2]];
    let manifests = manifests.iter().enumerate().map(|(id, layers)| {
        let (own, config) = (digest(1000 + id as u32), digest(2000 + id as u32));
        format!(
            "{{\"manifest_id\":{id},\"digest\":\"{own}\",\"image_id\":\"{config}\",\"total_bytes\":1,\"layers\":{layers:?}}}\n"
        )
    });
    write(folder.path(), "docker_official_manifests.jsonl.gz", &manifests.collect::<String>());
    let moves = namings.iter().map(|(at, tag, event, manifest)| format!("{at},{tag},{event},,{manifest}\n"));
    let moves = moves.collect::<String>();
    write(
        folder.path(),
        "docker_official_tag_moves.csv.gz",
        &format!("commit_unix,image_tag,event,top_digest,amd64_manifest_id\n{moves}"),
    );
    folder
}

#[test]
fn what_a_history_shows_is_found_in_the_graph() {
    let folder = folder(&[
        (1, "debian:12", "A", "0"),
        (1, "app:1", "A", "2"),
        (1, "tool:1", "A", "2"),
        (1, "early:1", "A", "2"),
        (2, "early:1", "M", "3"),
        (3, "debian:12", "M", "1"),
        (4, "app:1", "M", "3"),
        (4, "tool:1", "M", "4"),
        (5, "tool:1", "M", "4"),
        (6, "app:1", "D", ""),
        (7, "nothing:1", "M", ""),
    ]);
    let facts = example::facts(folder.path()).unwrap();
    assert_eq!((facts.moves, facts.kept_nothing), (4, 1));
    // Half of the layers, none, half, and a third.
    assert!((facts.kept_layers - (0.5 + 0.0 + 0.5 + 1.0 / 3.0)).abs() < 1e-9, "{facts:?}");
    assert!((facts.kept_bytes - (0.6 + 0.0 + 0.6 + 300.0 / 900.0)).abs() < 1e-9, "{facts:?}");
    assert_eq!((facts.base_changes, facts.onto_a_system, facts.followed), (3, 3, 2));
    assert_eq!(facts.reach, [3]);
    assert_eq!((facts.statistics.nodes["manifest"], facts.statistics.nodes["layer"]), (5, 4));
    assert!(facts.to_string().contains("2 followed a move of the system's tag: 66.67 % of all"));
}

#[test]
fn a_history_with_holes_is_refused() {
    let error = |namings| example::facts(folder(namings).path()).unwrap_err().to_string();
    assert_eq!(error(&[(1, "a:1", "A", "9")]), "a tag names a manifest that is not there");
    assert_eq!(error(&[(1, "a", "A", "1")]), "a tag has no ':'");
    let nothing = tempfile::tempdir().unwrap();
    assert!(example::facts(nothing.path()).unwrap_err().to_string().contains("docker_official_layers.csv.gz"));
}
