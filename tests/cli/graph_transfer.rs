//! `harbinger graph export` and `import`, and the API behind them.

use std::{
    fs::{self, File},
    path::Path,
};

use harbinger::{
    app::OperatorFile,
    events::{
        Event,
        log::{Privacy, TraceHeader, TraceWriter},
    },
    graph::Record,
};

use crate::{
    graph::{graph, image, leave_graph, printed},
    process::Serving,
};

fn records(data: &Path) -> Vec<Record> {
    let lines = loop {
        let (lines, complaint, code) = graph(data, &["export", "--format", "ndjson"]);
        // A server that has just started may be loading still.
        if complaint.contains("is being loaded") {
            continue;
        }
        assert_eq!(code, Some(0), "{complaint}");
        break lines;
    };
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_server_exports_what_it_will_leave_to_its_operator_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    leave_graph(data);
    let left = records(data);
    let nodes = left.iter().filter(|record| matches!(record, Record::Node(_))).count();
    assert!(nodes == 11 && left.len() > 20, "{nodes} nodes in {} records", left.len());

    let mut serving = Serving::in_folder(data);
    assert_eq!(records(data), left);
    for (method, path) in [("GET", "export"), ("POST", "import"), ("POST", "lacking")] {
        let path = format!("/api/v1/graph/{path}");
        assert_eq!(serving.ask(method, &path, "Content-Length: 0\r\n").status, 401, "{path}");
    }
    let token = format!("Authorization: Bearer {}\r\n", OperatorFile::read(data).unwrap().token);
    let answer = serving.ask("GET", "/api/v1/graph/export", &token);
    assert_eq!(answer.header("harbinger-graph-records"), left.len().to_string());
    assert_eq!(serving.ask("GET", "/api/v1/graph/import", &token).status, 405);
    serving.signal("TERM");
    serving.wait();
}

#[test]
fn every_form_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    leave_graph(folder.path());
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    for form in ["graphml", "dot", "json", "ndjson", "csv", "graphson"] {
        let file = out.join(form);
        let (_, told, code) = graph(folder.path(), &["export", "--format", form, "--out", file.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("11 nodes and"), "{told}");
    }
    let (_, complaint, code) = graph(folder.path(), &["export", "--format", "dot", "--out", "/nowhere/graph.dot"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("No such file or directory"), "{complaint}");
    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["csv", "dot", "graphml", "graphson", "json", "ndjson"]);
    assert_eq!(graph(folder.path(), &["export", "--format", "csv"]).2, Some(2), "csv without a folder");
}

#[test]
fn traces_are_learned_at_rest_and_by_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let traces = folder.path().join("traces");
    fs::create_dir(&traces).unwrap();
    let events: Vec<Event> = [image("library/os", "12", &["rootfs"]), image("library/app", "1.0", &["rootfs", "one"])].concat();
    let (first, second) = events.split_at(2);
    let write = |name: &str, events: &[Event]| {
        let file = traces.join(name);
        let header = TraceHeader { privacy: Privacy::Full, begun: 0, counted_from: None };
        let mut writer = TraceWriter::new(File::create(&file).unwrap(), header).unwrap();
        events.iter().for_each(|event| writer.push(event).unwrap());
        writer.finish().unwrap();
        file
    };
    let (first, second) = (write("1.trace", first), write("2.trace", second));
    let data = folder.path().join("data");
    assert_eq!(printed(&data, &["import", "--log", first.to_str().unwrap()]), "2 events learned, 0 lost\n");
    let mut serving = Serving::in_folder(&data);
    while graph(&data, &["stats"]).2 != Some(0) {}
    assert_eq!(printed(&data, &["import", "--log", second.to_str().unwrap()]), "2 events learned, 0 lost\n");
    assert!(printed(&data, &["shares", "app:1.0"]).contains("docker.io/library/os:12"));
    serving.signal("TERM");
    serving.wait();
    assert!(printed(&data, &["shares", "app:1.0"]).contains("docker.io/library/os:12"), "it was not kept");

    let (_, complaint, code) = graph(&data, &["import", "--log", "/etc/passwd"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("this is no trace"), "{complaint}");
    assert_eq!(graph(&data, &["import"]).2, Some(2), "nothing to learn from");
}

#[cfg(not(any(feature = "neo4j", feature = "gremlin")))]
#[test]
fn a_build_that_speaks_to_no_database_says_how_to_make_one_that_does() {
    let folder = tempfile::tempdir().unwrap();
    leave_graph(folder.path());
    for url in ["bolt://127.0.0.1", "ws://127.0.0.1/gremlin"] {
        let (_, complaint, code) = graph(folder.path(), &["export", "--live", url]);
        assert_eq!(code, Some(1));
        assert!(complaint.contains("build it with --features neo4j,gremlin"), "{complaint}");
    }
}
