//! `harbinger replay`: on a trace that is small enough to be followed by hand.

use std::{fs, fs::File, path::Path, sync::Arc};

use harbinger::{
    events::{
        Event, Kind, Layer, ManifestSeen, Repository, Request, Source, What,
        log::{Privacy, TraceHeader, TraceWriter},
    },
    oci::{Algorithm, Digest, MediaType},
};
use serde_json::Value;

use crate::process::harbinger;

const SECOND: u64 = 1_000;

fn digest(n: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[n])
}

fn repository() -> Repository {
    Repository { route: "docker.io".into(), name: "library/app".parse().unwrap(), private: false }
}

fn request(at: u64, kind: Kind, content: u8) -> Event {
    let request = Request {
        customer: None,
        region: "eu".into(),
        client: 7,
        repository: repository(),
        tag: (kind == Kind::Manifest).then(|| "1".parse().unwrap()),
        digest: Some(digest(content)),
        kind,
        status: 200,
        bytes: 1_000_000,
        source: Source::Upstream,
        first_byte: 1,
        total: 2,
        complete: true,
    };
    Event { at, what: What::Request(Arc::new(request)) }
}

fn seen(at: u64, manifest: u8, layers: &[u8]) -> Event {
    let layer = |n: &u8| Layer { digest: digest(*n), size: 1_000_000, media_type: MediaType::OCTET_STREAM.parse().unwrap() };
    let seen = ManifestSeen {
        repository: repository(),
        manifest: Layer { media_type: MediaType::OCI_MANIFEST.parse().unwrap(), ..layer(&manifest) },
        config: None,
        layers: layers.iter().map(layer).collect(),
        manifests: None,
        subject: None,
        base: None,
        created: None,
    };
    Event { at, what: What::ManifestSeen(Arc::new(seen)) }
}

/// A tag is pulled, moves, and is pulled again.
fn trace(folder: &Path) -> String {
    let file = folder.join("week.trace");
    let header = TraceHeader { privacy: Privacy::Unknown, begun: SECOND, counted_from: Some(SECOND) };
    let mut writer = TraceWriter::new(File::create(&file).unwrap(), header).unwrap();
    let moved = |at, manifest| {
        let what = What::TagMoved { repository: repository(), tag: "1".parse().unwrap(), digest: Some(digest(manifest)) };
        Event { at, what }
    };
    for event in [
        seen(SECOND, 100, &[1]),
        request(SECOND, Kind::Manifest, 100),
        request(2 * SECOND, Kind::Blob, 1),
        request(3 * SECOND, Kind::Blob, 1),
        seen(100 * SECOND, 101, &[1, 2]),
        moved(100 * SECOND, 101),
        request(400 * SECOND, Kind::Manifest, 101),
        request(400 * SECOND + 1, Kind::Blob, 2),
    ] {
        writer.push(&event).unwrap();
    }
    writer.finish().unwrap();
    file.to_str().unwrap().to_owned()
}

fn replay(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = harbinger(&[&["replay"], arguments].concat()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn pairs_are_compared_in_a_table_as_json_and_as_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, json, plot) = (trace(folder.path()), folder.path().join("rows.json"), folder.path().join("plot.svg"));
    let (json, plot) = (json.to_str().unwrap(), plot.to_str().unwrap());
    let pairs = ["--policy", "lru,gdf:0", "--prefetch", "none,rule", "--capacity", "100%"];
    let (table, complaint, code) = replay(&[&[trace.as_str()][..], &pairs, &["--json", json, "--plot", plot]].concat());
    assert_eq!((complaint.as_str(), code), ("", Some(0)));
    assert!(table.starts_with("POLICY") && table.ends_with("3 requests in eu, for 1.9 MiB of layers\n"), "{table}");
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&report["region"], &report["footprint"]), (&"eu".into(), &2_000_000.into()));
    let rows = report["rows"].as_array().unwrap();
    let hits = |row: &Value| (row["object_hit_ratio"].as_f64().unwrap() * 3.0).round();
    assert_eq!(rows.iter().map(hits).collect::<Vec<_>>(), [1.0, 2.0]);
    assert_eq!((&rows[0]["prefetched_bytes"], &rows[1]["used_bytes"]), (&0.into(), &1_000_000.into()));
    for field in
        ["policy", "prefetch", "capacity", "requests", "byte_hit_ratio", "upstream_bytes", "latency_p50_ms", "latency_p99_ms"]
    {
        assert!(!rows[1][field].is_null(), "{field}");
    }
    let picture = fs::read_to_string(plot).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.contains(">gdf:0 + rule, 1.9 MiB<") && picture.ends_with("</svg>\n"),
        "{picture}"
    );
}

#[test]
fn the_warm_up_and_the_discovery_count() {
    let folder = tempfile::tempdir().unwrap();
    let trace = trace(folder.path());
    // From the third second on: a hit, and a miss.
    let (table, ..) = replay(&[&trace, "--warm-up", "2s", "--capacity", "9 MB"]);
    assert!(table.contains("\n2 requests in eu") && table.contains("  0.5000  "), "{table}");
    let hits = |discovery: &str| {
        let (table, ..) = replay(&[&trace, "--prefetch", "rule", "--discovery", discovery]);
        table.lines().nth(1).unwrap().to_owned()
    };
    assert_ne!(hits("10"), hits("1000"));
}

#[test]
fn what_is_learned_from_is_written_for_training_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, file) = (trace(folder.path()), folder.path().join("rows.csv"));
    let (_, complaint, code) = replay(&[&trace, "--prefetch", "model", "--rows", file.to_str().unwrap()]);
    assert_eq!((complaint.as_str(), code), ("", Some(0)));
    let table = fs::read_to_string(file).unwrap();
    let rows: Vec<_> = table.lines().collect();
    assert!(rows[0].starts_with("harbinger.features=1,") && rows[0].ends_with(",label,weight"), "{table}");
    // The layer that the tag's new image has was expected when the move was discovered, and asked for later.
    assert!(rows.len() == 2 && rows[1].starts_with("190000,1,0,") && rows[1].ends_with(",1,1"), "{table}");
}

#[test]
fn what_cannot_be_replayed_is_refused_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, other) = (trace(folder.path()), folder.path().join("other"));
    fs::write(&other, "something else, and long enough for a header").unwrap();
    for (arguments, expected) in [
        (&["/nonexistent"][..], "/nonexistent: No such file"),
        (&[other.to_str().unwrap()], "this is no trace"),
        (&[&trace, "--region", "mars"], "there is no request in the region 'mars'; there are some in: eu"),
        (&[&trace, "--policy", "best"], "there is no policy 'best'; there are lru,"),
        (&[&trace, "--prefetch", "all"], "there is no prefetcher 'all'; there are none,"),
        (&[&trace, "--policy", "lru,lfu", "--prefetch", "none,rule,none"], "give lists of the same length"),
        (&[&trace, "--rate", "0"], "no less than nothing"),
        (&[&trace, "--json", "/nonexistent/x"], "/nonexistent/x cannot be written"),
        (&[&trace, "--prefetch", "model", "--rows", "/nonexistent/x"], "/nonexistent/x: rows cannot be written"),
        (&[&trace, "--prefetch", "rule", "--rows", "/nonexistent/x"], "the prefetcher 'rule' does not learn"),
        (&[&trace, "--prefetch", "none,model", "--rows", "/nonexistent/x"], "name one policy, one prefetcher and one capacity"),
        (&[&trace, "--prefetch", "model", "--model", &trace], "week.trace"),
    ] {
        let (_, complaint, code) = replay(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {complaint}");
        assert!(complaint.starts_with("error: ") && complaint.contains(expected), "{arguments:?}: {complaint}");
    }
    assert_eq!(replay(&[&trace, "--capacity", "0%"]).2, Some(2));
}
